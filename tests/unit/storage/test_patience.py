"""When a call is tried again, and when its failure is the caller's."""

from __future__ import annotations

import io
from typing import Final

import pytest

from fileloft_fast.storage import (
    NotFoundError,
    StorageError,
    TimedOutError,
    UnavailableError,
)
from fileloft_fast.storage.bodies import Body, body_of
from fileloft_fast.storage.calls import Call
from fileloft_fast.storage.patience import Patience

PATIENCE: Final = Patience(retries=2, longest_pause_s=5.0)
NOT_SENT: Final = UnavailableError("not sent")
LOST: Final = UnavailableError("lost", perhaps_done=True)


def call(body: Body = b"", *, repeatable: bool = True) -> Call[None]:
    """Return a call whose answer says nothing."""
    return Call(method="PUT", url="x", body=body, read=lambda _: None, repeatable=repeatable)


@pytest.mark.parametrize("error", [NOT_SENT, LOST, UnavailableError("busy", status=503)])
def test_who_is_not_answered_comes_back_twice_each_time_later(error: UnavailableError) -> None:
    assert 0.05 <= PATIENCE.pause_s(error, 1, call()) <= 0.15
    assert 0.10 <= PATIENCE.pause_s(error, 2, call()) <= 0.30
    with pytest.raises(UnavailableError) as caught:
        PATIENCE.pause_s(error, 3, call())
    assert caught.value is error


def test_no_pause_is_longer_than_the_longest() -> None:
    assert Patience(retries=99, longest_pause_s=0.5).pause_s(NOT_SENT, 20, call()) == 0.5


def test_the_server_says_how_long_the_pause_is() -> None:
    assert PATIENCE.pause_s(UnavailableError("busy", retry_after_s=4.0), 1, call()) == 4.0


@pytest.mark.parametrize(
    "error",
    [
        NotFoundError("refused"),
        TimedOutError("waited long enough", perhaps_done=True),
        UnavailableError("wants more patience than there is", retry_after_s=6.0),
    ],
)
def test_what_is_not_better_in_a_moment_is_not_tried_again(error: StorageError) -> None:
    with pytest.raises(type(error)):
        PATIENCE.pause_s(error, 1, call())


def test_what_may_have_been_done_is_done_again_only_if_that_is_the_same() -> None:
    assert PATIENCE.pause_s(NOT_SENT, 1, call(repeatable=False)) > 0
    with pytest.raises(UnavailableError):
        PATIENCE.pause_s(LOST, 1, call(repeatable=False))


def test_a_body_that_comes_once_is_not_sent_again() -> None:
    assert PATIENCE.pause_s(NOT_SENT, 1, call(body_of(io.BytesIO(b"bytes")))) > 0
    with pytest.raises(UnavailableError):
        PATIENCE.pause_s(NOT_SENT, 1, call(body_of(iter([b"bytes"]))))
