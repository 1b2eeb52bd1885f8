"""⑤ The compiled engine, as the rest of the project sees it; nothing else imports it directly."""

from __future__ import annotations

from fileloft_fast.dataplane.ages import read_aged
from fileloft_fast.dataplane.digest import ALGORITHMS, Digest, digest_of, digest_size
from fileloft_fast.dataplane.engine import SYNC_DATA, SYNC_NAME, SYNC_NONE, Engine
from fileloft_fast.dataplane.head import maybe_split_head
from fileloft_fast.dataplane.tally import Tally
from fileloft_fast.dataplane.transfers import Transfer

__all__ = [
    "ALGORITHMS",
    "SYNC_DATA",
    "SYNC_NAME",
    "SYNC_NONE",
    "Digest",
    "Engine",
    "Tally",
    "Transfer",
    "digest_of",
    "digest_size",
    "maybe_split_head",
    "read_aged",
]
