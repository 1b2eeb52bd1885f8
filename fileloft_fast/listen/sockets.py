"""Opens the sockets that connections come in by, or takes those that were handed in."""

from __future__ import annotations

import errno
import fcntl
import grp
import os
import pwd
import socket
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fileloft_fast.errors import ConfigError

if TYPE_CHECKING:
    from fileloft_fast.config import BindAddress, Settings

BACKLOG: Final = 4096
FIRST_HANDED_IN: Final = 3
"""Where the descriptors of socket activation begin (sd_listen_fds(3))."""

_FAMILIES: Final = frozenset({socket.AF_INET, socket.AF_INET6, socket.AF_UNIX})
_NOT_HERE: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
_LOCK_S: Final = 5.0
_LOCK_EVERY_S: Final = 0.05


def open_sockets(settings: Settings, inherited: Sequence[int] = ()) -> list[socket.socket]:
    """Return listening sockets, which the caller closes.

    The descriptors *inherited* from another process of ours go before those that systemd hands in,
    and these before the addresses of the settings. The sockets are not inheritable; who starts a
    process names them to it (``pass_fds``). Blocks. Raises ConfigError naming the variable.
    """
    if inherited:
        return _taken(inherited, "inherited sockets")
    if settings.listen_fds and settings.listen_pid == os.getpid():
        last = FIRST_HANDED_IN + settings.listen_fds
        return _taken(range(FIRST_HANDED_IN, last), "LISTEN_FDS")
    if settings.unix_socket is not None:
        return [_open_unix(Path(settings.unix_socket), settings)]
    return _open_all("FILELOFT_BIND", settings.bind)


def open_desk_sockets(settings: Settings) -> list[socket.socket]:
    """Return listening sockets for operators, none where FILELOFT_METRICS_BIND asks for none."""
    # A process that takes over opens its own beside these.
    return _open_all("FILELOFT_METRICS_BIND", settings.metrics_bind or (), beside=True)


def close_sockets(sockets: Sequence[socket.socket]) -> None:
    """Close every one; other processes that have them go on with them."""
    for each in sockets:
        each.close()


def place_of(listening: socket.socket) -> dict[str, str]:
    """Return where *listening* listens, as a field of the log: ``address`` or ``socket``."""
    name = listening.getsockname()
    if listening.family == socket.AF_UNIX:
        return {"socket": os.fsdecode(name)}
    host, port = name[:2]
    shown = f"[{host}]" if listening.family == socket.AF_INET6 else host
    return {"address": f"{shown}:{port}"}


def _taken(descriptors: Sequence[int], variable: str) -> list[socket.socket]:
    """Return the sockets that the *descriptors* are. Raises ConfigError where one does not listen.

    Descriptors that other processes share: nothing of theirs is changed but O_NONBLOCK.
    """
    taken: list[socket.socket] = []
    try:
        taken.extend(_taken_one(descriptor, variable) for descriptor in descriptors)
    except BaseException:
        close_sockets(taken)
        raise
    return taken


def _taken_one(descriptor: int, variable: str) -> socket.socket:
    wrong = ConfigError(f"{variable}: descriptor {descriptor} is no listening stream socket")
    try:
        taken = socket.socket(fileno=descriptor)
    except OSError as error:
        raise wrong from error
    listens = taken.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if not listens or taken.type != socket.SOCK_STREAM or taken.family not in _FAMILIES:
        taken.close()
        raise wrong
    taken.set_inheritable(False)
    return taken


def _open_all(
    variable: str, addresses: Sequence[BindAddress], *, beside: bool = False
) -> list[socket.socket]:
    opened: list[socket.socket] = []
    try:
        for address in addresses:
            opened += _open_tcp(variable, address, beside=beside)
    except BaseException:
        close_sockets(opened)
        raise
    return opened


def _open_tcp(variable: str, address: BindAddress, *, beside: bool) -> list[socket.socket]:
    """Listen on every address that a name has; one of a family that this machine lacks may fail."""
    opened: list[socket.socket] = []
    failed: OSError | None = None
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, place in {(each[0], each[4]): None for each in found}:
            try:
                opened.append(_listening(family, place, beside=beside))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                failed = error
        if failed is not None and not opened:
            raise failed
    except OSError as error:
        close_sockets(opened)
        raise ConfigError(f"{variable}: {address}: {error}") from error
    return opened


def _listening(family: int, place: tuple[Any, ...], *, beside: bool) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, beside)
        if family == socket.AF_INET6:  # [::] and 0.0.0.0 stand beside each other
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(place)
        made.listen(BACKLOG)
    except BaseException:
        made.close()
        raise
    return made


def _open_unix(path: Path, settings: Settings) -> socket.socket:
    """Listen on *path*, which belongs to the owner that was asked for before anybody connects."""
    owner = _owner(settings.unix_socket_owner)
    made = socket.socket(socket.AF_UNIX)
    try:
        with _locked(path.parent):  # two that start at once must not replace each other
            _remove_stale(path)
            made.bind(str(path))
            if owner is not None:
                os.chown(path, *owner)
            if settings.unix_socket_mode is not None:
                path.chmod(settings.unix_socket_mode)
            made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise ConfigError(f"FILELOFT_UNIX_SOCKET: {error}") from error
    except BaseException:
        made.close()
        raise
    return made


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the lock of *directory*. Raises TimeoutError where somebody else keeps it."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        end = time.monotonic() + _LOCK_S
        while not _try_lock(descriptor):
            if time.monotonic() > end:
                raise TimeoutError(f"somebody keeps {directory} locked")
            time.sleep(_LOCK_EVERY_S)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove_stale(path: Path) -> None:
    """Remove a socket that nobody listens on. Raises ConfigError for anything else in the way."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ConfigError(f"FILELOFT_UNIX_SOCKET: {path} exists and is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(0)  # a queue that is full is somebody who listens
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass
    raise ConfigError(f"FILELOFT_UNIX_SOCKET: somebody listens on {path}")


def _owner(text: str | None) -> tuple[int, int] | None:
    """Return the ids of ``user[:group]``; -1 leaves one as it is. Raises ConfigError."""
    if text is None:
        return None
    user, _, group = text.partition(":")
    try:
        return (
            _id_of(user, lambda name: pwd.getpwnam(name).pw_uid),
            _id_of(group, lambda name: grp.getgrnam(name).gr_gid),
        )
    except KeyError as unknown:
        raise ConfigError(f"FILELOFT_UNIX_SOCKET_OWNER: {unknown.args[0]}") from unknown


def _id_of(name: str, look_up: Callable[[str], int]) -> int:
    if not name:
        return -1
    return int(name) if name.isdecimal() else look_up(name)
