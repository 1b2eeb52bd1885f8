"""Whose fields are believed, and who the client is where proxies stand in between."""

from __future__ import annotations

from typing import Final

import pytest
from msgspec.structs import replace

from fileloft_fast.config.networks import parse_networks
from fileloft_fast.model import NOBODY, Peer
from fileloft_fast.tus.forwarded import client_address, host_of, with_client
from fileloft_fast.tus.location import render_location
from tests.unit.tus.heads import COLLECTION, ID, UPLOAD, Fields, head, rules

PROXIES: Final = parse_networks("10.0.0.0/8, 2001:db8::/32, unix")
LISTED: Final = rules(behind_proxy=True, is_proxy=PROXIES.covers)
ANYBODY: Final = rules(behind_proxy=True)
PROXY: Final = Peer("10.0.0.1:999")
STRANGER: Final = Peer("192.0.2.7:999", trusted=False)
TOLD: Final = Peer("192.0.2.9:4242", told=True)
TOLD_OF_A_PROXY: Final = Peer("10.9.9.9:4242", told=True)
UNIX: Final = Peer()

CHAIN: Final = {"X-Forwarded-For": "6.6.6.6, 192.0.2.1, 10.2.2.2"}
QUOTED: Final = {"Forwarded": 'for="[2001:db8::7]:80";proto=https, for="[2002::1]:47"; by=x'}


@pytest.mark.parametrize(
    ("peer", "fields", "expected"),
    [
        pytest.param(STRANGER, CHAIN, "192.0.2.7:999", id="a stranger is not believed"),
        pytest.param(PROXY, {}, "10.0.0.1:999", id="a proxy that says nothing"),
        pytest.param(PROXY, CHAIN, "192.0.2.1:0", id="the last that is no proxy"),
        pytest.param(UNIX, CHAIN, "192.0.2.1:0", id="the Unix socket's peer is listed"),
        pytest.param(
            PROXY, {"X-Forwarded-For": "10.1.1.1"}, "10.1.1.1:0", id="proxies all the way"
        ),
        pytest.param(
            PROXY, {"X-Forwarded-For": "6.6.6.6, junk"}, "10.0.0.1:999", id="junk ends it"
        ),
        pytest.param(PROXY, {"X-Forwarded-For": "1.1.1.1:5"}, "1.1.1.1:5", id="with a port"),
        pytest.param(PROXY, QUOTED, "[2002::1]:47", id="Forwarded"),
        pytest.param(PROXY, {**QUOTED, **CHAIN}, "[2002::1]:47", id="Forwarded goes first"),
        pytest.param(PROXY, {"Forwarded": "for=_hidden"}, "10.0.0.1:999", id="obfuscated"),
        pytest.param(PROXY, {"Forwarded": "proto=https"}, "10.0.0.1:999", id="no for"),
        pytest.param(PROXY, {"Forwarded": 'for=", for=9.9.9.9'}, "9.9.9.9:0", id="a broken quote"),
        pytest.param(TOLD, CHAIN, "192.0.2.9:4242", id="a PROXY header told it"),
        pytest.param(TOLD_OF_A_PROXY, CHAIN, "192.0.2.1:0", id="it told of another proxy"),
    ],
)
def test_the_client_is_the_last_address_that_no_trusted_proxy_has(
    peer: Peer, fields: Fields, expected: str
) -> None:
    request = replace(head("POST", COLLECTION, fields), peer=peer)
    assert client_address(request, LISTED) == expected


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        (STRANGER, "192.0.2.7:999"),
        (PROXY, "10.2.2.2:0"),
        (TOLD, "192.0.2.9:4242"),
        (NOBODY, "10.2.2.2:0"),
    ],
)
def test_without_a_list_one_hop_is_believed(peer: Peer, expected: str) -> None:
    request = replace(head("POST", COLLECTION, CHAIN), peer=peer)
    assert client_address(request, ANYBODY) == expected


def test_the_clients_address_becomes_the_peers_and_the_rest_stays() -> None:
    request = replace(head("POST", COLLECTION, CHAIN), peer=replace(PROXY, name="CN=proxy"))
    seen = with_client(request, LISTED)
    assert seen == replace(request, peer=Peer("192.0.2.1:0", name="CN=proxy"))
    assert with_client(seen, LISTED) == seen
    assert with_client(request, rules()) is request


def test_without_a_proxy_nobody_is_believed() -> None:
    request = replace(head("POST", COLLECTION, CHAIN), peer=PROXY)
    assert client_address(request, rules()) == "10.0.0.1:999"


@pytest.mark.parametrize(
    ("peer", "expected"),
    [(PROXY, f"https://cdn.example{UPLOAD}"), (STRANGER, f"http://up.example{UPLOAD}")],
)
def test_only_a_trusted_proxy_says_what_the_clients_url_is(peer: Peer, expected: str) -> None:
    fields = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "cdn.example"}
    request = replace(head("POST", COLLECTION, fields), peer=peer)
    assert render_location(request, ID, LISTED) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.2.3.4", "1.2.3.4"),
        ("1.2.3.4:80", "1.2.3.4"),
        ("[::1]:80", "::1"),
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("unknown", ""),
        ("", ""),
        ("1.2.3.4:http", ""),
    ],
)
def test_the_host_of_an_address(text: str, expected: str) -> None:
    assert host_of(text) == expected
