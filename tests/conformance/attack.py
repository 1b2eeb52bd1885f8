"""Requests that must never work: each with a second, poisoned request right behind it.

Every attack is aimed at an upload of its own, TARGET, and followed by a PATCH of another one, the
victim: whatever the server makes of the attack, the victim must stay empty.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from tests.endpoint import Endpoint
    from tests.wire import Answer, Wire

TARGET: Final = b"@TARGET@"
POISON: Final = b"POISON"
CUTS: Final = ("whole", "bytes", "random")

_HEAD: Final = (
    b"PATCH " + TARGET + b" HTTP/1.1\r\nHost: upload.example\r\nTus-Resumable: 1.0.0\r\n"
    b"Upload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\n"
)


def patch(fields: bytes, body: bytes = b"") -> bytes:
    """Return a PATCH of TARGET with raw *fields*, each ended by CRLF, and a raw *body*."""
    return _HEAD + fields + b"\r\n" + body


def chunked(body: bytes) -> bytes:
    """Return a chunked PATCH of TARGET with a raw *body*."""
    return patch(b"Transfer-Encoding: chunked\r\n", body)


@dataclass(frozen=True, slots=True)
class Attack:
    """One hostile request: the case's number and name, its bytes, and which statuses are right.

    ``may_hold``: TARGET may have a beginning of these bytes afterwards, which came before anything
    was wrong.
    """

    case: str
    request: bytes
    statuses: frozenset[int] = frozenset({400})
    may_hold: bytes = b""


def attacks(*listed: Attack) -> pytest.MarkDecorator:
    """Return the parametrization over attacks, each sent whole and byte by byte."""
    parametrized = [
        pytest.param(attack, cut, id=f"{attack.case}-{cut}")
        for attack in listed
        for cut in ("whole", "bytes")
    ]
    return pytest.mark.parametrize(("attack", "cut"), parametrized)


def cut_into_pieces(data: bytes, cut: str) -> Iterator[bytes]:
    """Yield *data* as it is to be sent: whole, byte by byte, or at places that *data* decides."""
    if cut == "whole":
        yield data
        return
    places = random.Random(data)
    at = 0
    while at < len(data):
        size = 1 if cut == "bytes" else places.randint(1, 40)
        yield data[at : at + size]
        at += size


class Scene:
    """A target and a victim on one server, and the proof that neither was harmed."""

    def __init__(self, endpoint: Endpoint, length: int = 10) -> None:
        self.endpoint = endpoint
        self.target = endpoint.create(length)
        self.victim = endpoint.create(len(POISON))
        self.poison = endpoint.render_append(self.victim, 0, POISON)
        self._uploads = endpoint.files()

    def aim(self, request: bytes) -> bytes:
        """Return *request* with the target's path in it."""
        return request.replace(TARGET, self.target.encode())

    def assert_unharmed(self, may_hold: bytes = b"") -> None:
        """Assert that the victim is empty, nothing was created, and what TARGET holds is right."""
        self.endpoint.assert_holds(self.victim, b"")
        assert self.endpoint.files() == self._uploads
        content = self.endpoint.stored(self.target)
        assert may_hold.startswith(content), content
        self.endpoint.assert_holds(self.target, content)

    def assert_target_holds(self, content: bytes) -> None:
        """Assert that TARGET has *content* and the victim nothing."""
        self.endpoint.assert_holds(self.target, content)
        self.endpoint.assert_holds(self.victim, b"")
        assert self.endpoint.files() == self._uploads


def read_refusal(wire: Wire) -> Answer:
    """Read an answer after which the server says that it closes, and does."""
    answer = wire.read()
    assert answer.closes, answer
    wire.assert_silent_end()
    return answer


def assert_refused(endpoint: Endpoint, attack: Attack, cut: str, *, length: int = 10) -> None:
    """Send *attack* with poison behind it: one refusal comes, nothing else happens."""
    scene = Scene(endpoint, length)
    data = scene.aim(attack.request) + scene.poison
    with endpoint.connect() as wire:
        wire.send_pieces(cut_into_pieces(data, cut))
        assert read_refusal(wire).status in attack.statuses
    scene.assert_unharmed(attack.may_hold)
