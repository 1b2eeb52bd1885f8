"""How long to wait before the next try."""

from __future__ import annotations

from fileloft_fast.flush.retry import Backoff


def test_waits_double_up_to_the_cap() -> None:
    backoff = Backoff(0.2, 3.0, lambda: 1.0)
    assert [backoff.next_s() for _ in range(7)] == [0.2, 0.4, 0.8, 1.6, 3.0, 3.0, 3.0]


def test_a_wait_is_drawn_between_nothing_and_its_ceiling() -> None:
    draws = iter([0.0, 0.5, 0.25])
    backoff = Backoff(1.0, 30.0, lambda: next(draws))
    assert [backoff.next_s() for _ in range(3)] == [0.0, 1.0, 1.0]


def test_after_a_success_the_waits_are_short_again() -> None:
    backoff = Backoff(1.0, 30.0, lambda: 1.0)
    for _ in range(5):
        backoff.next_s()
    backoff.reset()
    assert backoff.next_s() == 1.0


def test_no_wait_exceeds_the_cap_however_long_it_fails() -> None:
    backoff = Backoff(draw=lambda: 1.0)
    assert max(backoff.next_s() for _ in range(5000)) == 30.0


def test_the_first_wait_does_not_exceed_the_cap_either() -> None:
    assert Backoff(5.0, 1.0, lambda: 1.0).next_s() == 1.0
