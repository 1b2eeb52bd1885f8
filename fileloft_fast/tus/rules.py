"""What this server allows: the settings that the protocol depends on, as one frozen value."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from fileloft_fast.model import Capability

TUS_VERSION: Final = "1.0.0"
"""The one version of tus that this server speaks."""

LARGEST: Final = 2**63 - 1
"""The largest length and offset: what a signed 64-bit file offset holds."""

DIGEST_SIZES: Final[Mapping[str, int]] = {
    "sha1": 20,
    "sha256": 32,
    "sha512": 64,
    "md5": 16,
    "crc32": 4,
    "crc32c": 4,
    "xxh3-64": 8,
    "xxh128": 16,
}
"""Every checksum that the engine knows with the size of its digest, in the order advertised."""

# tus 1.0: an extension that means nothing without another is not advertised without it (T027).
NEEDS: Final[tuple[tuple[Capability, Capability], ...]] = (
    (Capability.CREATION_WITH_UPLOAD, Capability.CREATION),
    (Capability.CREATION_DEFER_LENGTH, Capability.CREATION),
    (Capability.CONCATENATION, Capability.CREATION),
    (Capability.CHECKSUM_TRAILER, Capability.CHECKSUM),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CorsRules:
    """Which pages of other origins a browser lets use this server.

    ``allow_headers`` and ``expose_headers`` are the operator's additions to our own lists.
    Raises ValueError for ``*`` together with credentials, which no browser accepts.
    """

    enabled: bool = True
    allow_origins: tuple[str, ...] = ("*",)
    credentials: bool = False
    allow_headers: str = ""
    expose_headers: str = ""
    max_age_s: int = 86400

    def __post_init__(self) -> None:
        if self.enabled and self.credentials and "*" in self.allow_origins:
            raise ValueError("CORS: '*' cannot be allowed together with credentials")


@dataclass(frozen=True, slots=True, kw_only=True)
class TusRules:
    """What ``plan`` and ``Answers`` go by.

    ``base_path`` begins and ends with a slash. ``algorithms`` maps a checksum to the size of its
    digest in bytes, in the order in which they are advertised. ``max_size`` 0 is no limit.
    ``base_url`` is what stands before ``base_path`` in a Location, without a slash at its end.
    ``is_proxy`` says whether an address, without its port, is a trusted proxy's; None: no list.
    ``collection`` holds the paths that the collection answers under. A capability that needs
    another one is dropped where that is off.
    """

    base_path: str = "/files/"
    capabilities: frozenset[Capability] = frozenset(Capability)
    algorithms: Mapping[str, int] = field(default_factory=lambda: DIGEST_SIZES)
    max_size: int = 0
    base_url: str | None = None
    behind_proxy: bool = False
    is_proxy: Callable[[str], bool] | None = None
    expire_finished: bool = False
    cors: CorsRules = field(default_factory=CorsRules)
    collection: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        if not (self.base_path.startswith("/") and self.base_path.endswith("/")):
            raise ValueError(f"base path {self.base_path!r} must begin and end with a slash")
        offered = set(self.capabilities)
        if not self.algorithms:
            offered.discard(Capability.CHECKSUM)
        for capability, needed in NEEDS:
            if needed not in offered:
                offered.discard(capability)
        object.__setattr__(self, "capabilities", frozenset(offered))
        paths = {self.base_path, self.base_path.removesuffix("/")}
        object.__setattr__(self, "collection", frozenset(paths))
