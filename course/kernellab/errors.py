"""The errors of this package. Each says what happened, where, and what to do about it."""


class KernelError(Exception):
    """The root of what can go wrong with a kernel here."""


class Refused(KernelError, TypeError):
    """The CUDA compiler would not compile this kernel for these arguments."""


class LaunchError(KernelError, ValueError):
    """A launch that no GPU would accept: its shape, its memory, or its arguments."""


class OutOfBounds(KernelError, IndexError):
    """A thread used an index that its array does not have."""


class Unsupported(KernelError, NotImplementedError):
    """CUDA can do this, and the lab (or one of its engines) cannot."""


class NoSource(KernelError):
    """A kernel's source cannot be found, and the lab works on sources."""
