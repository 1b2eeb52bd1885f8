"""Who may ask the fake: tokens that it issued, and signatures of the one key that it knows.

Google's token endpoint, the metadata server of a machine, and IAM's signBlob, all three in small.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.stores.gcs_fake.bucket import RefusalError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

EMAIL: Final = "fileloft@project.iam.gserviceaccount.com"
_FLAVOR: Final = {"Metadata-Flavor": "Google"}
_ACCOUNT: Final = "/computeMetadata/v1/instance/service-accounts/"
_JWT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"

SECRET: Final = "the secret of a user, or of another identity provider"


class Identity:
    """Tokens and keys. With *required* nothing is answered without a token or a signature."""

    def __init__(self, key: Path | None, *, required: bool) -> None:
        self.required = required
        self.lifetime_s = 3600
        self.fails_with = 0
        self.issued = 0
        self._tokens: set[str] = set()
        self._key: RSAPrivateKey | None = None
        if key is not None:
            loaded = load_pem_private_key(key.read_bytes(), None)
            assert isinstance(loaded, RSAPrivateKey)
            self._key = loaded

    def revoke(self) -> None:
        """Make every token that was issued worthless."""
        self._tokens.clear()

    def check(self, headers: Mapping[str, str], *, needed: bool = True) -> None:
        """Raise RefusalError without a good token; with a bad one also where none is *needed*."""
        told = headers.get("Authorization")
        if not self.required or (told is None and not needed):
            return
        if (told or "").removeprefix("Bearer ") not in self._tokens:
            raise RefusalError(401, "Invalid Credentials")

    async def answer(self, request: web.Request) -> web.Response | None:
        """Answer what is asked of an identity service, None where something else is asked."""
        path = request.path
        if path == "/":
            return web.Response(headers=_FLAVOR)
        if path == "/token":
            return await self._grant(request)
        if path.startswith("/computeMetadata/"):
            return self._metadata(request)
        if path.endswith(":signBlob"):
            return await self._sign_blob(request)
        return None

    def verify_url(self, request: web.Request) -> None:
        """Raise RefusalError unless the URL is signed (V4) by the key, for now."""
        query = dict(request.query)
        try:
            signature = bytes.fromhex(query.pop("X-Goog-Signature"))
            date = query["X-Goog-Date"]
            scope = query["X-Goog-Credential"].removeprefix(f"{EMAIL}/")
            expires_s = int(query["X-Goog-Expires"])
            assert query["X-Goog-Algorithm"] == "GOOG4-RSA-SHA256"
            assert query["X-Goog-SignedHeaders"] == "host"
            assert scope == f"{date[:8]}/auto/storage/goog4_request"
        except (KeyError, ValueError, AssertionError) as error:
            raise RefusalError(403, f"not a signed URL: {error!r}") from error
        begins = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if not begins <= datetime.now(UTC) < begins + timedelta(seconds=expires_s):
            raise RefusalError(400, "ExpiredToken")
        pairs = (f"{quote(name, safe='')}={quote(query[name], safe='')}" for name in sorted(query))
        canonical = "\n".join(
            (
                request.method,
                request.rel_url.raw_path,
                "&".join(pairs),
                f"host:{request.host}",
                "",
                "host",
                "UNSIGNED-PAYLOAD",
            )
        )
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        self._verify(signature, f"GOOG4-RSA-SHA256\n{date}\n{scope}\n{digest}".encode())

    async def _grant(self, request: web.Request) -> web.Response:
        """Give a token to a key (RFC 7523), a user, or who comes from elsewhere (RFC 8693)."""
        if self.fails_with:
            return web.json_response({"error": "internal"}, status=self.fails_with)
        form = {name: str(value) for name, value in (await request.post()).items()}
        if not self._grants(form):
            return web.json_response({"error": "invalid_grant"}, status=400)
        issued = "urn:ietf:params:oauth:token-type:access_token"
        return web.json_response({**self._token(), "issued_token_type": issued})

    def _grants(self, form: Mapping[str, str]) -> bool:
        kind = form["grant_type"]
        if kind != _JWT:
            return form["subject_token" if kind == _EXCHANGE else "refresh_token"] == SECRET
        signed, _, signature = form["assertion"].rpartition(".")
        try:
            self._verify(_decoded(signature), signed.encode())
        except RefusalError:
            return False
        claims = json.loads(_decoded(signed.split(".")[1]))
        return bool(claims["iss"] == EMAIL and claims["exp"] > time.time())

    def _metadata(self, request: web.Request) -> web.Response:
        assert request.headers["Metadata-Flavor"] == "Google"
        if self.fails_with:
            return web.Response(status=self.fails_with, headers=_FLAVOR)
        if not request.path.startswith(_ACCOUNT):
            return web.Response(status=404, headers=_FLAVOR)
        if request.path.endswith("/token"):
            return web.json_response(self._token(), headers=_FLAVOR)
        return web.json_response({"email": EMAIL, "scopes": ["all"]}, headers=_FLAVOR)

    async def _sign_blob(self, request: web.Request) -> web.Response:
        if self.fails_with:
            raise RefusalError(self.fails_with, "as a test wants it")
        self.check(request.headers)
        assert f"/{EMAIL}:" in request.path
        assert self._key is not None
        blob = base64.b64decode((await request.json())["payload"])
        signed = self._key.sign(blob, PKCS1v15(), SHA256())
        return web.json_response({"signedBlob": base64.b64encode(signed).decode()})

    def _token(self) -> dict[str, object]:
        token = secrets.token_hex(16)
        self._tokens.add(token)
        self.issued += 1
        return {"access_token": token, "expires_in": self.lifetime_s, "token_type": "Bearer"}

    def _verify(self, signature: bytes, text: bytes) -> None:
        if self._key is None:
            raise RefusalError(403, "no key is known")
        try:
            self._key.public_key().verify(signature, text, PKCS1v15(), SHA256())
        except InvalidSignature as error:
            raise RefusalError(403, "SignatureDoesNotMatch") from error


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
