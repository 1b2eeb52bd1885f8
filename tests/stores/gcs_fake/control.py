"""What a test tells the fake, and asks it, over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from tests.stores.gcs_fake.faults import Fault, Faults

if TYPE_CHECKING:
    from tests.stores.gcs_fake.bucket import Bucket
    from tests.stores.gcs_fake.identity import Identity


class Control:
    """``/_fake/…``: faults, sessions, keys, identity, wipe."""

    def __init__(self, faults: Faults, bucket: Bucket, identity: Identity) -> None:
        self._faults = faults
        self._bucket = bucket
        self._identity = identity

    def application(self) -> web.Application:
        """Return what serves it."""
        application = web.Application()
        for name in ("faults", "sessions", "keys", "identity", "wipe"):
            application.router.add_route("*", f"/{name}", getattr(self, f"_{name}_asked"))
        return application

    async def _faults_asked(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            self._faults.plan(msgspec.json.decode(await request.read(), type=Fault))
        elif request.method == "DELETE":
            self._faults.clear()
        return web.json_response(self._faults.asked)

    async def _sessions_asked(self, request: web.Request) -> web.Response:
        if request.method == "DELETE":
            self._bucket.sessions.clear()
        sessions = self._bucket.sessions.values()
        return web.json_response({one.upload: [one.name, one.state] for one in sessions})

    async def _keys_asked(self, _: web.Request) -> web.Response:
        return web.json_response(sorted(self._bucket.objects))

    async def _identity_asked(self, request: web.Request) -> web.Response:
        identity = self._identity
        if request.method == "POST":
            wanted = await request.json()
            identity.lifetime_s = wanted.get("lifetime_s", identity.lifetime_s)
            identity.fails_with = wanted.get("fails_with", identity.fails_with)
        elif request.method == "DELETE":
            identity.revoke()
        return web.json_response(identity.issued)

    async def _wipe_asked(self, _: web.Request) -> web.Response:
        self._bucket.wipe()
        return web.json_response(None)
