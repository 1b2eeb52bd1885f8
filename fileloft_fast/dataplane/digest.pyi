"""Running checksums that the engine can feed without the GIL."""

from typing import Final, final

from typing_extensions import Buffer  # collections.abc has it from Python 3.12 on

ALGORITHMS: Final[tuple[str, ...]]
"""What tus offers: the names that passed the self-test at import, in the order of the answer.

Of sha1, sha256, sha512, md5, crc32, crc32c, xxh3-64 and xxh128. ``Digest``, ``digest_of`` and
``Engine.checksum`` know crc64nvme too, which is S3's."""

@final
class Digest:
    """A running checksum of one algorithm, and of *also*, which is fed with it in the same pass.

    Not for two threads at once. While the engine updates it (``Engine.write``, ``Engine.receive``)
    and while another thread is inside ``update`` every method raises RuntimeError; of the one that
    feeds and of the one that is fed. Each is asked for its own ``digest()``. *also* may have an
    *also* of its own.
    Raises ValueError for an unknown algorithm and for one that libcrypto refuses (FIPS). Of sha256
    and sha512 libcrypto is asked too, but its legacy code hashes, not that of a provider.
    """

    @property
    def algorithm(self) -> str: ...
    @property
    def also(self) -> Digest | None: ...
    def __init__(self, algorithm: str, also: Digest | None = None) -> None: ...
    @staticmethod
    def restored(algorithm: str, state: bytes, also: Digest | None = None) -> Digest:
        """Return a digest that goes on where another one was when it gave *state*.

        Raises ValueError for what is not a whole state of this algorithm, and for an algorithm that
        has none.
        """

    @property
    def seen(self) -> int:
        """How many bytes there were, those before it was restored included; as ``state`` raises."""

    def state(self) -> bytes:
        """Return what ``restored`` goes on from; sha256 (108 bytes) and sha512 (204 bytes) only.

        It depends on the bytes alone: not on how they were cut, on the machine or on a version of
        libcrypto. Raises ValueError where the algorithm has none.
        """

    def update(self, data: Buffer) -> None:
        """Add *data* (contiguous bytes), also to ``also``. Releases the GIL for 16 KiB and more."""

    def digest(self) -> bytes:
        """Return the checksum of what was added so far; may be called repeatedly.

        Most significant byte first for the crcs, xxh3-64 and xxh128 (their canonical form).
        """

    def reset(self) -> None:
        """Begin anew, as if nothing had been added; ``also`` goes on."""

def digest_of(algorithm: str, data: Buffer) -> bytes:
    """Return the checksum of *data* from a second source: hashlib, the xxhash package, our crcs.

    Releases the GIL for large data. Raises ValueError for an unknown algorithm.
    """

def digest_size(algorithm: str) -> int:
    """Return how many bytes a checksum of *algorithm* has; ValueError for an unknown one."""
