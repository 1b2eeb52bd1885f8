"""The list of trusted proxies."""

from __future__ import annotations

import pytest

from fileloft_fast.config.networks import parse_networks


@pytest.mark.parametrize(
    ("host", "covered"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("11.0.0.1", False),
        ("192.0.2.1", True),
        ("192.0.2.2", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("fe80::1%eth0", True),
        ("", False),
        ("example.org", False),
    ],
)
def test_a_host_is_covered_by_an_address_or_a_network(host: str, *, covered: bool) -> None:
    assert parse_networks("10.0.0.0/8, 192.0.2.1,2001:db8::/32,fe80::/10").covers(host) is covered


def test_the_unix_socket_is_a_word_of_its_own() -> None:
    assert parse_networks("unix").covers("")
    assert not parse_networks("unix").covers("127.0.0.1")


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "localhost", "Unix"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be addresses or networks"):
        parse_networks(text)


def test_a_list_reads_as_it_is_written() -> None:
    assert str(parse_networks(" 10.0.0.0/8, ::1 ,unix")) == "10.0.0.0/8,::1/128,unix"
