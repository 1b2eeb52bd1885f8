"""What this server allows by this protocol, as one frozen value."""

from dataclasses import dataclass, field
from enum import StrEnum

from fileloft_fast.tus.rules import TusRules


class Mode(StrEnum):
    """Which requests are taken for resumable ones.

    ``DRAFTS``: those that name a version that is spoken. ``ON``: those of the final form, too.
    """

    OFF = "off"
    DRAFTS = "drafts"
    ON = "on"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumableRules:
    """What ``claim``, ``plan`` and ``Answers`` go by; paths and the largest size are tus's.

    All sizes are bytes, 0 is no limit. Below ``min_size`` no resumption is offered.
    Raises ValueError where no append could have a size that is allowed.
    """

    tus: TusRules = field(default_factory=TusRules)
    mode: Mode = Mode.DRAFTS
    min_size: int = 0
    max_append_size: int = 0
    min_append_size: int = 0

    def __post_init__(self) -> None:
        if 0 < self.max_append_size < self.min_append_size:
            raise ValueError("the smallest append is larger than the largest")
        if 0 < self.tus.max_size < self.min_size:
            raise ValueError("the smallest upload is larger than the largest")
