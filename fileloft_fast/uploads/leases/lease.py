"""What a lock between replicas promises: one holder at a time, for as long as it renews."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from fileloft_fast.model import UploadId


class Lease(Protocol):
    """One upload, held by this replica until ``release`` or until it is lost."""

    @property
    def fence(self) -> int:
        """A number that grows with every new holder of the upload."""

    @property
    def lost(self) -> bool:
        """Whether it can no longer be counted on, by this replica's own clock and at this moment.

        True before anybody else gets the upload, and also where a stalled loop kept ``on_lost``.
        """

    async def release(self) -> None:
        """Give the upload up, and tell who waits.

        Never raises: a lease that could not be given up ends by itself.
        """


class Leases(Protocol):
    """The locks that all replicas share."""

    async def start(self) -> None:
        """Connect; a service that cannot be reached yet is no error."""

    async def close(self) -> None:
        """Release everything that is held and disconnect."""

    async def acquire(
        self,
        upload: UploadId,
        *,
        timeout_s: float,
        on_ask: Callable[[], None],
        on_lost: Callable[[], None],
    ) -> Lease:
        """Wait for the upload, asking its holder to let go, and hold it.

        *on_ask* is called when another replica wants it, at the earliest before this returns and
        perhaps more than once; *on_lost* when it can no longer be counted on, which is before
        anybody else gets it. Neither is called after ``release``.
        Raises UploadLockedError after *timeout_s*, and LockServiceError where the service cannot
        be reached. One call at a time for an upload: who stands in the way is in another replica.
        """
