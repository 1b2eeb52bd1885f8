"""Many clients at one upload, each of which errs, stalls or goes away at random."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Final

import pytest

from tests.deadline import eventually
from tests.property.test_cuts import content_of
from tests.wire import CHUNKED, NoAnswerError, render_chunks

if TYPE_CHECKING:
    from tests.endpoint import Endpoint

LENGTH: Final = 400_000
CLIENTS: Final = 6
TRIES: Final = 60
KINDS: Final = ("plain", "chunked", "right checksum", "wrong checksum", "trailer")


class Crowd:
    """One upload, and what every client has seen of it."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.content = content_of(LENGTH)
        self.upload = endpoint.create(LENGTH)
        self.wrong: list[str] = []
        self._highest = 0
        self._seen = threading.Lock()

    def look(self) -> int:
        """Return the offset; note it as wrong where it went back or the bytes are others."""
        with self._seen:
            before = self._highest
        offset = self.endpoint.offset(self.upload)
        if offset < before:
            self.wrong.append(f"the offset went back from {before} to {offset}")
        if self.endpoint.stored(self.upload)[:offset] != self.content[:offset]:
            self.wrong.append(f"the first {offset} bytes are others")
        with self._seen:
            self._highest = max(self._highest, offset)
        return offset

    def request(self, kind: str, offset: int, size: int) -> bytes:
        """Return a PATCH of *size* bytes."""
        body = self.content[offset : offset + size]
        fields: dict[str, str] = {}
        if kind == "chunked":
            body, fields = render_chunks([body[: size // 2], body[size // 2 :]]), CHUNKED
        elif kind == "trailer":
            ((name, value),) = self.endpoint.checksum(body).items()
            body = render_chunks([body], f"{name}: {value}\r\n".encode())
            fields = {"Trailer": name, **CHUNKED}
        elif kind == "wrong checksum":
            fields = self.endpoint.checksum(body + b"!")
            body = body.swapcase()  # other bytes, which must never be seen
        elif kind == "right checksum":
            fields = self.endpoint.checksum(body)
        return self.endpoint.render_append(self.upload, offset, body, fields)

    def run(self, seed: int) -> None:
        """Be one client: look, send, and perhaps break off."""
        chance = random.Random(seed)
        for _ in range(TRIES):
            offset = self.look()
            size = min(chance.choice([1, 100, 3000, 20_000]), LENGTH - offset)
            kind = chance.choice(KINDS)
            request = self.request(kind, offset, size)
            with self.endpoint.connect() as wire:
                if chance.random() < 0.5:
                    wire.send_pieces([request[: chance.randint(0, len(request))]])
                    if chance.random() < 0.5:
                        wire.reset()
                    continue
                wire.send_pieces([request])
                try:
                    status = wire.read().status
                except (NoAnswerError, ConnectionResetError):
                    continue
            if status not in {204, 409, 413, 423, self.endpoint.mismatched}:
                self.wrong.append(f"{kind} was answered by {status}")
            if status == self.endpoint.mismatched and kind != "wrong checksum":
                self.wrong.append(f"{kind} was taken for a wrong checksum")
            if status == 204 and kind == "wrong checksum" and size:
                self.wrong.append("a wrong checksum was taken for a right one")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whatever_a_crowd_does_the_bytes_are_right_and_the_offset_grows(
    either: Endpoint, seed: int
) -> None:
    """T068, T074, T076 and T141, or I11, I22 and I29, together."""
    crowd = Crowd(either)
    clients = [
        threading.Thread(target=crowd.run, args=(seed * 1000 + number,))
        for number in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert crowd.wrong == []

    def completes() -> bool:
        offset = crowd.look()
        return either.took(either.append(crowd.upload, offset, crowd.content[offset:], ends=True))

    eventually(completes)
    assert crowd.wrong == []
    assert either.is_complete(crowd.upload)
    either.assert_holds(crowd.upload, crowd.content)
