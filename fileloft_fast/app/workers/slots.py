"""The listening sockets of each worker: one of its own at every address, where that can be.

The kernel spreads connections over them (SO_REUSEPORT). The supervisor keeps all of them open: what
waits in a worker's socket while that one is down waits for its successor.
"""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING

from fileloft_fast.listen import open_sockets
from fileloft_fast.listen.sockets import BACKLOG
from fileloft_fast.observe.log import fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fileloft_fast.app.workers.launch import Launch
    from fileloft_fast.config import Settings

log = logging.getLogger(__name__)

Slots = list[list[socket.socket]]


def open_slots(settings: Settings, launch: Launch) -> Slots:
    """Return the sockets of each worker: those handed in, or new ones. Raises ConfigError.

    One socket may be in several slots; who closes all of them closes it once.
    """
    handed = [list(slot) for slot in launch.slots]
    descriptors = list(dict.fromkeys(each for slot in handed for each in slot))
    opened = open_sockets(settings, descriptors)
    by_descriptor = dict(zip(descriptors, opened, strict=False))
    slots = [[by_descriptor[each] for each in slot] for slot in handed] or [opened]
    wanted = settings.workers
    for number, slot in enumerate(slots[wanted:]):  # somebody has to take what waits there
        slots[number % wanted] += [each for each in slot if each not in slots[number % wanted]]
    del slots[wanted:]
    while len(slots) < wanted:
        slots.append([_sibling(each) for each in slots[0]])
    return slots


def close_slots(slots: Sequence[Sequence[socket.socket]]) -> None:
    """Close all; processes that have them go on with them."""
    for slot in slots:
        for each in slot:
            each.close()


def _sibling(listening: socket.socket) -> socket.socket:
    """Return another socket at the address of *listening*, or itself where there can be none.

    The first one was bound without SO_REUSEPORT: so another server at that address was found.
    """
    if listening.family == socket.AF_UNIX:
        return listening
    made = socket.socket(listening.family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if listening.family == socket.AF_INET6:
            only = listening.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
        made.bind(listening.getsockname())
        made.listen(BACKLOG)
    except OSError as error:  # such as a port that only root may bind, handed in by systemd
        made.close()
        log.info("workers share a socket", extra=fields(error=error))
        return listening
    return made
