"""The client that waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar

from fileloft_fast.storage.calls import Call, Calls
from fileloft_fast.storage.failures import StorageError
from fileloft_fast.storage.load import load_wire
from fileloft_fast.storage.patience import Patience

if TYPE_CHECKING:
    import httpx2

    from fileloft_fast.storage.bodies import Data
    from fileloft_fast.storage.values import StoredObject
    from fileloft_fast.storage.wire import Incoming, Wire
    from fileloft_fast.storages.description import Kind, Method, UploadDescription

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Download:
    """An object that is being read: what it is, and its bytes, or those of a range, once."""

    object: StoredObject
    pieces: Iterator[bytes]

    def __iter__(self) -> Iterator[bytes]:
        return self.pieces


class Storage:
    """One storage of a server, for an app server that has one of its keys.

    Any number of threads may use it; connections are kept between calls. Close it, or use it in a
    ``with``.

    A call that did not reach the server, or that it had no time for, is tried again, *retries*
    times at most, after pauses of at most *longest_pause_s*; one whose answer was lost only where
    doing it twice is doing it once. *timeout_s* is how long the server may be silent. *client* is
    used instead of one of its own, for proxies and certificates, and not closed.

    Every method raises StorageError's children, and InvalidPathError for what is no path.
    """

    def __init__(  # noqa: PLR0913 - what is asked for by name, with a default each
        self,
        url: str,
        key: str,
        storage: str = "public",
        *,
        timeout_s: float = 60.0,
        retries: int = 2,
        longest_pause_s: float = 5.0,
        client: httpx2.Client | None = None,
    ) -> None:
        self._calls = Calls(url, key, storage)
        self._patience = Patience(retries, longest_pause_s)
        self._wire: Wire = load_wire().Wire(timeout_s, client)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._wire.close()

    def create_ticket(  # noqa: PLR0913 - the limits of a ticket, each by its name
        self,
        path: str,
        *,
        max_size: int | None = None,
        expires_in: int | None = None,
        overwrite: bool = True,
        content_type: str | None = None,
        kind: Kind = "binary",
        method: Method = "PUT",
        file_name: str | None = None,
    ) -> UploadDescription:
        """Return what a client needs to bring one file to *path* by itself, once.

        It may have *max_size* bytes and must be there within *expires_in* seconds, as the server is
        set where they are None. Nobody sees it before ``verify``. Where *overwrite* is False, a
        file that is there by then stays. *content_type* is what it is served as, else what the
        client says. Of *kind* ``multipart`` it comes as a form; *method* is about ``binary``.
        *file_name* is for the client alone.
        """
        return self._do(
            self._calls.create_ticket(
                path,
                max_size=max_size,
                expires_in=expires_in,
                overwrite=overwrite,
                content_type=content_type,
                kind=kind,
                method=method,
                file_name=file_name,
            )
        )

    def verify(self, path: str) -> bool:
        """Keep what a client brought to *path* by a ticket, and show it; True once.

        False where nothing came, or not all of it, or where it was verified before. What is not
        verified when its ticket has expired is deleted. It is not asked again where the answer was
        lost (``UnavailableError.perhaps_done``): ``exists`` says then what became of it.
        Raises ObjectExistsError where it was not to overwrite, and another came first.
        """
        return self._do(self._calls.verify(path))

    def exists(self, path: str) -> bool:
        """Return whether there is an object at *path*, one that was verified."""
        return self._do(self._calls.exists(path))

    def stat(self, path: str) -> StoredObject:
        """Return what the object at *path* is. Raises NotFoundError."""
        return self._do(self._calls.stat(path))

    def retrieve(self, path: str) -> bytes:
        """Return the object at *path*, all of it in memory. Raises NotFoundError."""
        return self._do(self._calls.retrieve(path))

    @contextmanager
    def open(self, path: str, *, start: int = 0, length: int | None = None) -> Iterator[Download]:
        """Lend the object at *path* for reading, or *length* bytes of it from *start* on.

        Raises NotFoundError at once, and UnavailableError where the connection breaks later: what
        has come counts, and the rest can be asked for by *start*.
        """
        incoming, found = self._open(self._calls.read(path, start, length))
        try:
            yield Download(found, incoming.pieces())
        finally:
            incoming.close()

    def stream(self, path: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Go through the bytes of the object at *path*, as ``open`` reads them."""
        with self.open(path, start=start, length=length) as download:
            yield from download

    def store(
        self, path: str, data: Data, *, content_type: str | None = None, overwrite: bool = True
    ) -> StoredObject:
        """Make *data* the object at *path*, whole and durable, and return what it is.

        A file is sent from where it stands. Raises ObjectExistsError where *overwrite* is False
        and there is one, TooLargeError where the storage does not take so much.
        """
        return self._do(
            self._calls.store(path, data, content_type=content_type, overwrite=overwrite)
        )

    def delete(self, path: str) -> bool:
        """Remove the object at *path*, also one that waits to be verified; False where none is."""
        return self._do(self._calls.delete(path))

    def list(self, prefix: str = "", *, page_size: int | None = None) -> Iterator[StoredObject]:
        """Go through the objects whose path begins with *prefix*, in the order of their paths.

        They are asked for by pages, so what changes meanwhile may be seen or not.
        """
        after: str | None = None
        while True:
            page = self._do(self._calls.page(prefix, after, page_size))
            yield from page.objects
            if page.next is None:
                return
            after = page.next

    def public_url(self, path: str) -> str | None:
        """Return where everybody can get the object at *path*.

        None where there is none, or where the storage is not public.
        """
        return self._do(self._calls.public_url(path))

    def signed_url(self, path: str, *, expires_in: int = 3600) -> str | None:
        """Return a URL by which whoever has it gets the object at *path* for *expires_in* seconds.

        None where there is none.
        """
        return self._do(self._calls.signed_url(path, expires_in))

    def _do(self, call: Call[Value]) -> Value:
        return self._patiently(call, lambda: call.read(self._wire.ask(call)))

    def _open(self, call: Call[Value]) -> tuple[Incoming, Value]:
        return self._patiently(call, lambda: self._try_to_open(call))

    def _try_to_open(self, call: Call[Value]) -> tuple[Incoming, Value]:
        incoming = self._wire.open(call)
        try:
            head = incoming.head
            return incoming, call.read(head if head.status < 400 else incoming.whole())
        except StorageError:
            incoming.close()
            raise

    def _patiently(self, call: Call[object], work: Callable[[], Value]) -> Value:
        tries = 0
        while True:
            tries += 1
            try:
                return work()
            except StorageError as error:
                pause_s = self._patience.pause_s(error, tries, call)
            time.sleep(pause_s)
