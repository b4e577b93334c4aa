"""Where student code runs: all of this folder, and nothing else of `grader`, is seen in there."""
