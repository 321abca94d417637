"""Pace: time left is told when it can be known, and is then about true."""

from __future__ import annotations

import math

import pytest

from brigade.sim.pace import RECENT_SECONDS, Mark, Pace

PER_ROLLOUT = 1000


def watch(play: float, learn: float, rollouts: int, *, overlap: bool, step: float = 0.5):
    """Marks every ``step`` seconds, and at each rollout's end, of a run of equal rollouts.

    Rollout r + 1 needs the update before the last where play and learning overlap, else the last.
    Yields each mark and the seconds that the run really has left.
    """
    played, learned = [], []  # when each rollout was played, and learned from
    for r in range(rollouts):
        needs = r - (2 if overlap else 1)
        begin = max(played[-1][1] if played else 0.0, learned[needs] if needs >= 0 else 0.0)
        played.append((begin, begin + play))
        learned.append(max(begin + play, learned[-1] if learned else 0.0) + learn)
    whole = learned[-1]
    moments = sorted({i * step for i in range(1, int(whole / step))} | {e for _, e in played})
    for now in moments:
        done = sum(min(max(now - begin, 0.0) / play, 1.0) for begin, _ in played)
        transitions = int(done * PER_ROLLOUT)
        updates = sum(end <= now for end in learned)
        share = done / rollouts
        yield Mark(now, transitions // 10, transitions, share, updates), whole - now


@pytest.mark.parametrize("overlap", [True, False])
@pytest.mark.parametrize(
    ("play", "learn", "rollouts"),
    [(0.2, 0.3, 400), (3.0, 0.1, 50), (2.0, 60.0, 30), (60.0, 5.0, 20), (40.0, 40.0, 20)],
)
def test_time_left_is_near_the_truth_from_the_second_update_on(play, learn, rollouts, overlap):
    pace, cycle = Pace(), max(play, learn) if overlap else play + learn
    for mark, truth in watch(play, learn, rollouts, overlap=overlap):
        pace.note(mark)
        told = pace.seconds_left
        if mark.updates < 2:
            assert math.isnan(told)
        elif not math.isnan(told):
            # What is played ahead of learning, and what remains to be learned at the end.
            assert abs(told - truth) <= 0.1 * truth + 3 * cycle + 1.0, (mark, told, truth)
        else:
            assert mark.seconds < 3 * cycle + 3.0, "it is known by now"
    assert pace.rates[1] == pytest.approx(PER_ROLLOUT / cycle, rel=0.1)
    assert pace.rates[0] == pytest.approx(PER_ROLLOUT / cycle / 10, rel=0.1)


def test_the_pace_is_that_of_late():
    pace, transitions = Pace(), 0
    for second in range(600):
        transitions += 1000 if second < 300 else 100
        pace.note(Mark(float(second), 0, transitions, transitions / 1e6, second))
        if second in (299, 299 + int(RECENT_SECONDS) + 2):
            expected = 1000 if second == 299 else 100
            assert pace.rates[1] == pytest.approx(expected)
            assert pace.seconds_left == pytest.approx((1e6 - transitions) / expected)


def test_before_anything_is_known_nothing_is_said():
    pace = Pace()
    pace.note(Mark(math.nan, 0, 0, 0.0, 0))
    pace.note(Mark(0.1, 5, 50, 0.0, 0))
    pace.note(Mark(0.2, 50, 500, 0.1, 0))
    assert all(math.isnan(value) for value in (*pace.rates, pace.seconds_left))
    pace.note(Mark(5.1, 105, 1050, 0.2, 0))
    assert pace.rates == (20.0, 200.0), "that of play"
    pace.note(Mark(6.1, 115, 1150, 0.2, 1))
    assert math.isnan(pace.seconds_left)


def test_a_run_that_went_on_counts_from_there():
    pace = Pace()
    pace.note(Mark(5000.0, 9000, 90000, 0.9, 0))
    pace.note(Mark(5002.0, 9010, 90100, 0.901, 0))
    assert pace.rates == (5.0, 50.0)
