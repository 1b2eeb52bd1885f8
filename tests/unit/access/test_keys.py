"""Public keys: which of a JWKS count, and how they are looked for, renewed and kept."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from fileloft_fast.access import keys as module
from fileloft_fast.access.keys import KeySet, parse_keys
from fileloft_fast.errors import ConfigError, KeysUnavailableError
from tests.tokens import jwk, jwks, private_key

if TYPE_CHECKING:
    from pathlib import Path


class Issuer:
    """A server of keys; *contents* is what it answers, with *status*."""

    def __init__(self) -> None:
        self.contents = jwks("ec-1")
        self.status = 200
        self.asked = 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                self.send_response(issuer.status)
                if issuer.status == 302:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(issuer.contents)))
                self.end_headers()
                self.wfile.write(issuer.contents)

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks.json"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    yield made
    made.close()


async def names(keys: KeySet, name: str | None) -> list[str]:
    header = {} if name is None else {"kid": name}
    return [key.name for key in await keys.candidates(header)]


@pytest.mark.parametrize(
    ("entry", "algorithms"),
    [
        (jwk("rsa-1"), ("RS256", "PS256")),
        (jwk("rsa-1", alg="RS256"), ("RS256",)),
        (jwk("rsa-1", alg="PS256", use="sig"), ("PS256",)),
        (jwk("ec-1"), ("ES256",)),
        (jwk("ed-1"), ("EdDSA",)),
    ],
)
def test_the_algorithm_follows_from_the_key(
    entry: dict[str, Any], algorithms: tuple[str, ...]
) -> None:
    (key,) = parse_keys(json.dumps({"keys": [entry]}).encode())
    assert key.algorithms == algorithms


@pytest.mark.parametrize(
    "entry",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "x", "alg": "HS256"},
        jwk("rsa-1", alg="HS256"),
        jwk("rsa-1", alg="none"),
        jwk("rsa-1", use="enc"),
        jwk("ec-1", crv="P-521"),
        RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 1024).public_key(), as_dict=True),
        {**RSAAlgorithm.to_jwk(private_key("rsa-1"), as_dict=True), "kid": "private"},
        jwk("rsa-1", n="!"),
        jwk("ec-2", x="AAAA"),
        {"kty": "RSA", "e": "AQAB", "n": None},
        {"kty": "OKP", "crv": "Ed25519"},
        {},
        "a key",
        None,
    ],
)
def test_other_keys_are_passed_over(entry: object) -> None:
    good = jwk("ec-1")
    found = parse_keys(json.dumps({"keys": [entry, good]}).encode())
    assert [key.name for key in found] == ["ec-1"]
    with pytest.raises(ValueError, match="no key"):
        parse_keys(json.dumps({"keys": [entry]}).encode())


@pytest.mark.parametrize(
    "contents",
    [b"", b"{}", b"[]", b'"keys"', b'{"error": "busy"}', b'{"keys": {}}', b"[" * 100_000],
    ids=["nothing", "no-keys", "list", "text", "error", "object", "deep"],
)
def test_what_is_no_set_of_keys_takes_none_away(issuer: Issuer, contents: bytes) -> None:
    async def scene() -> None:
        issuer.contents, good = contents, issuer.contents
        keys = KeySet(issuer.url, refresh_s=0)
        await keys.start()
        with pytest.raises(KeysUnavailableError):
            await keys.candidates({"kid": "ec-1"})
        issuer.contents = good
        assert await names(keys, "ec-1") == ["ec-1"]
        issuer.contents = contents
        assert await names(keys, "x") == []
        assert await names(keys, "ec-1") == ["ec-1"]
        await keys.close()

    asyncio.run(scene())


def test_a_new_key_is_found_when_a_token_names_it(issuer: Issuer) -> None:
    async def scene() -> None:
        keys = KeySet(issuer.url, refresh_s=0)
        await keys.start()
        assert await names(keys, "ec-1") == ["ec-1"]
        issuer.contents = jwks("ec-1", "ec-2")
        version = keys.version
        assert await names(keys, "ec-2") == ["ec-2"]
        assert keys.version == version + 1
        issuer.contents = jwks("ec-2")
        keys.renew()
        await names(keys, "gone")  # which waits for the look that is under way
        assert await names(keys, "ec-1") == []
        assert await names(keys, None) == ["ec-2"]
        await keys.close()

    asyncio.run(scene())


def test_unknown_names_do_not_make_us_ask_again_and_again(issuer: Issuer) -> None:
    async def scene() -> None:
        keys = KeySet(issuer.url, refresh_s=300)
        await keys.start()
        for number in range(50):
            assert await names(keys, f"x{number}") == []
        keys.renew()
        assert issuer.asked == 1
        await keys.close()

    asyncio.run(scene())


def test_many_who_wait_for_a_key_ask_once(issuer: Issuer) -> None:
    async def scene() -> None:
        keys = KeySet(issuer.url, refresh_s=0)
        await keys.start()
        issuer.contents = jwks("ec-2")
        found = await asyncio.gather(*(names(keys, "ec-2") for _ in range(20)))
        assert found == [["ec-2"]] * 20
        assert issuer.asked == 2
        await keys.close()

    asyncio.run(scene())


@pytest.mark.parametrize("status", [302, 404, 500])
def test_keys_stay_where_they_cannot_be_had_again(issuer: Issuer, status: int) -> None:
    async def scene() -> None:
        keys = KeySet(issuer.url, refresh_s=0)
        await keys.start()
        issuer.status = status
        assert await names(keys, "x") == []
        assert await names(keys, "ec-1") == ["ec-1"]
        issuer.status, issuer.contents = 200, b'{"keys": "none"}'
        assert await names(keys, "x") == []
        issuer.contents = b" " * 300_000
        assert await names(keys, "x") == []
        assert await names(keys, "ec-1") == ["ec-1"]
        await keys.close()

    asyncio.run(scene())


def test_without_keys_nobody_is_refused_for_good(issuer: Issuer) -> None:
    async def scene() -> None:
        issuer.status = 503
        keys = KeySet(issuer.url, refresh_s=0)
        await keys.start()
        with pytest.raises(KeysUnavailableError):
            await keys.candidates({"kid": "ec-1"})
        issuer.status = 200
        assert await names(keys, "ec-1") == ["ec-1"]
        await keys.close()

    asyncio.run(scene())


def test_an_answer_that_takes_too_long_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(port: int) -> None:
        keys = KeySet(f"http://127.0.0.1:{port}/", refresh_s=0)
        await keys.start()
        with pytest.raises(KeysUnavailableError):
            await keys.candidates({"kid": "ec-1"})
        await keys.close()

    monkeypatch.setattr(module, "_FETCH_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connects, and never answers
        asyncio.run(scene(silent.getsockname()[1]))


def speak(server: socket.socket, pieces: Iterable[bytes], *, every_s: float) -> None:
    """Answer one client with *pieces*, whatever it asks, until it goes."""
    client, _ = server.accept()
    with client, suppress(OSError):
        client.settimeout(every_s)
        for piece in pieces:
            client.sendall(piece)
            with suppress(TimeoutError):
                client.recv(65536)
        client.shutdown(socket.SHUT_WR)


def test_a_head_that_never_ends_holds_up_neither_start_nor_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each byte comes in time, the answer never does."""

    async def scene(port: int) -> None:
        keys = KeySet(f"http://127.0.0.1:{port}/", refresh_s=0)
        await keys.start()
        with pytest.raises(KeysUnavailableError):
            await keys.candidates({"kid": "ec-1"})
        assert sum(thread.name == "keys" for thread in threading.enumerate()) == 1
        await keys.close()

    monkeypatch.setattr(module, "_LOOK_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        pieces = chain([b"HTTP/1.1 200 OK\r\nX: "], repeat(b"x", 40))
        speaker = threading.Thread(target=speak, args=(server, pieces), kwargs={"every_s": 0.02})
        speaker.start()
        asyncio.run(scene(server.getsockname()[1]))
        speaker.join()


@pytest.mark.parametrize(
    "said", [b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"]
)
def test_what_is_no_answer_is_no_key(said: bytes) -> None:
    async def scene(port: int) -> None:
        keys = KeySet(f"http://127.0.0.1:{port}/", refresh_s=300)
        await keys.start()
        with pytest.raises(KeysUnavailableError):
            await keys.candidates({"kid": "ec-1"})
        await keys.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        speaker = threading.Thread(target=speak, args=(server, [said]), kwargs={"every_s": 1})
        speaker.start()
        asyncio.run(scene(server.getsockname()[1]))
        speaker.join()


def test_a_file_must_be_there_at_the_start_and_may_change(tmp_path: Path) -> None:
    async def scene() -> None:
        path = tmp_path / "jwks.json"
        keys = KeySet(str(path), refresh_s=0)
        with pytest.raises(ConfigError, match=r"^FILELOFT_JWT_JWKS: "):
            await keys.start()
        path.write_bytes(jwks("ed-1"))
        await keys.start()
        path.write_bytes(jwks("ed-2"))
        assert await names(keys, "ed-2") == ["ed-2"]
        await keys.close()

    asyncio.run(scene())
