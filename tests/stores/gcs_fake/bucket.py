"""What the fake keeps on disk: objects and resumable sessions, by Google's rules.

A directory survives a kill: every object and session is a data file with a JSON file beside it,
written last. No method waits for anything but the disk.
"""

from __future__ import annotations

import base64
import itertools
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, BinaryIO, Final, TypeVar

import google_crc32c
import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from pathlib import Path

GRANULE: Final = 256 * 1024
_READ_BYTES: Final = 1024 * 1024
_KEPT: Final = ("contentType", "contentDisposition", "contentEncoding")


class RefusalError(Exception):
    """An answer that is not a success."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class StoredObject(Struct, frozen=True):
    """One generation of an object."""

    name: str
    generation: int
    size: int
    crc32c: str
    attributes: dict[str, str]
    metadata: dict[str, str]


class StoredSession(Struct):
    """A resumable session; its bytes are a file that holds nothing but what is persisted."""

    name: str
    upload: str
    wanted_generation: int | None
    crc32c: str | None
    attributes: dict[str, str]
    metadata: dict[str, str]
    state: str = "open"
    generation: int = 0


_S = TypeVar("_S", bound=Struct)


class Bucket:
    """One bucket under *directory*."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        (directory / "objects").mkdir(parents=True, exist_ok=True)
        (directory / "sessions").mkdir(exist_ok=True)
        stored = sorted(self._load("objects", StoredObject), key=lambda one: one.generation)
        self.objects = {one.name: one for one in stored}
        self.sessions = {one.upload: one for one in self._load("sessions", StoredSession)}
        first = max((one.generation for one in stored), default=int(time.time() * 1e6))
        self._generations = itertools.count(first + 1)

    def path(self, stored: StoredObject) -> Path:
        """Return where the bytes of an object are."""
        return self._directory / "objects" / str(stored.generation)

    def session_path(self, session: StoredSession) -> Path:
        """Return where the bytes of a session are."""
        return self._directory / "sessions" / session.upload

    def found(self, name: str, generation: str | None = None) -> StoredObject:
        """Return an object, of that generation where one is named. Raises RefusalError."""
        stored = self.objects.get(name)
        if stored is None or (generation and int(generation) != stored.generation):
            raise RefusalError(404, f"No such object: {name}")
        return stored

    def check(self, name: str, wanted_generation: int | None) -> None:
        """Raise RefusalError where another generation is there; 0: where any is."""
        if wanted_generation is None:
            return
        stored = self.objects.get(name)
        if wanted_generation != (0 if stored is None else stored.generation):
            raise RefusalError(412, "a precondition you specified did not hold")

    def names(self, prefix: str, after: str) -> Iterator[str]:
        """Go through names that begin with *prefix* and come after *after*, in order."""
        return (name for name in sorted(self.objects) if name.startswith(prefix) and name > after)

    def put(
        self, resource: Mapping[str, object], wanted_generation: int | None, data: bytes
    ) -> StoredObject:
        """Store an object that came in one request."""
        path = self._new_file()
        path.write_bytes(data)
        return self._store(path, resource, wanted_generation)

    def compose(
        self,
        resource: Mapping[str, object],
        wanted_generation: int | None,
        sources: Sequence[StoredObject],
    ) -> StoredObject:
        """Store an object made of others."""
        path = self._new_file()
        with path.open("wb") as file:
            for source in sources:
                with self.path(source).open("rb") as part:
                    shutil.copyfileobj(part, file, _READ_BYTES)
        return self._store(path, resource, wanted_generation)

    def delete(self, stored: StoredObject) -> None:
        """Delete an object."""
        del self.objects[stored.name]
        self._forget(stored)

    def open_session(
        self, resource: Mapping[str, object], wanted_generation: int | None
    ) -> StoredSession:
        """Begin a resumable session."""
        session = StoredSession(
            name=str(resource["name"]),
            upload=secrets.token_urlsafe(24),
            wanted_generation=wanted_generation,
            crc32c=_text(resource.get("crc32c")),
            attributes=_attributes(resource),
            metadata=_metadata(resource),
        )
        self.session_path(session).touch()
        self._save("sessions", session.upload, session)
        self.sessions[session.upload] = session
        return session

    def persisted(self, session: StoredSession) -> int:
        """Return how many bytes a session holds: a multiple of 256 KiB until it is finished."""
        return self.session_path(session).stat().st_size // GRANULE * GRANULE

    def end(self, session: StoredSession, state: str) -> None:
        """Throw the bytes of a session away; what became of it is remembered."""
        self.session_path(session).unlink(missing_ok=True)
        session.state = state
        self._save("sessions", session.upload, session)

    def finish(self, session: StoredSession, told_crc32c: str | None) -> StoredObject:
        """Make the object of a session whose bytes are all there; checked only here.

        A refusal ends the session.
        """
        resource: Mapping[str, object] = {
            "name": session.name,
            "crc32c": told_crc32c or session.crc32c,
            "metadata": session.metadata,
            **session.attributes,
        }
        try:
            stored = self._store(self.session_path(session), resource, session.wanted_generation)
        except RefusalError:
            self.end(session, "failed")
            raise
        session.generation = stored.generation
        self.end(session, "done")
        return stored

    def wipe(self) -> None:
        """Forget everything."""
        for stored in list(self.objects.values()):
            self.delete(stored)
        for session in self.sessions.values():
            self.session_path(session).unlink(missing_ok=True)
            (self._directory / "sessions" / f"{session.upload}.json").unlink()
        self.sessions.clear()

    def _store(
        self, path: Path, resource: Mapping[str, object], wanted_generation: int | None
    ) -> StoredObject:
        """Move a file to where objects are, if checksum and condition hold. Raises RefusalError."""
        name = str(resource["name"])
        with path.open("rb") as file:
            size, crc32c = os.fstat(file.fileno()).st_size, crc32c_of(file)
        try:
            _check_crc32c(_text(resource.get("crc32c")), crc32c)
            self.check(name, wanted_generation)
        except RefusalError:
            path.unlink()
            raise
        stored = StoredObject(
            name=name,
            generation=next(self._generations),
            size=size,
            crc32c=crc32c,
            attributes=_attributes(resource),
            metadata=_metadata(resource),
        )
        path.rename(self.path(stored))
        self._save("objects", str(stored.generation), stored)
        former = self.objects.get(name)
        self.objects[name] = stored
        if former is not None:
            self._forget(former)
        return stored

    def _forget(self, stored: StoredObject) -> None:
        (self._directory / "objects" / f"{stored.generation}.json").unlink()
        self.path(stored).unlink()

    def _new_file(self) -> Path:
        return self._directory / "objects" / f"new-{secrets.token_hex(8)}"

    def _save(self, kind: str, name: str, value: Struct) -> None:
        path = self._directory / kind / f"{name}.json"
        path.with_suffix(".tmp").write_bytes(msgspec.json.encode(value))
        path.with_suffix(".tmp").rename(path)

    def _load(self, kind: str, type_: type[_S]) -> list[_S]:
        paths = (self._directory / kind).glob("*.json")
        return [msgspec.json.decode(path.read_bytes(), type=type_) for path in paths]


def crc32c_of(file: BinaryIO) -> str:
    """Return the checksum of the rest of a file as Google writes it."""
    crc = 0
    while data := file.read(_READ_BYTES):
        crc = google_crc32c.extend(crc, data)
    return base64.b64encode(crc.to_bytes(4, "big")).decode()


def _check_crc32c(told: str | None, calculated: str) -> None:
    if told and told != calculated:
        raise RefusalError(
            400, f'Provided CRC32C "{told}" doesn\'t match calculated CRC32C "{calculated}".'
        )


def _attributes(resource: Mapping[str, object]) -> dict[str, str]:
    return {name: str(resource[name]) for name in _KEPT if resource.get(name)}


def _metadata(resource: Mapping[str, object]) -> dict[str, str]:
    metadata = resource.get("metadata") or {}
    assert isinstance(metadata, dict)
    return {str(name): str(value) for name, value in metadata.items()}


def _text(value: object) -> str | None:
    return None if value is None else str(value)
