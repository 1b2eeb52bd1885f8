"""The requests that run, as a dump and the status page tell of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fileloft_fast.errors import FileloftError

if TYPE_CHECKING:
    from fileloft_fast.app.storage import Storage
    from fileloft_fast.http1.body import RequestBody
    from fileloft_fast.model import UploadId, UploadInfo
    from fileloft_fast.observe.request import Request
    from fileloft_fast.stores import AnyStore
    from fileloft_fast.uploads.locks import Hold


async def info_of(storage: Storage, upload: str) -> UploadInfo | None:
    """Return what is known here of *upload*; no object store is asked for it."""
    known: UploadId = upload  # type: ignore[assignment] # of a hold, or checked by its pattern
    receptions = () if storage.named is None else storage.named.receptions
    stores: list[AnyStore] = [reception.store for reception in receptions]
    if storage.flusher is None:
        stores.insert(0, storage.store)
    elif known in storage.flusher.shipments:
        return storage.flusher.shipments[known].info
    for store in stores:
        try:
            return (await store.load(known)).info  # type: ignore[no-any-return]
        except FileloftError:
            continue
    return None


def received_by(body: RequestBody, hold: Hold | None) -> int:
    """Return how much of *body* has come, also while the engine reads it."""
    if hold is not None and hold.transfer is not None:
        return max(body.received, hold.transfer.moved)
    return body.received


def state_of(body: RequestBody, request: Request, hold: Hold | None) -> str:
    """Return what *request* does or waits for."""
    if request.doing:
        return request.doing
    if hold is not None and hold.writing:
        return "writing"
    if hold is not None and not body.at_hand:
        return "receiving"
    return "sending" if request.head.method == "GET" else "working"
