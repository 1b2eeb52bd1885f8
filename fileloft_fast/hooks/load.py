"""From the settings to the hooks that they name, whose libraries may not be installed."""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fileloft_fast.config import SyncMode
from fileloft_fast.errors import ConfigError
from fileloft_fast.hooks.access import Access
from fileloft_fast.hooks.asking import Asking
from fileloft_fast.hooks.counted_sink import CountedSink
from fileloft_fast.hooks.file_sink import FileSink
from fileloft_fast.hooks.hooks import Hooks, Tools
from fileloft_fast.hooks.outbox.outbox import Outbox
from fileloft_fast.hooks.progress import Progress
from fileloft_fast.hooks.python_sink import PythonSink

if TYPE_CHECKING:
    from fileloft_fast.config import Settings
    from fileloft_fast.dataplane import Engine
    from fileloft_fast.hooks.describe import Places
    from fileloft_fast.hooks.publisher import Publisher
    from fileloft_fast.hooks.sink import Sink
    from fileloft_fast.model import UploadInfo
    from fileloft_fast.observe.board import Board


def load_hooks(
    settings: Settings, engine: Engine, publisher: Publisher | None, board: Board
) -> Hooks:
    """Return the hooks of *settings*, which are told of nothing before they are started.

    Their calls are counted on *board*. On a loop that runs. Raises ConfigError.
    """
    sinks: list[Sink] = [CountedSink(each, board) for each in load_sinks(settings)]
    forward = _names(settings.hooks_forward_headers)
    asking = Asking(sinks, retry=settings.hooks_retry, backoff_s=settings.hooks_backoff_s)
    places = places_of(settings)
    outbox = Outbox(
        engine,
        settings.data_dir,
        sinks,
        durable=settings.sync is not SyncMode.NONE,
        backoff_s=settings.hooks_backoff_s,
        max_age_s=settings.hooks_max_age_s,
    )
    access = Access(
        asking, ttl_s=settings.hooks_access_ttl_s, forward=forward, clock=time.monotonic
    )
    progress = Progress(asking, places, interval_s=settings.hooks_progress_interval_s)
    tools = Tools(sinks, asking, access, progress, outbox, places, publisher, not settings.remote)
    return Hooks(frozenset(settings.hooks_events), tools)


def load_sinks(settings: Settings) -> list[Sink]:
    """Return whom to ask and tell, in order: Python objects, files, URLs. Raises ConfigError."""
    sinks: list[Sink] = [
        PythonSink(name, _load_object(name), timeout_s=settings.hooks_timeout_s)
        for name in settings.hooks_python
    ]
    if settings.hooks_dir is not None:
        sinks.append(_file_sink(settings.hooks_dir, settings.hooks_timeout_s))
    if settings.hooks_http:
        http_sink = _load_http_sink()
        sinks += [
            http_sink(
                url,
                timeout_s=settings.hooks_timeout_s,
                forward=_names(settings.hooks_forward_headers),
                secret=settings.hook_secret,
            )
            for url in settings.hooks_http
        ]
    return sinks


def places_of(settings: Settings) -> Places:
    """Return what tells tusd's ``Storage`` of an upload."""
    kept: Mapping[str, Mapping[str, str]] = {
        "s3": {"Type": "s3store", "Bucket": settings.s3_bucket or ""},
        "gcs": {"Type": "gcsstore", "Bucket": settings.gcs_bucket or ""},
        "azure": {"Type": "azurestore", "Container": settings.azure_container or ""},
    }
    prefix = settings.prefix
    root = str(Path(settings.data_dir).absolute())

    def on_disk(info: UploadInfo) -> Mapping[str, str]:
        name = info.path if info.path and info.complete else info.id
        return {
            "Type": "filestore",
            "Path": f"{root}/{name}",
            "InfoPath": f"{root}/{info.id}.info",
        }

    def in_bucket(info: UploadInfo) -> Mapping[str, str]:
        return {**kept[settings.backend], "Key": f"{prefix}{info.id}"}

    return in_bucket if settings.remote else on_disk


def _names(text: str) -> Sequence[str]:
    return [name for name in text.split(",") if name]


def _load_http_sink() -> Callable[..., Sink]:
    try:
        module = import_module("fileloft_fast.hooks.http_sink")
    except ImportError as missing:
        if (missing.name or "").partition(".")[0] != "aiohttp":
            raise
        raise ConfigError(
            "FILELOFT_HOOKS_HTTP needs an extra: pip install 'fileloft-fast[hooks]'"
        ) from missing
    sink: Callable[..., Sink] = module.HttpSink
    return sink


def _file_sink(directory: str, timeout_s: float) -> FileSink:
    path = Path(directory).absolute()
    if not path.is_dir():
        raise ConfigError(f"FILELOFT_HOOKS_DIR: there is no folder {directory}")
    # As with tusd, a hook sees what the server sees, but for the secrets.
    return FileSink(str(path), timeout_s=timeout_s, environment=os.environ)  # noqa: TID251 - above


def _load_object(name: str) -> object:
    module, _, path = name.partition(":")
    try:
        found: Any = import_module(module)
        for attribute in path.split("."):
            found = getattr(found, attribute)
        return found() if inspect.isclass(found) else found
    except Exception as error:  # whatever an operator's module raises
        said = " ".join(str(error).split())
        raise ConfigError(f"FILELOFT_HOOKS: {name}: {type(error).__name__}: {said}") from error
