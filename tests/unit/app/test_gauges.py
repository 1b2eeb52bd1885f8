"""The gauges: what there is a lot of is looked at without holding the loop up."""

from __future__ import annotations

import asyncio

from fileloft_fast.app.gauges import unhurried


def test_others_have_their_turn_while_many_are_looked_at() -> None:
    async def scene() -> tuple[list[int], int]:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        running = asyncio.create_task(other())
        found = [item async for item in unhurried(range(2000))]
        running.cancel()
        return found, turns

    found, turns = asyncio.run(scene())
    assert found == [*range(2000)]
    assert turns >= 5


def test_what_is_looked_at_may_change_meanwhile() -> None:
    async def scene() -> list[int]:
        there, found = dict.fromkeys(range(2000), ""), list[int]()
        async for item in unhurried(there):
            found.append(item)
            there.pop(1999 - item, None)
            there[item + 5000] = ""
        return found

    assert asyncio.run(scene()) == [*range(2000)]
