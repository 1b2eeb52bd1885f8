"""From the settings to named storages at work, and to who answers for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from msgspec import Struct

from fileloft_fast.app.sharing import DirectoryTakenError, host_locks, own
from fileloft_fast.app.site import resumable_rules
from fileloft_fast.config import StorageBackend, SyncMode, read_storages, taken_names
from fileloft_fast.dataplane import ALGORITHMS, digest_size
from fileloft_fast.errors import ConfigError
from fileloft_fast.flush.rate import Rate
from fileloft_fast.resumable.speaking import SpeakingAnswers
from fileloft_fast.storages.api import ROOM, UPLOADS, Api, Limits
from fileloft_fast.storages.belonging import claim
from fileloft_fast.storages.bucket_shelf import BucketShelf
from fileloft_fast.storages.catalogue import Catalogue
from fileloft_fast.storages.courier import Pacing
from fileloft_fast.storages.fs_shelf import FsShelf
from fileloft_fast.storages.janitor import Janitor
from fileloft_fast.storages.named import NamedStorage, Storages
from fileloft_fast.storages.public import PublicObjects, claim_object
from fileloft_fast.storages.reception import Reception
from fileloft_fast.storages.ticket_uploads import CAPABILITIES, TicketUploads
from fileloft_fast.stores import FsStore
from fileloft_fast.stores.remote.load import Buckets
from fileloft_fast.tus.responses import Answers
from fileloft_fast.uploads import Locks
from fileloft_fast.uploads.expiry import Expiry
from fileloft_fast.uploads.intake import Intake

if TYPE_CHECKING:
    from contextlib import AsyncExitStack, ExitStack

    from fileloft_fast.config import Settings, StorageSettings
    from fileloft_fast.dataplane import Engine
    from fileloft_fast.http1.site import Answerer
    from fileloft_fast.observe.board import Board
    from fileloft_fast.storages.entry import Shelf
    from fileloft_fast.tus.rules import TusRules

CATALOGUE: Final = "storages.db"
_FOLDERS: Final = "storages"


class NamedStorages(Struct, frozen=True):
    """The storages that are open."""

    storages: Storages
    janitors: tuple[Janitor, ...]

    @property
    def receptions(self) -> tuple[Reception, ...]:
        """Where bytes arrive."""
        return tuple(each.reception for each in self.storages.by_name.values())

    async def clean(self) -> None:
        """Clean all of them until cancelled."""
        async with asyncio.TaskGroup() as group:
            for janitor in self.janitors:
                group.create_task(janitor.run())

    def drain(self, error: Exception) -> None:
        """End whoever waits for an upload."""
        for reception in self.receptions:
            reception.locks.drain(error)


def declared_storages(settings: Settings) -> tuple[StorageSettings, ...]:
    """Return all storages of *settings*, those of the file included. Blocks. Raises ConfigError."""
    declared = settings.storages
    if settings.storages_file is not None:
        filed = read_storages(settings.storages_file)
        twice = {each.name for each in filed} & {each.name for each in declared}
        taken = taken_names([each.name for each in filed], settings.base_path)
        for name in sorted((*twice, *taken)):
            raise ConfigError(f"FILELOFT_STORAGES_FILE: {name} is taken")
        declared = (*declared, *filed)
    for each in declared:
        if each.folder and Path(each.folder).resolve() == Path(settings.data_dir).resolve():
            raise ConfigError(f"FILELOFT_STORAGES: {each.name}: {each.folder} is FILELOFT_DATA_DIR")
    return declared


def check_storages(settings: Settings) -> tuple[StorageSettings, ...]:
    """Return the declared storages once everything is installed that they need.

    Blocks. Raises ConfigError.
    """
    declared = declared_storages(settings)
    buckets = Buckets(checksum=settings.s3_checksum)
    for each in declared:
        if each.backend is StorageBackend.S3:
            buckets.load(each)
    return declared


class StorageDoors:
    """Opens storages, in the two halves that the end needs: folders first, the rest after them.

    *folders* is closed after the engine, whose last jobs work in them, *ending* before it.
    """

    def __init__(
        self, settings: Settings, engine: Engine, board: Board, folders: ExitStack
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._board = board
        self._folders = folders
        self._buckets = Buckets(checksum=settings.s3_checksum)

    async def open(
        self, ending: AsyncExitStack, patience_s: float, on_wait: Callable[[], None]
    ) -> NamedStorages:
        """Open every declared storage; see ``opened_storage``. Raises ConfigError."""
        settings = self._settings
        loop = asyncio.get_running_loop()
        declared = await loop.run_in_executor(None, declared_storages, settings)
        catalogue = Catalogue(Path(settings.data_dir, CATALOGUE))
        ending.push_async_callback(catalogue.close)
        named: dict[str, NamedStorage] = {}
        for each in declared:
            reception = await self._open_reception(each, catalogue, patience_s, on_wait)
            shelf = await self._open_shelf(each, reception.store, catalogue, ending)
            named[each.name] = NamedStorage(each, shelf, reception, catalogue)
        janitors = tuple(
            Janitor(
                storage,
                every_s=settings.sweep_interval_s,
                ttl_s=settings.expiration_ttl_s,
            )
            for storage in named.values()
        )
        return NamedStorages(Storages(named), janitors)

    async def _open_shelf(
        self,
        storage: StorageSettings,
        store: FsStore,
        catalogue: Catalogue,
        ending: AsyncExitStack,
    ) -> Shelf:
        """Open where the objects of *storage* lie; a bucket that does not answer is no error."""
        if storage.backend is StorageBackend.FS:
            return FsShelf(storage.name, store, catalogue)
        settings = self._settings
        rate = Rate(settings.flush_rate_bytes_per_s)
        objects = self._buckets.load(storage, rate)
        await objects.start()
        ending.push_async_callback(objects.close)
        pacing = Pacing(
            part_bytes=settings.part_size_bytes,
            parts_at_once=settings.flush_concurrency,
            patience_s=settings.flush_timeout_s,
            taken=lambda: rate.taken,
        )
        return BucketShelf(storage, store, catalogue, objects, pacing)

    async def _open_reception(
        self,
        storage: StorageSettings,
        catalogue: Catalogue,
        patience_s: float,
        on_wait: Callable[[], None],
    ) -> Reception:
        settings = self._settings
        folder = storage.folder or str(Path(settings.data_dir, _FOLDERS, storage.name))
        try:
            store = FsStore(
                self._engine,
                folder,
                sync=settings.sync,
                file_mode=settings.file_mode,
                ttl_s=settings.expiration_ttl_s,
                orphan_age_s=settings.orphan_age_s,
                board=self._board,
            )
        except OSError as error:
            raise ConfigError(f"FILELOFT_STORAGES: {storage.name}: {error}") from error
        self._folders.callback(store.close)
        # The locks of one host: another one has no part in a folder.
        shared = host_locks(settings, folder, self._board)
        if shared is not None:
            self._folders.callback(shared.close)
        try:
            await own(store, patience_s, alone=shared is None, on_wait=on_wait)
        except DirectoryTakenError as error:
            raise DirectoryTakenError(
                f"FILELOFT_STORAGES: {storage.name}: another server works in {folder}"
            ) from error
        await claim(catalogue, storage.name, folder)
        intake = Intake(
            store=store,
            algorithms={name: digest_size(name) for name in ALGORITHMS},
            idle_ms=int(settings.body_timeout_s * 1000),
            min_rate=settings.min_rate_bytes_per_s,
        )
        locks = shared or Locks(settings.lock_timeout_s, None, self._board)
        return Reception(store, locks, intake, min_free_bytes=settings.min_free_bytes)


def storage_rooms(
    settings: Settings, named: NamedStorages, rules: TusRules, others: Answerer
) -> dict[str, Answerer]:
    """Return who answers for *named*, by first segment; *rules* are those of the uploads.

    *others* answers what is for nobody else.
    """
    answers = Answers(rules)
    # No object's URL is below that of uploads.
    aside = replace(rules, base_path=UPLOADS)
    speaking = SpeakingAnswers(resumable_rules(settings, aside), time.time, claim=claim_object)
    uploads = {
        name: _ticket_uploads(settings, storage, rules)
        for name, storage in named.storages.by_name.items()
    }
    keys = settings.storage_keys
    public: Answerer = PublicObjects(named.storages, keys, uploads, speaking)
    limits = Limits(settings.ticket_ttl_s, settings.ticket_max_size_bytes)
    api = Api(named.storages, keys, uploads, answers, rules, limits)
    rooms: dict[str, Answerer] = {}
    if settings.s3_front_access_key:
        front = import_module("fileloft_fast.s3front.front")
        secrets = {settings.s3_front_access_key: settings.s3_front_secret_key}
        service = front.S3Service(named.storages, secrets, answers, _hosts(settings, named))
        public = front.S3Front(service, public)
        rooms[""] = front.S3Front(service, others)  # the list of buckets, and those there are not
    return {**rooms, **dict.fromkeys(named.storages.by_name, public), ROOM: api}


def _hosts(settings: Settings, named: NamedStorages) -> list[str]:
    """Return the names by which clients may know this server, as they would sign them."""
    published = [storage.settings.public_host for storage in named.storages.by_name.values()]
    urls = {settings.base_url or "", *published}
    return sorted(urlsplit(url).netloc for url in urls if url)


def _ticket_uploads(settings: Settings, storage: NamedStorage, rules: TusRules) -> TicketUploads:
    own_rules = replace(
        rules,
        base_path=f"{UPLOADS}{storage.name}/",
        capabilities=rules.capabilities & CAPABILITIES,
        max_size=storage.largest(),
    )
    reception = storage.reception
    uploads = TicketUploads(
        own_rules,
        reception.store,
        reception.locks,
        reception.intake,
        Expiry(settings.expiration_ttl_s),
        min_free_bytes=settings.min_free_bytes,
    )
    uploads.serve(storage)
    ours = resumable_rules(settings, own_rules)
    uploads.speak(
        SpeakingAnswers(ours, time.time, target_status=204),  # as PUT with a ticket is answered
        tells_progress=settings.sync is not SyncMode.CHUNK,
    )
    return uploads
