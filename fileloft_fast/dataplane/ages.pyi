"""When the files of a directory were last written."""

def read_aged(directory: int, since: float, until: float) -> tuple[int, list[bytes]] | None:
    """Look at some more files of *directory*, None at the end.

    Returns how many uploads' ``.info`` are among them, and the names of the data files that were
    last written from *since* to *until*, seconds since the epoch, and of those whose time is not to
    be had. The descriptor remembers how far it is: it is not for two threads at once. Blocks;
    releases the GIL. Raises OSError where the directory cannot be read.
    """
