"""Who may see the status, and how often somebody may be wrong."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, cast

import pytest
from msgspec.structs import replace

from fileloft_fast.errors import ForbiddenError, TooManyTriesError, UnauthorizedError
from fileloft_fast.model import Operation, Peer, Permit, RequestHead
from fileloft_fast.pages.gate import Gate

if TYPE_CHECKING:
    from fileloft_fast.access import Access

KEY = "a key of the status page of 32 bytes or more".replace(" ", "-")
OTHER = KEY[::-1]
ADMIN = frozenset({Operation.ADMIN})


def head(
    authorization: str | None, client: str = "192.0.2.1:40000", query: str = ""
) -> RequestHead:
    headers = {} if authorization is None else {"authorization": authorization}
    return RequestHead("GET", "/ui/status/events", headers, peer=Peer(client), query=query)


def admit(gate: Gate, authorization: str | None, client: str = "192.0.2.1:40000") -> float:
    return asyncio.run(gate.admit(head(authorization, client)))


class Tokens:
    """Admits whatever comes with *permit*; None refuses it."""

    def __init__(self, permit: Permit | None) -> None:
        self.permit = permit
        self.asked: list[RequestHead] = []

    async def admit(self, asked: RequestHead) -> RequestHead:
        self.asked.append(asked)
        if self.permit is None:
            raise UnauthorizedError("no")
        return replace(asked, permit=self.permit)


def gate_with(permit: Permit | None) -> Gate:
    return Gate([KEY], cast("Access", Tokens(permit)))


@pytest.mark.parametrize("said", [f"Bearer {KEY}", f"bearer  {KEY}", f"BEARER {OTHER}"])
def test_each_key_opens_for_good(said: str) -> None:
    assert admit(Gate([KEY, OTHER]), said) == math.inf


@pytest.mark.parametrize(
    "said",
    [
        *(None, "", KEY, f"Basic {KEY}", "Bearer", "Bearer ", f"Bearer {KEY} {KEY}"),
        *(f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", f"Bearer {KEY.upper()}"),
        *(f"Bearer {KEY},{OTHER}", "Bearer \xe9" * 40),
    ],
)
def test_nothing_else_opens(said: str | None) -> None:
    with pytest.raises(UnauthorizedError):
        admit(Gate([KEY, OTHER]), said)


def test_wrong_keys_are_counted_by_address() -> None:
    gate = Gate([KEY])
    for _ in range(10):
        with pytest.raises(UnauthorizedError):
            admit(gate, "Bearer wrong")
    for said in ("Bearer wrong", f"Bearer {KEY}"):  # the right one too: else it could be told
        with pytest.raises(TooManyTriesError) as refused:
            admit(gate, said, "192.0.2.1:50000")
        assert 1 <= refused.value.retry_after_s <= 6
    assert admit(gate, f"Bearer {KEY}", "192.0.2.2:40000") == math.inf


def test_tries_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, now = Gate([KEY]), time.monotonic()
    for _ in range(10):
        with pytest.raises(UnauthorizedError):
            admit(gate, "Bearer wrong")
    monkeypatch.setattr(time, "monotonic", lambda: now + 1000.0)
    assert admit(gate, f"Bearer {KEY}") == math.inf


def test_who_sends_no_key_at_all_has_not_tried() -> None:
    gate = Gate([KEY])
    for _ in range(50):
        with pytest.raises(UnauthorizedError):
            admit(gate, None)
    assert admit(gate, f"Bearer {KEY}") == math.inf


def test_a_network_of_ipv6_is_one_client() -> None:
    gate = Gate([KEY])
    for number in range(10):
        with pytest.raises(UnauthorizedError):
            admit(gate, "Bearer wrong", f"[2001:db8::{number}]:40000")
    with pytest.raises(TooManyTriesError):
        admit(gate, f"Bearer {KEY}", "[2001:db8::ffff]:40000")
    assert admit(gate, f"Bearer {KEY}", "[2001:db8:0:1::1]:40000") == math.inf


def test_an_administrators_token_opens_until_it_ends() -> None:
    permit = Permit(subject="a", operations=ADMIN, expires_at=1234.5)
    assert admit(gate_with(permit), "Bearer a.b.c") == 1234.5


@pytest.mark.parametrize(
    "permit",
    [
        Permit(subject="a", operations=frozenset(Operation) - ADMIN, expires_at=math.inf),
        Permit(subject="a", operations=ADMIN, expires_at=math.inf, prefix="team"),
        Permit(subject="a", operations=ADMIN, expires_at=math.inf, upload="u"),
    ],
)
def test_a_token_that_does_not_see_everything_does_not_open(permit: Permit) -> None:
    with pytest.raises(ForbiddenError):
        admit(gate_with(permit), "Bearer a.b.c")


def test_a_wrong_token_is_a_wrong_key() -> None:
    gate = gate_with(None)
    for _ in range(10):
        with pytest.raises(UnauthorizedError):
            admit(gate, "Bearer a.b.c")
    with pytest.raises(TooManyTriesError):
        admit(gate, "Bearer a.b.c")


def test_a_token_in_a_url_does_not_count() -> None:
    tokens = Tokens(Permit(subject="a", operations=ADMIN, expires_at=math.inf))
    gate = Gate([KEY], cast("Access", tokens))
    with pytest.raises(UnauthorizedError):
        asyncio.run(gate.admit(head(None, query="token=a.b.c")))
    asyncio.run(gate.admit(head("Bearer a.b.c", query="token=d.e.f")))
    assert [asked.query for asked in tokens.asked] == [""]
