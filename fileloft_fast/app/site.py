"""From the settings to what answers requests: rules, intake, service, site."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from fileloft_fast.config import DigestMode, LogFormat, SyncMode
from fileloft_fast.dataplane import ALGORITHMS, digest_size
from fileloft_fast.http1.front import Desk, Front
from fileloft_fast.http1.limits import READ_BUFFER_BYTES, SECURE_BUFFER_BYTES
from fileloft_fast.http1.routes import Routes
from fileloft_fast.http1.site import Patience, Site
from fileloft_fast.observe.access_log import AccessLog
from fileloft_fast.resumable.rules import ResumableRules, least_size
from fileloft_fast.tus.forwarded import with_client
from fileloft_fast.tus.rules import CorsRules, TusRules
from fileloft_fast.uploads.counted import CountedAnswers
from fileloft_fast.uploads.intake import Intake
from fileloft_fast.uploads.resuming import ResumingService

if TYPE_CHECKING:
    from fileloft_fast.app.storage import Storage
    from fileloft_fast.config import Settings
    from fileloft_fast.http1.site import Answerer


def site_of(settings: Settings, storage: Storage, *, max_connections: int) -> tuple[Site, Front]:
    """Return what answers for the uploads of *storage*, on the loop that runs, and its front."""
    rules = tus_rules(settings)
    intake = Intake(
        store=storage.store,
        algorithms=rules.algorithms,
        idle_ms=int(settings.body_timeout_s * 1000),
        min_rate=settings.min_rate_bytes_per_s,
    )
    answers = CountedAnswers(resumable_rules(settings, rules), storage.board)
    service = _kind(storage)(
        rules,
        storage.store,
        storage.locks,
        intake,
        storage.expiry,
        min_free_bytes=settings.min_free_bytes,
        cleanup_partials=settings.enable_cleanup_concat_partials,
        access=storage.access,
        mine=storage.mine,
    )
    service.speak(
        answers,
        hashes=() if settings.digest is DigestMode.OFF else (settings.digest.value,),
        # With ``chunk``, what an offset tells survives more than what a running body has stored.
        tells_progress=settings.sync is not SyncMode.CHUNK and not storage.store.guarded,
    )
    plain = settings.tls_cert is None
    as_json = settings.log_format is LogFormat.JSON
    access_log = AccessLog(as_json=as_json) if settings.access_log else None
    rooms = _rooms(settings, storage, service, rules)
    routes = Routes(settings.base_path, service, rooms) if rooms else service
    front = Front(routes, storage.board, access_log)
    site = Site(
        loop=asyncio.get_running_loop(),
        answerer=front,
        ended=front.ended,
        engine=storage.engine,
        patience=Patience(
            head_s=settings.head_timeout_s,
            idle_s=settings.idle_timeout_s,
            body_s=settings.body_timeout_s,
            min_rate_bytes_per_s=settings.min_rate_bytes_per_s,
        ),
        max_connections=max_connections,
        trusted=settings.trusted_proxies,
        behind=partial(with_client, rules=rules) if settings.behind_proxy else None,
        buffer=memoryview(bytearray(READ_BUFFER_BYTES if plain else SECURE_BUFFER_BYTES)),
    )
    return site, front


def _kind(storage: Storage) -> Callable[..., ResumingService]:
    """Return what makes the service; with hooks another one, which nobody else loads."""
    hooks = storage.hooks
    if hooks is None:
        return ResumingService
    kind = import_module("fileloft_fast.uploads.hooked").HookedService
    return lambda *parts, **settings: kind(*parts, **settings).use(hooks)


def _rooms(
    settings: Settings, storage: Storage, service: ResumingService, rules: TusRules
) -> dict[str, Answerer]:
    """Return who answers besides *service*, by the first segment; loads nobody else's code."""
    rooms: dict[str, Answerer] = {}
    if settings.enable_ui:
        pages = import_module("fileloft_fast.pages")
        served = pages.people_operations(settings.base_path, downloads=settings.enable_download)
        rooms[pages.ROOM] = Desk(served, service.failed)
    if storage.named is not None:
        storages = import_module("fileloft_fast.app.storages")
        rooms.update(storages.storage_rooms(settings, storage.named, rules, service))
    return rooms


def tus_rules(settings: Settings) -> TusRules:
    """Return what the protocol needs of *settings*."""
    trusted = settings.trusted_proxies
    return TusRules(
        base_path=settings.base_path,
        capabilities=settings.capabilities(),
        algorithms={name: digest_size(name) for name in ALGORITHMS},
        max_size=settings.max_size_bytes,
        base_url=settings.base_url,
        behind_proxy=settings.behind_proxy,
        is_proxy=None if trusted is None else trusted.covers,
        expire_finished=settings.expire_finished,
        cors=CorsRules(
            enabled=settings.cors_enabled,
            allow_origins=settings.cors_allow_origins,
            credentials=settings.cors_allow_credentials,
            allow_headers=settings.cors_allow_headers,
            expose_headers=settings.cors_expose_headers,
            max_age_s=settings.cors_max_age_s,
        ),
    )


def resumable_rules(settings: Settings, rules: TusRules) -> ResumableRules:
    """Return what the IETF's protocol needs besides *rules*, the paths and sizes of both."""
    return ResumableRules(
        tus=rules,
        mode=settings.resumable,
        min_size=least_size(settings.resumable_min_size_bytes, rules.max_size),
        max_append_size=settings.resumable_max_append_bytes,
        min_append_size=settings.resumable_min_append_bytes,
        interim=settings.resumable_interim,
    )
