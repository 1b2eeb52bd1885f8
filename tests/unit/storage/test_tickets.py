"""What is signed without a server is what a server signs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest

from fileloft_fast.errors import InvalidPathError, InvalidTicketError
from fileloft_fast.storage import MultipartUpload, issue_ticket, sign_url
from fileloft_fast.storages.ticket import Ticket, read_ticket

SECRET: Final = "a-key-of-thirty-two-bytes-or-more"
NAMED: Final[Mapping[str, Any]] = {"url": "https://up.example", "path": "a/b"}


def ticket_of(url: str) -> Ticket:
    """Return the ticket in *url*."""
    return read_ticket(parse_qs(urlsplit(url).query)["ticket"][0], [SECRET], 0.0)


def test_a_ticket_says_what_its_maker_said() -> None:
    made = issue_ticket(
        SECRET,
        url="https://up.example/",
        storage="private",
        path="a/b",
        max_size=7,
        expires_in=60,
        overwrite=False,
        content_type="image/png",
        kind="multipart",
        file_name="b.png",
        now=1000.5,
    )
    assert isinstance(made, MultipartUpload)
    assert made.url.startswith("https://up.example/private/a/b?ticket=")
    assert (made.field, made.file_name, made.request_fields) == ("file", "b.png", {})
    ticket = ticket_of(made.url)
    assert ticket == Ticket(
        kind="put",
        storage="private",
        path="a/b",
        expires_at=1060,
        nonce=ticket.nonce,
        max_size=7,
        overwrite=False,
        content_type="image/png",
    )


def test_what_is_not_said_is_as_the_api_has_it() -> None:
    ticket = ticket_of(issue_ticket(SECRET, now=0, **NAMED).url)
    assert (ticket.storage, ticket.max_size, ticket.expires_at) == ("public", 10 * 2**20, 600)
    assert (ticket.overwrite, ticket.content_type) == (True, "")


def test_no_two_tickets_are_the_same() -> None:
    made = {issue_ticket(SECRET, now=0, **NAMED).url for _ in range(2)}
    assert len(made) == 2


def test_a_signed_address_only_gets() -> None:
    url = sign_url(SECRET, url="https://up.example", path="a", storage="private", now=0)
    assert url.startswith("https://up.example/private/a?ticket=")
    ticket = ticket_of(url)
    assert (ticket.kind, ticket.storage, ticket.expires_at) == ("get", "private", 3600)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"path": "/a"}, InvalidPathError),
        ({"path": "a/../b"}, InvalidPathError),
        ({"storage": "a/b"}, InvalidTicketError),
        ({"max_size": -1}, InvalidTicketError),
        ({"content_type": "a\r\nb"}, InvalidTicketError),
        ({"expires_in": 0}, ValueError),
        ({"secret": "short"}, ValueError),
    ],
)
def test_what_no_server_would_accept_is_not_signed(
    wrong: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        issue_ticket(**{"secret": SECRET, **NAMED, **wrong})
