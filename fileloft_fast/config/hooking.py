"""Settings of the hooks: whom to ask, whom to tell, how patiently."""

from __future__ import annotations

from dataclasses import dataclass

from fileloft_fast.config.hook_values import (
    HookEvent,
    parse_hook_events,
    parse_hook_objects,
    parse_hook_urls,
)
from fileloft_fast.config.resuming import Resuming
from fileloft_fast.config.rows import setting
from fileloft_fast.config.values import (
    maybe,
    parse_count,
    parse_field_names,
    parse_positive_seconds,
    parse_seconds,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooking(Resuming):
    """What others are asked and told."""

    hooks_http: tuple[str, ...] = setting(
        "FILELOFT_HOOKS_HTTP",
        "",
        parse_hook_urls,
        "URLs that hooks are sent to by POST, separated by commas",
        secret=True,  # a URL may hold a token or a password
    )
    hooks_dir: str | None = setting(
        "FILELOFT_HOOKS_DIR",
        "",
        maybe(str),
        "directory of executable hooks, each named as its event",
    )
    hooks_python: tuple[str, ...] = setting(
        "FILELOFT_HOOKS",
        "",
        parse_hook_objects,
        "Python objects that are called as hooks, module:object, separated by commas",
    )
    hooks_events: tuple[HookEvent, ...] = setting(
        "FILELOFT_HOOKS_EVENTS",
        "pre-create,post-create,post-receive,post-terminate,post-finish,stored",
        parse_hook_events,
        "events that hooks are asked about or told of, separated by commas; also pre-access,"
        " pre-finish, pre-terminate",
    )
    hooks_forward_headers: str = setting(
        "FILELOFT_HOOKS_FORWARD_HEADERS",
        "",
        parse_field_names,
        "headers of the client's request that HTTP hooks get as headers too, separated by commas",
    )
    hooks_timeout_s: float = setting(
        "FILELOFT_HOOKS_TIMEOUT", "15", parse_positive_seconds, "seconds that one try may take"
    )
    hooks_retry: int = setting(
        "FILELOFT_HOOKS_RETRY",
        "3",
        parse_count,
        "tries after the first where a hook that is asked (pre-) cannot be reached or is busy",
    )
    hooks_backoff_s: float = setting(
        "FILELOFT_HOOKS_BACKOFF",
        "1",
        parse_seconds,
        "seconds between two tries; doubled from try to try where a hook is told (post-, stored)",
    )
    hooks_progress_interval_s: float = setting(
        "FILELOFT_HOOKS_PROGRESS_INTERVAL",
        "1",
        parse_positive_seconds,
        "seconds between two post-receive of one upload",
    )
    hooks_max_age_s: float = setting(
        "FILELOFT_HOOKS_MAX_AGE",
        "259200",
        parse_positive_seconds,
        "seconds after which an event that could not be delivered becomes a dead letter",
    )
    hooks_access_ttl_s: float = setting(
        "FILELOFT_HOOKS_ACCESS_TTL",
        "0",
        parse_seconds,
        "seconds that a pre-access hook's yes counts where it does not say itself (CacheTTL)",
    )
    hook_secret: str | None = setting(
        "FILELOFT_HOOK_SECRET",
        "",
        maybe(str),
        "key of the signature (HMAC-SHA256) that HTTP hooks carry",
        secret=True,
    )

    @property
    def hooks_wanted(self) -> bool:
        """Whether anybody is to be asked or told, of anything."""
        return bool(self.hooks_events and (self.hooks_http or self.hooks_dir or self.hooks_python))
