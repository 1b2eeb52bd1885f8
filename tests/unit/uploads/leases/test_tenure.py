"""How long a holder may count on its lease: by its own clock, from when it sent the renewal."""

from __future__ import annotations

import asyncio
import time

from fileloft_fast.uploads.leases.tenure import Tenure


def test_a_lease_is_over_before_its_time_and_says_so_once() -> None:
    async def scene() -> None:
        loop, ends = asyncio.get_running_loop(), list[float]()
        sent_at = loop.time()
        tenure = Tenure(0.2, sent_at, lambda: ends.append(loop.time() - sent_at))
        before, due_s = tenure.over, tenure._timer.when() - sent_at
        await asyncio.sleep(0.3)
        assert (before, tenure.over) == (False, True)
        tenure.end()
        assert len(ends) == 1
        assert 0.15 < due_s < 0.2
        assert ends[0] >= due_s - 0.01

    asyncio.run(scene())


def test_a_renewal_counts_from_when_it_was_sent() -> None:
    async def scene() -> None:
        loop, ends = asyncio.get_running_loop(), list[float]()
        began = loop.time()
        tenure = Tenure(1.0, began, lambda: ends.append(loop.time() - began))
        await asyncio.sleep(0.01)
        tenure.renew(began + 0.3)
        await asyncio.sleep(1.3)
        assert 1.0 < tenure._ends_at - began < 1.3
        assert ends[0] > 1.0

    asyncio.run(scene())


def test_a_renewal_that_is_confirmed_too_late_brings_nothing_back() -> None:
    async def scene() -> None:
        loop, ends = asyncio.get_running_loop(), list[bool]()
        tenure = Tenure(0.05, loop.time(), lambda: ends.append(True))
        time.sleep(0.06)  # noqa: ASYNC251 - the loop stalls: no timer can tell
        assert tenure.over
        tenure.renew(loop.time())
        assert tenure.over
        await asyncio.sleep(0.01)
        assert ends == [True]

    asyncio.run(scene())


def test_a_lease_that_was_given_up_is_over_without_a_word() -> None:
    async def scene() -> None:
        ends: list[bool] = []
        tenure = Tenure(0.02, asyncio.get_running_loop().time(), lambda: ends.append(True))
        tenure.stop()
        assert tenure.over
        await asyncio.sleep(0.05)
        assert ends == []

    asyncio.run(scene())
