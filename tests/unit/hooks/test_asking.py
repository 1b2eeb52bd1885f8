"""Several hooks are asked in their order; the first that rejects ends the round."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from fileloft_fast.config import HookEvent
from fileloft_fast.errors import (
    HookFailedError,
    HookUnavailableError,
    RefusedByHookError,
    ShuttingDownError,
)
from fileloft_fast.hooks.access import Access
from fileloft_fast.hooks.asking import Asking
from fileloft_fast.hooks.verdict import answer_of, merge
from fileloft_fast.hooks.wire import HookRequest, HookResponse, response_of
from fileloft_fast.model import Peer, RequestHead, UploadId

if TYPE_CHECKING:
    from fileloft_fast.hooks.sink import Call

REQUEST = HookRequest(type="pre-create")


class Mouth:
    """A hook that says what it was told to say, one after another."""

    def __init__(self, *said: object) -> None:
        self.name = "mouth"
        self.calls: list[Call] = []
        self._said = list(said)

    def wants(self, event: HookEvent) -> bool:
        return event is not HookEvent.PRE_FINISH

    async def call(self, call: Call) -> HookResponse:
        self.calls.append(call)
        said = self._said.pop(0) if len(self._said) > 1 else self._said[0]
        if isinstance(said, Exception):
            raise said
        if said == "hang":
            await asyncio.Event().wait()
        return response_of(said)

    async def close(self) -> None:
        pass


def ask(*mouths: Mouth, retry: int = 2) -> list[HookResponse]:
    asking = Asking(mouths, retry=retry, backoff_s=0.0)
    return asyncio.run(asking.ask(HookEvent.PRE_CREATE, REQUEST))


def with_fields(status: int, **fields: str) -> dict[str, object]:
    return {"HTTPResponse": {"StatusCode": status, "Header": fields}}


def test_a_later_word_counts_field_by_field() -> None:
    said = ask(Mouth(with_fields(201, a="1", b="1")), Mouth(with_fields(0, B="2")))
    answer = merge(answer_of(each) for each in said)
    assert answer.status == 201
    assert answer.fields == (("A", "1"), ("B", "2"))


def test_nobody_is_asked_after_one_that_rejects() -> None:
    first, second = Mouth({"RejectUpload": True}), Mouth({})
    assert ask(first, second)[-1].reject_upload
    assert second.calls == []


def test_a_try_that_may_do_is_made_again_with_the_same_key() -> None:
    mouth = Mouth(HookUnavailableError("busy"), HookUnavailableError("busy"), {})
    ask(mouth)
    assert len({call.key for call in mouth.calls}) == 1
    with pytest.raises(HookUnavailableError):
        ask(Mouth(HookUnavailableError("busy")), retry=3)


@pytest.mark.parametrize("error", [HookFailedError("no"), RefusedByHookError("no")])
def test_a_failure_that_stays_is_not_tried_again(error: Exception) -> None:
    mouth = Mouth(error)
    with pytest.raises(type(error)):
        ask(mouth)
    assert len(mouth.calls) == 1


@pytest.mark.parametrize(
    "refusal",
    [
        RefusedByHookError("no", answer_status=99),
        RefusedByHookError("no", answer_status=401, answer_fields=(("X-A", "b\r\nc: d"),)),
        RefusedByHookError("no", answer_status=401, answer_fields=(("Content-Length", "7"),)),
    ],
)
def test_a_refusal_that_http_forbids_is_a_failure(refusal: RefusedByHookError) -> None:
    with pytest.raises(HookFailedError):
        ask(Mouth(refusal))


def test_a_bug_of_a_hook_is_a_failure_of_the_hook() -> None:
    with pytest.raises(HookFailedError):
        ask(Mouth(ValueError("a bug")))


def test_a_halt_ends_every_wait_and_every_later_ask() -> None:
    async def scene() -> None:
        asking = Asking([Mouth("hang")], retry=0, backoff_s=0.0)
        waiting = asyncio.ensure_future(asking.ask(HookEvent.PRE_CREATE, REQUEST))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        asking.halt()
        with pytest.raises(ShuttingDownError):
            await waiting
        with pytest.raises(ShuttingDownError):
            await asking.ask(HookEvent.PRE_CREATE, REQUEST)

    asyncio.run(scene())


# -- what is remembered of pre-access -------------------------------------------------------------


class Door:
    """Access with a clock that the test turns."""

    def __init__(self, *said: object, ttl_s: float = 0.0) -> None:
        self.mouth = Mouth(*said)
        self.now = 100.0
        asking = Asking([self.mouth], retry=0, backoff_s=0.0)
        self.access = Access(asking, ttl_s=ttl_s, forward=["X-User"], clock=lambda: self.now)

    def opens(self, upload: str = "a", method: str = "HEAD", peer: str = "", **fields: str) -> bool:
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        head = RequestHead(method, f"/files/{upload}", named, peer=Peer(peer))
        try:
            asyncio.run(self.access.check(head, [UploadId(upload)], joins=False))
        except RefusedByHookError:
            return False
        return True

    @property
    def asked(self) -> int:
        return len(self.mouth.calls)


def test_nothing_is_remembered_unless_somebody_says_so() -> None:
    door = Door({})
    assert door.opens()
    assert door.opens()
    assert door.asked == 2


def test_a_yes_is_remembered_by_the_setting_and_a_no_is_not() -> None:
    door = Door({}, ttl_s=5.0)
    assert door.opens()
    assert door.opens()
    assert door.asked == 1
    door.now += 5.0
    assert door.opens()
    assert door.asked == 2
    closed = Door({"RejectAccess": True}, ttl_s=5.0)
    assert not closed.opens()
    assert not closed.opens()
    assert closed.asked == 2


def test_a_no_is_remembered_where_the_hook_says_so() -> None:
    door = Door({"RejectAccess": True, "CacheTTL": 5}, {})
    assert not door.opens()
    assert not door.opens()
    door.now += 5.0
    assert door.opens()


def test_what_is_remembered_is_of_one_method_upload_client_and_credential() -> None:
    door = Door({"CacheTTL": 60})
    ways: list[dict[str, str]] = [
        {},
        {"upload": "b"},
        {"method": "PATCH"},
        {"authorization": "x"},
        {"authorization": "y"},
        {"cookie": "x"},
        {"x_user": "x"},
        {"peer": "192.0.2.1:1000"},
    ]
    for way in ways:
        assert door.opens(**way)
    assert door.asked == len(ways)
    assert door.opens(peer="192.0.2.1:2000")  # the same client, by another connection
    assert door.opens(accept="x")
    assert door.asked == len(ways)


@pytest.mark.parametrize("ttl", [0, -1, float("nan")])
def test_no_time_is_no_memory(ttl: float) -> None:
    door = Door(HookResponse(cache_ttl=ttl))
    assert door.opens()
    assert door.opens()
    assert door.asked == 2
