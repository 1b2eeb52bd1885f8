"""The network may cut, reset, stall or dribble anywhere: an upload resumes and arrives whole."""

from __future__ import annotations

import random
import statistics
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import pytest

from tests.deadline import eventually
from tests.proxy import Break, Course, End, Fate, Proxy
from tests.resumer import Resumer
from tests.sender import INTERRUPTIONS, Kind, Sender
from tests.wire import CHUNKED, render_chunks

if TYPE_CHECKING:
    from tests.endpoint import Endpoint

MIB: Final = 1024 * 1024


Way = tuple[type[Sender], Kind]
"""By which protocol, and how of those that it has."""

every_way = pytest.mark.parametrize(
    "way",
    [(speaker, kind) for speaker in (Sender, Resumer) for kind in speaker.kinds],
    ids=lambda way: f"{way[0].__name__}-{way[1].value}",
)


def send_through(proxy: Proxy, tus: Endpoint, content: bytes, way: Way) -> Sender:
    """Send *content* through *proxy* until it is complete, and check what the server has then."""
    speaker, kind = way
    sender = speaker(proxy.address, content, kind, chunk=MIB // 4)
    sender.finish()
    tus.assert_holds(sender.path, content)
    return sender


@pytest.mark.parametrize("end", [End.CLOSE, End.RESET])
@every_way
def test_an_upload_survives_cuts_in_bodies_and_in_answers(
    way: Way, end: End, tus: Endpoint
) -> None:
    dice = random.Random(f"{way[1]} {end}")
    content = dice.randbytes(6 * MIB + dice.randrange(MIB))
    # Not in the last bytes, where the upload may be done before the proxy has cut.
    places = sorted(dice.randrange(len(content) - MIB) for _ in range(12))
    breaks = [Break(at, end, answer=dice.random() < 0.3) for at in places]
    with Proxy(tus.server.address, breaks=breaks) as proxy:
        sender = send_through(proxy, tus, content, way)
        assert not proxy.breaks
    assert sender.interruptions > 0


@every_way
def test_an_upload_survives_cuts_at_any_byte_of_a_head(way: Way, tus: Endpoint) -> None:
    dice = random.Random(str(way[1]))
    content = dice.randbytes(100_000)
    fates = [Fate(up=Course(after=dice.randrange(900), end=End.CLOSE)) for _ in range(40)]
    fates += [Fate(down=Course(after=dice.randrange(1200), end=End.RESET)) for _ in range(40)]
    dice.shuffle(fates)
    with Proxy(tus.server.address, *fates) as proxy:
        send_through(proxy, tus, content, way)


@every_way
def test_an_upload_that_dribbles_arrives(way: Way, tus: Endpoint) -> None:
    content = random.Random(str(way[1])).randbytes(20_000)
    dribble = Fate(up=Course(piece=7), down=Course(piece=3))
    with Proxy(tus.server.address, otherwise=dribble) as proxy:
        assert send_through(proxy, tus, content, way).interruptions == 0


@pytest.mark.parametrize("kind", [Kind.PLAIN, Kind.CHUNKED])
@pytest.mark.parametrize("speaker", [Sender, Resumer])
def test_a_stalled_upload_tells_its_offset_at_once_and_is_taken_over(
    speaker: type[Sender], kind: Kind, tus: Endpoint
) -> None:
    content = random.Random(str(kind)).randbytes(8 * MIB)
    with Proxy(tus.server.address, breaks=[Break(at=5 * MIB, end=End.STALL)]) as proxy:
        holder = speaker(proxy.address, content, kind)
        holder.create()
        thread = threading.Thread(target=send_until_it_breaks, args=(holder,))
        thread.start()
        eventually(lambda: not proxy.breaks)
        eventually(lambda: tus.offset(holder.path) >= 5 * MIB - 1024)
        times = []
        for _ in range(20):
            start = time.monotonic()
            offset = tus.offset(holder.path)
            times.append(time.monotonic() - start)
            assert tus.stored(holder.path) == content[:offset]
        assert statistics.median(times) <= 0.1, times
        heir = speaker(tus.server.address, content, kind)
        heir.adopt(holder)
        start = time.monotonic()
        heir.finish()
        assert time.monotonic() - start <= 10
        assert heir.interruptions == 0
    thread.join()
    tus.assert_holds(holder.path, content)


def send_until_it_breaks(sender: Sender) -> None:
    with suppress(*INTERRUPTIONS):
        sender.send()
    sender.close()


@pytest.mark.parametrize("kind", [Kind.PLAIN, Kind.CHUNKED])
def test_bytes_that_a_dead_client_left_behind_do_not_move_an_offset_once_told(
    kind: Kind, either: Endpoint
) -> None:
    """Its kernel delivers them although it is gone; some clients (Java) give up on the 409."""
    content = random.Random(str(kind)).randbytes(16 * MIB)
    for _ in range(5):
        upload = either.create(len(content))
        with either.connect() as dying:
            begun, framing = content, {"Content-Length": str(len(content))}
            if kind is Kind.CHUNKED:
                begun = render_chunks([content[at : at + 9999] for at in range(0, 9 * MIB, 9999)])
                framing = CHUNKED
            dying.send(either.render_append(upload, 0, b"", framing, ends=True))
            dying.send(begun[: 9 * MIB])
        offset = either.offset(upload)
        assert either.took(either.append(upload, offset, content[offset:], ends=True))
        assert either.is_complete(upload)
        either.assert_holds(upload, content)
