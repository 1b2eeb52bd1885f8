"""File jobs and transfers on native threads that never take the GIL.

A file is named by (directory descriptor, name): no long path walks, and symbolic links are never
followed. A name is bytes without a slash or a zero byte (ValueError). Every method returns at once;
a future fails with OSError that has exactly the kernel's errno. Call from the loop's thread only,
and not after a fork: the threads stay behind in the parent.
"""

from asyncio import AbstractEventLoop, Future
from collections.abc import Iterable
from typing import Final, final

from fileloft_fast.dataplane.digest import Digest
from fileloft_fast.dataplane.transfers import Lender

SYNC_NONE: Final[int]
"""The kernel writes when it likes."""

SYNC_DATA: Final[int]
"""fdatasync of the files."""

SYNC_NAME: Final[int]
"""And fsync of the directory: a new name survives a power cut too."""

@final
class Engine(Lender):
    """Threads for everything that may wait for the disk, and for whole transfers."""

    def __init__(
        self,
        loop: AbstractEventLoop,
        *,
        quick_threads: int = 2,
        sync_threads: int = 16,
        transfer_threads: int = 4,
        tick_ms: int = 1000,
    ) -> None:
        """Watch the engine's eventfd on *loop*; threads start when they are first needed.

        Every *tick_ms* idle transfers are looked at: their timeouts, and bytes below the low-water
        mark.
        """

    def close(self) -> None:
        """Cancel transfers and copies, finish queued jobs, resolve every future, join. Blocks.

        Before the loop is closed. A concatenation that copies is ECANCELED. Every method raises
        RuntimeError afterwards.
        """

    # File jobs run on the quick lane, those that may take long on the sync lane (sixteen threads):
    # whatever syncs, and remove, truncate, concatenate, punch, checksum, find and long reads. One
    # quick thread does the work; the second helps where 64 jobs, or pages to be written, wait, or
    # where the first waits for a disk.

    def create(
        self,
        directory: int,
        data_name: bytes,
        body: bytes,
        info_name: bytes,
        info: bytes,
        sync: int,
        mode: int = 0o600,
    ) -> Future[None]:
        """Create both files (O_EXCL; *mode* under the umask): data with *body*, then info.

        On any error neither is left behind.
        """

    def inspect(
        self, directory: int, data_name: bytes, info_name: bytes
    ) -> Future[tuple[bytes, int, int]]:
        """Return contents of info (at most 1 MiB), size of data, mtime of data in nanoseconds.

        The size is never larger than it was before info was read. FileNotFoundError where either
        is missing.
        """

    def open(
        self, directory: int, name: bytes, flags: int, mode: int = 0o600
    ) -> Future[tuple[int, int]]:
        """Return (descriptor, size). O_CLOEXEC and O_NOFOLLOW are always added.

        The descriptor is closed again where the future was cancelled meanwhile.
        """

    def append(
        self, directory: int, name: bytes, body: bytes, offset: int, sync: int
    ) -> Future[int]:
        """Write all of *body* at *offset* of an existing file; return the offset after it.

        Where the disk is full in the middle, it fails, and what was written stays.
        """

    def replace(
        self, directory: int, name: bytes, contents: bytes, sync: int, mode: int = 0o600
    ) -> Future[None]:
        """Replace a file atomically, by way of *name* + ``.tmp``; not for two at once on a name."""

    def write(
        self, descriptor: int, data: bytes, offset: int, digest: Digest | None = None
    ) -> Future[int]:
        """Write all of *data* at *offset*, update *digest*, return the length.

        Where the disk is full in the middle, it fails, and *digest* has seen what was stored.
        """

    def truncate(self, directory: int, name: bytes, size: int, sync: int) -> Future[None]:
        """Cut or extend an existing file to *size*."""

    def close_file(
        self, descriptor: int, sync: int, directory: int = -1, info_name: bytes = b""
    ) -> Future[None]:
        """Sync the file, with *info_name* that file of *directory* too, then close it, always."""

    def remove(self, directory: int, names: Iterable[bytes], sync: int = 0) -> Future[int]:
        """Unlink each and return how many were there; a missing one is not an error.

        Every name is tried; the first error is told. Any *sync* makes the removal durable.
        """

    def concatenate(
        self,
        directory: int,
        target: bytes,
        sources: Iterable[tuple[bytes, int]],
        sync: int,
        mode: int = 0o600,
    ) -> Future[int]:
        """Create *target* (O_EXCL) of the first bytes of each (source, size); return its size.

        Shares blocks where the file system can, else copies. A source that is shorter is ENODATA.
        On error the target is removed; ECANCELED where the engine closes meanwhile.
        """

    def free_space(self, directory: int) -> Future[int]:
        """Return the bytes that an unprivileged user may still write."""

    # Ranges of open files. Cancelling a future does not end its job: await it shielded where the
    # task that waits may be cancelled, and close no descriptor before the job is over.

    def punch(self, descriptor: int, offset: int, length: int) -> Future[None]:
        """Give the blocks of a range back: it reads as zeros, the size of the file stays.

        EOPNOTSUPP where the file system cannot; nothing was changed then. A length of 0 is EINVAL.
        """

    def checksum(
        self, descriptor: int, offset: int, length: int, algorithm: str | Digest
    ) -> Future[bytes]:
        """Return the ``Digest.digest()`` of exactly that range; a digest goes on with it.

        A file that ends before is ENODATA; ECANCELED where the engine closes meanwhile; a digest is
        of no use after either. Raises ValueError for an unknown algorithm.
        """

    def read(self, descriptor: int, length: int, offset: int) -> Future[bytes]:
        """Return *length* bytes from *offset*, fewer at the end of the file."""

    def find(self, descriptor: int, needle: bytes, offset: int, length: int) -> Future[int]:
        """Return where *needle* first begins of what lies within a range, -1 where nowhere.

        It lies within as a whole, and before the end of the file. ECANCELED where the engine closes
        meanwhile. An empty needle is a ValueError.
        """
