"""Small files that come with the unit."""
