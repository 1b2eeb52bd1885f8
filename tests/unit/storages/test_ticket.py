"""A token says what its ticket says, whoever changes a bit of it, until its time."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileloft_fast.errors import (
    InvalidPathError,
    InvalidTicketError,
    TicketError,
    TicketExpiredError,
    TicketSpentError,
)
from fileloft_fast.storages.ticket import LONGEST_TOKEN_BYTES, Ticket, read_ticket, sign_ticket

SECRET = "s" * 32
OTHER = "t" * 32
NOW = 1_800_000_000
TICKET = Ticket(
    kind="put",
    storage="public",
    path="profile/1/avatar",
    expires_at=NOW + 600,
    max_size=10 << 20,
    overwrite=False,
    content_type="image/png",
)
LETTERS = st.text("abcXYZ019", min_size=1, max_size=8)
TICKETS = st.builds(
    Ticket,
    kind=st.sampled_from(["put", "get"]),
    storage=LETTERS,
    path=st.lists(LETTERS, min_size=1, max_size=4).map("/".join),
    expires_at=st.integers(NOW + 1, 2**63 - 1),
    max_size=st.integers(0, 2**63 - 1),
    overwrite=st.booleans(),
    content_type=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=255),
)


def text_of(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(payload: object) -> str:
    """Return the token of any JSON, made by what the docs say and not by our code."""
    key = hmac.digest(SECRET.encode(), b"fileloft-fast/ticket/1", hashlib.sha256)
    part = text_of(payload if isinstance(payload, bytes) else msgspec.json.encode(payload))
    return f"{part}.{text_of(hmac.digest(key, part.encode(), hashlib.sha256))}"


def payload_of(ticket: Ticket) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(ticket))
    return decoded


@given(TICKETS)
def test_a_token_says_what_its_ticket_says(ticket: Ticket) -> None:
    token = sign_ticket(SECRET, ticket)
    assert read_ticket(token, [SECRET], NOW) == ticket
    assert token == signed(payload_of(ticket))


def test_the_payload_has_the_names_of_the_format() -> None:
    part = sign_ticket(SECRET, TICKET).split(".")[0]
    assert msgspec.json.decode(urlsafe_b64decode(part + "=" * (-len(part) % 4))) == {
        "v": 1,
        "k": "put",
        "s": "public",
        "p": "profile/1/avatar",
        "e": NOW + 600,
        "n": TICKET.nonce,
        "m": 10 << 20,
        "o": False,
        "t": "image/png",
    }


def test_two_tickets_for_the_same_are_two_tickets() -> None:
    tickets = [Ticket(kind="put", storage="s", path="p", expires_at=NOW) for _ in range(2)]
    assert tickets[0].nonce != tickets[1].nonce


@pytest.mark.parametrize("secrets", [[SECRET], [OTHER, SECRET], [SECRET, OTHER]])
def test_any_of_the_secrets_verifies(secrets: list[str]) -> None:
    assert read_ticket(sign_ticket(SECRET, TICKET), secrets, NOW) == TICKET


@pytest.mark.parametrize("secrets", [[], [OTHER], [SECRET + "s"]])
def test_no_other_secret_verifies(secrets: list[str]) -> None:
    with pytest.raises(TicketError):
        read_ticket(sign_ticket(SECRET, TICKET), secrets, NOW)


@given(st.data())
def test_a_token_that_was_changed_anywhere_is_forged(data: st.DataObject) -> None:
    token = sign_ticket(SECRET, TICKET)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters().filter(lambda letter: letter != token[place]))
    for forged in (token[:place] + other + token[place + 1 :], token[:place], token + other):
        with pytest.raises(TicketError) as refused:
            read_ticket(forged, [SECRET], NOW)
        assert type(refused.value) is TicketError


@given(st.text())
def test_what_is_no_token_is_forged(text: str) -> None:
    with pytest.raises(TicketError):
        read_ticket(text, [SECRET], NOW)


def test_what_is_signed_by_the_secret_itself_is_no_ticket() -> None:
    part = sign_ticket(SECRET, TICKET).split(".")[0]
    plain = text_of(hmac.digest(SECRET.encode(), part.encode(), hashlib.sha256))
    with pytest.raises(TicketError):
        read_ticket(f"{part}.{plain}", [SECRET], NOW)


def test_a_ticket_ends_at_its_second() -> None:
    token = sign_ticket(SECRET, TICKET)
    assert read_ticket(token, [SECRET], NOW + 599.999) == TICKET
    for late in (NOW + 600, NOW + 1e9):
        with pytest.raises(TicketExpiredError):
            read_ticket(token, [SECRET], late)


def test_a_forged_ticket_does_not_tell_that_it_has_expired() -> None:
    with pytest.raises(TicketError) as refused:
        read_ticket(sign_ticket(OTHER, TICKET), [SECRET], NOW + 1000)
    assert type(refused.value) is TicketError


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"k": "delete"},
        {"p": "../x"},
        {"p": ""},
        {"e": "1"},
        {"e": 1.5},
        {"m": -1},
        {"o": 1},
        {"n": "x"},
        {"t": "a\r\nb: c"},
        {"s": "a/b"},
        {"more": 1},
    ],
)
def test_a_payload_that_is_no_ticket_is_refused_though_it_is_signed(change: dict[str, Any]) -> None:
    with pytest.raises(TicketError):
        read_ticket(signed(payload_of(TICKET) | change), [SECRET], NOW)


@pytest.mark.parametrize("payload", [b"", b"{", b"null", b"\xff", b"{}"])
def test_a_payload_that_is_no_json_of_ours_is_refused(payload: bytes) -> None:
    with pytest.raises(TicketError):
        read_ticket(signed(payload), [SECRET], NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"max_size": -1},
        {"max_size": 2**63},
        {"expires_at": -1},
        {"storage": ""},
        {"storage": "a/b"},
        {"storage": "x" * 65},
        {"nonce": "0"},
        {"content_type": "text/plain\r\nSet-Cookie: a=b"},
        {"content_type": "x" * 256},
        {"content_type": "text/pläin"},
        {"kind": "list"},
    ],
)
def test_what_cannot_be_in_a_ticket_is_not_signed(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidTicketError):
        sign_ticket(SECRET, msgspec.structs.replace(TICKET, **change))


def test_a_path_that_no_object_has_is_not_signed() -> None:
    with pytest.raises(InvalidPathError):
        sign_ticket(SECRET, msgspec.structs.replace(TICKET, path="a/../b"))


def test_the_largest_ticket_is_read_and_a_larger_text_is_not_looked_at() -> None:
    largest = msgspec.structs.replace(
        TICKET, storage="s" * 64, path="p" * 1024, content_type='"' * 255, max_size=2**63 - 1
    )
    token = sign_ticket(SECRET, largest)
    assert len(token) <= LONGEST_TOKEN_BYTES
    assert read_ticket(token, [SECRET], NOW) == largest
    too_long = signed({**payload_of(TICKET), "t": "x" * LONGEST_TOKEN_BYTES})
    with pytest.raises(TicketError):
        read_ticket(too_long, [SECRET], NOW)


def test_every_refusal_of_a_ticket_is_a_403() -> None:
    assert {error.status for error in (TicketError, TicketExpiredError, TicketSpentError)} == {403}
