"""Uploads that are set aside: what this spool has of them is not to be trusted, nor to be lost."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from fileloft_fast.errors import StoreError
from fileloft_fast.observe.log import fields

if TYPE_CHECKING:
    from fileloft_fast.model import UploadId

log = logging.getLogger(__name__)


class _EverySession:
    """Contains the name of any session."""

    def __contains__(self, name: object) -> bool:
        return True


EVERY_SESSION: Final = _EverySession()


class Quarantine:
    """The uploads of a spool that are left as they are until somebody has looked, and why.

    Which of their bytes have left is not known, or bytes that were promised cannot be had. They are
    not served, not shipped and not deleted, by nobody: the files may be all that there is. Nothing
    of this is written down: the next start tries again.
    """

    def __init__(self) -> None:
        self._reasons: dict[UploadId, str] = {}

    def __contains__(self, upload: object) -> bool:
        return upload in self._reasons

    def add(self, upload: UploadId, reason: object) -> None:
        """Set *upload* aside; said once, for an operator to act on."""
        self._reasons[upload] = str(reason)
        log.error("upload set aside: its files are kept", extra=fields(id=upload, reason=reason))

    def check(self, upload: UploadId) -> None:
        """Raise StoreError where *upload* was set aside."""
        reason = self._reasons.get(upload)
        if reason is not None:
            raise StoreError(f"the upload was set aside: {reason}")
