"""Datagrams between the processes that work in one data directory.

Each has a Unix socket in one folder, under a name that is never used again. A message can be lost:
who waits for an answer also looks for itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fileloft_fast.observe.log import fields
from fileloft_fast.uploads.host.files import FOLDER

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)

_FOLDER: Final = "peers"
_LONGEST_PATH: Final = 107  # unix(7): sun_path
_LARGEST_MESSAGE: Final = 4096
_AT_ONCE: Final = 64

OnMessage = Callable[[str, "Sequence[str]"], None]
"""Called with the name of who sent it, and its words."""


class Post:
    """This process's socket among those of its peers in *directory*.

    Raises OSError where the file system takes no sockets.
    """

    def __init__(self, directory: str) -> None:
        self.name = f"{os.getpid()}-{secrets.token_hex(6)}"
        folder = Path(directory).resolve() / FOLDER / _FOLDER
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._path = str(folder)
        if len(self._path) + 1 + len(self.name) > _LONGEST_PATH:
            self._path = f"/proc/self/fd/{self._folder}"
        self._socket = socket.socket(
            socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._on_message: OnMessage = _ignore
        try:
            self._socket.bind(f"{self._path}/{self.name}")
        except BaseException:
            self._socket.close()
            os.close(self._folder)
            raise

    def start(self, on_message: OnMessage) -> None:
        """Take messages on the loop that runs, and remove the sockets of the dead."""
        self._on_message = on_message
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._read)
        self.tell_all("hello")

    def close(self) -> None:
        """Take no more."""
        if self._loop is not None:
            self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        self._remove(self.name)
        os.close(self._folder)

    def tell(self, peer: str, *words: str) -> bool:
        """Send *words* to *peer*; False where it does not get them."""
        try:
            self._socket.sendto(" ".join(words).encode(), f"{self._path}/{peer}")
        except ConnectionRefusedError:
            self._remove(peer)  # it has died
        except OSError as error:  # gone, or it does not keep up
            log.debug("message lost", extra=fields(peer=peer, error=error))
        else:
            return True
        return False

    def tell_all(self, *words: str) -> None:
        """Send *words* to every other process."""
        for peer in self._peers():
            self.tell(peer, *words)

    def _peers(self) -> list[str]:
        with os.scandir(self._folder) as entries:
            return [entry.name for entry in entries if entry.name != self.name]

    def _read(self) -> None:
        for _ in range(_AT_ONCE):  # the others of this loop want their turn too
            try:
                data, sender = self._socket.recvfrom(_LARGEST_MESSAGE)
            except BlockingIOError:
                return
            words = data.decode(errors="replace").split()
            if words and isinstance(sender, str):
                self._on_message(sender.rpartition("/")[2], words)

    def _remove(self, name: str) -> None:
        try:
            os.unlink(name, dir_fd=self._folder)
        except FileNotFoundError:
            return  # another one was faster


def _ignore(_sender: str, _words: Sequence[str]) -> None:
    """Nobody listens yet."""
