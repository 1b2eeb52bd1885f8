"""The outbox: what is written down is told, in order, by whoever has the file."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from fileloft_fast.config import HookEvent
from fileloft_fast.errors import HookUnavailableError
from fileloft_fast.hooks.outbox import outbox as outbox_module
from fileloft_fast.hooks.outbox import page as page_module
from fileloft_fast.hooks.outbox.entries import Entry, Event, Made, Told, Void, parse, render
from fileloft_fast.hooks.outbox.outbox import Outbox
from tests.unit.hooks.stage import Ear, Scene, draft, play

if TYPE_CHECKING:
    from pathlib import Path

    from fileloft_fast.hooks.outbox.page import Item
    from fileloft_fast.hooks.sink import Call
    from fileloft_fast.hooks.wire import HookResponse

ENTRIES: list[Entry] = [
    Event(1, "key", "post-finish", "a", 1.5, '{"Type":"x\\n"}'),
    Made(1),
    Told(1, "dir", dead=True),
    Void(2),
]


def test_lines_are_read_as_they_were_written() -> None:
    assert parse(b"".join(map(render, ENTRIES))) == (ENTRIES, 0)


def test_a_line_that_a_crash_has_torn_does_not_count() -> None:
    whole = b"".join(map(render, ENTRIES))
    for end in range(len(whole)):
        entries, damaged = parse(whole[:end])
        assert entries == ENTRIES[: whole[:end].count(b"\n")]
        assert damaged == 0


def test_damage_costs_the_lines_that_it_is_in() -> None:
    whole = b"".join(map(render, ENTRIES))
    for at in range(len(whole)):
        entries, damaged = parse(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert len(entries) >= len(ENTRIES) - 2
        assert damaged or len(entries) < len(ENTRIES)
        assert all(entry in ENTRIES for entry in entries)


def test_events_of_an_upload_keep_their_order_and_every_hook_hears_them(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        ears = Ear("one"), Ear("two")
        outbox = await scene.outbox(*ears)
        order = [HookEvent.POST_CREATE, HookEvent.POST_FINISH, HookEvent.POST_TERMINATE]
        for event in order:
            for number in range(30):
                (item,) = await outbox.expect(draft(f"u{number}", event))
                outbox.confirm(item)
        for ear in ears:
            await ear.wait_for(90)
            heard = defaultdict(list)
            for call in ear.heard:
                heard[call.parse().event.upload.id].append(call.event)
            assert all(events == order for events in heard.values())
        await outbox.close()
        assert scene.files() == []

    play(tmp_path, act)


def test_what_did_not_come_true_is_not_told(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        ear = Ear()
        outbox = await scene.outbox(ear)
        false, true = await outbox.expect(draft("false"), draft("true"))
        outbox.drop(false)
        outbox.confirm(true)
        await ear.wait_for(1)
        assert [call.key for call in ear.heard] == ["key-post-finish-true"]
        await outbox.close()

    play(tmp_path, act)


def test_a_file_whose_owner_is_gone_is_taken_over_and_the_store_is_asked(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        deaf = Ear("ear")
        deaf.down = True
        first = await scene.outbox(deaf)
        items = await first.expect(*(draft(name) for name in ("made", "is", "is-not", "unknown")))
        first.confirm(items[0])
        second_ear = Ear("ear")
        second = await scene.outbox(second_ear)
        assert second_ear.heard == []  # its owner is alive
        await second.close()  # or it could be the one that takes over
        scene.truth = {"is": True, "is-not": False}
        await first.close()
        third_ear = Ear("ear")
        third = await scene.outbox(third_ear)
        await third_ear.wait_for(2)
        assert {call.parse().event.upload.id for call in third_ear.heard} == {"made", "is"}
        scene.truth["unknown"] = True
        await third_ear.wait_for(3)
        await third.close()
        assert scene.files() == []

    play(tmp_path, act)


def test_a_hook_that_was_told_is_not_told_again_after_a_restart(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        hearing, deaf = Ear("hearing"), Ear("deaf")
        deaf.down = True
        outbox = await scene.outbox(hearing, deaf)
        await outbox.tell(draft("a", HookEvent.STORED))
        await hearing.wait_for(1)
        await outbox.close()
        again, opened = Ear("hearing"), Ear("deaf")
        outbox = await scene.outbox(again, opened)
        await opened.wait_for(1)
        assert again.heard == []
        await outbox.close()
        assert scene.files() == []

    play(tmp_path, act)


def test_a_long_outage_waits_on_the_disk_and_not_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_module, "PAGE_BYTES", 20_000)

    async def act(scene: Scene) -> None:
        ear = Ear()
        ear.down = True
        outbox = await scene.outbox(ear)
        for number in range(600):
            (item,) = await outbox.expect(draft(f"u{number % 200}", padding=400))
            outbox._keys.discard(item.key)  # each of its own, as if it were another upload's
            outbox.confirm(item)
        files = len(scene.files())
        assert files > 15
        in_memory = sum(len(page.items) for page in (*outbox._warm, *outbox._cold))
        assert in_memory < 600 / files * 4
        ear.down = False
        await ear.wait_for(600)
        counted: dict[str, int] = defaultdict(int)
        for call in ear.heard:
            counted[call.key] += 1
        assert set(counted.values()) == {3}
        await outbox.close()
        assert scene.files() == []

    play(tmp_path, act)


def test_a_hook_that_is_down_is_not_hammered(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        ear = Ear()
        ear.down = True
        outbox = await scene.outbox(ear)
        for number in range(300):
            await outbox.tell(draft(f"u{number}"))
        assert ear.tries < 60
        ear.down = False
        await ear.wait_for(300)
        await outbox.close()

    play(tmp_path, act)


def test_what_is_too_old_becomes_a_letter_also_where_the_hook_is_down(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        ear = Ear()
        ear.down = True
        outbox = await scene.outbox(ear, max_age_s=0.0)
        for number in range(20):
            await outbox.tell(draft(f"u{number}"))
        async with asyncio.timeout(60):
            while len(scene.letters()) < 20:
                for courier in outbox._couriers:
                    courier.expire()
                await asyncio.sleep(0.02)
        letter = json.loads(scene.letters()[0].read_text())
        assert letter["hook"] == "ear"
        assert letter["request"]["Type"] == "post-finish"
        await outbox.close()
        assert scene.files() == []

    play(tmp_path, act)


def test_a_file_that_is_read_leaves_what_is_in_doubt_to_who_has_it(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        ear = Ear()
        outbox = await scene.outbox(ear)
        true, false = await outbox.expect(draft("true"), draft("false"))
        reading = asyncio.ensure_future(true.page.load())
        await asyncio.sleep(0)  # it waits for the disk
        outbox.confirm(true)  # which is in the file only after it was read
        outbox.drop(false)
        assert await reading == ([], [], 0)
        await ear.wait_for(1)
        await outbox.close()
        assert scene.proofs == 0
        assert scene.files() == []

    play(tmp_path, act)


def test_a_torn_end_does_not_spoil_what_is_written_after_it(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        deaf = Ear("ear")
        deaf.down = True
        outbox = await scene.outbox(deaf)
        await outbox.tell(draft("a"))
        await outbox.close()
        (file,) = scene.files()
        with file.open("ab") as end:
            end.write(b'0123abcd {"type":"told","n":1,"si')
        ear = Ear("ear")
        outbox = await scene.outbox(ear)
        await ear.wait_for(1)
        await outbox.close()
        assert scene.files() == []

    play(tmp_path, act)


@pytest.mark.parametrize("event", [HookEvent.POST_RECEIVE])
def test_what_no_hook_wants_is_over_at_once(tmp_path: Path, event: HookEvent) -> None:
    async def act(scene: Scene) -> None:
        outbox = await scene.outbox(Ear())
        assert not outbox.wants(event)
        await outbox.tell(draft("a", event))
        await outbox.close()
        assert scene.files() == []

    play(tmp_path, act)


class Picky(Ear):
    """A hook that refuses what it does not like, again and again."""

    async def call(self, call: Call) -> HookResponse:
        if call.parse().event.upload.id.startswith("bad"):
            raise HookUnavailableError("a bug there")
        return await super().call(call)


@pytest.mark.parametrize("deaf", [0, 1])
def test_what_one_hook_does_not_take_does_not_hold_up_what_others_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deaf: int
) -> None:
    monkeypatch.setattr(page_module, "PAGE_BYTES", 20_000)
    monkeypatch.setattr(outbox_module, "_TEND_S", 0.05)

    async def act(scene: Scene) -> None:
        ear, other = Picky("picky"), Ear("other")
        other.down = True
        outbox = await scene.outbox(ear, *[other][:deaf])
        for number in range(300):  # in six files, each of which has a bad one
            kind = "bad" if number % 40 == 0 else "good"
            await outbox.tell(draft(f"{kind}{number}", padding=50))
        await ear.wait_for(292)
        await outbox.close()

    play(tmp_path, act)


def test_what_is_in_doubt_of_one_upload_is_told_in_its_order(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        first = await scene.outbox(Ear("ear"))
        order = [HookEvent.POST_CREATE, HookEvent.POST_FINISH, HookEvent.STORED]
        await first.expect(*(draft("a", event) for event in order))
        await first.close()
        slow = iter([0.05, 0.02, 0.0])

        async def prove(item: Item) -> str | None:
            await asyncio.sleep(next(slow))
            return item.body

        ear = Ear("ear")
        second = Outbox(
            scene.engine, str(tmp_path), [ear], durable=True, backoff_s=0.02, max_age_s=1000.0
        )
        await second.start(prove)
        await ear.wait_for(3)
        assert [call.event for call in ear.heard] == order
        await second.close()

    play(tmp_path, act)
