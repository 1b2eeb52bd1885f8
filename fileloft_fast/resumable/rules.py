"""What this server allows by this protocol, as one frozen value."""

from dataclasses import dataclass, field
from typing import Final

from fileloft_fast.model import InterimMode, RequestHead, ResumableMode
from fileloft_fast.tus.rules import TusRules

# What a proxy adds to a request that it passes on.
_PROXIED: Final = frozenset(
    {"via", "forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"}
)


# Names of the module: before Python 3.12, a look at an enum's member costs as much as a call.
_AUTO: Final = InterimMode.AUTO
_ON: Final = InterimMode.ON


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumableRules:
    """What ``claim``, ``plan`` and ``Answers`` go by; paths and the largest size are tus's.

    All sizes are bytes, 0 is no limit. Below ``min_size`` no resumption is offered.
    Raises ValueError where no append could have a size that is allowed.
    """

    tus: TusRules = field(default_factory=TusRules)
    mode: ResumableMode = ResumableMode.DRAFTS
    min_size: int = 0
    max_append_size: int = 0
    min_append_size: int = 0
    interim: InterimMode = InterimMode.AUTO

    def __post_init__(self) -> None:
        if 0 < self.max_append_size < self.min_append_size:
            raise ValueError("the smallest append is larger than the largest")
        if 0 < self.tus.max_size < self.min_size:
            raise ValueError("the smallest upload is larger than the largest")

    def may_announce(self, head: RequestHead) -> bool:
        """Whether an interim answer may be sent to *head*; never to HTTP/1.0 (I14)."""
        if head.http10:
            return False
        if self.interim is _AUTO:
            return _PROXIED.isdisjoint(head.headers)
        return self.interim is _ON


def least_size(min_size: int, max_size: int) -> int:
    """Return the smallest upload that is resumed where none is larger than *max_size*, 0 for any.

    A storage, or a token, may allow less than what the server's *min_size* asks for.
    """
    return min(min_size, max_size or min_size)
