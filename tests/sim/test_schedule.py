"""When learning happens: the lag of each way, played through with learners slow and fast."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brigade.sim.schedule import Schedule


def lags(schedule: Schedule, delays, agents=3, rollouts=30) -> list[list[int]]:
    """Play a run: an agent's next version arrives after a delay drawn from ``delays``.

    A run that waits for what cannot come fails.
    """
    delays = iter(delays)
    newest = dict.fromkeys(range(agents), 0)
    queues: dict[int, list[int]] = {agent: [] for agent in newest}  # delays left, of rollouts sent
    played = dict.fromkeys(range(agents), 0)
    found = []

    def learn() -> bool:
        moved = False
        for agent, queue in queues.items():
            if queue:
                moved = True
                queue[0] -= 1
                if queue[0] <= 0:
                    queue.pop(0)
                    newest[agent] += 1
        return moved

    for _ in range(rollouts):
        while schedule.awaited(newest, played, newest):
            assert learn(), "it waits for versions that nobody is making"
        acting = {agent: schedule.played(played[agent], newest[agent]) for agent in newest}
        assert all(acting[agent] <= newest[agent] for agent in newest), "it has these policies"
        found.append([played[agent] - acting[agent] for agent in newest])
        for agent in newest:
            # What waits, besides the rollout that is sent now.
            assert len(queues[agent]) <= schedule.window
            queues[agent].append(next(delays))
            played[agent] += 1
        learn()
    return found


DELAYS = st.lists(st.integers(0, 6), min_size=90, max_size=90)


@given(delays=DELAYS)
def test_lockstep_has_no_lag(delays):
    assert all(lag == 0 for row in lags(Schedule("lockstep", 4), delays) for lag in row)


@given(delays=DELAYS)
def test_overlap_has_a_lag_of_one_whatever_the_learners_speed(delays):
    first, *rest = lags(Schedule("overlap", 4), delays)
    assert first == [0, 0, 0], "there is but one policy to begin with"
    assert all(lag == 1 for row in rest for lag in row)


@given(delays=DELAYS, max_lag=st.integers(1, 5))
def test_async_has_a_bounded_lag(delays, max_lag):
    assert all(
        0 <= lag <= max_lag for row in lags(Schedule("async", max_lag), delays) for lag in row
    )


def test_async_does_not_wait_where_it_need_not():
    schedule = Schedule("async", 3)
    assert schedule.awaited([0], {0: 3}, {0: 0}) == []
    assert schedule.awaited([0], {0: 4}, {0: 0}) == [0]
    assert schedule.played(4, 2) == 2


@pytest.mark.parametrize("sync", ["lockstep", "overlap", "async"])
def test_nobody_plays_before_every_agent_has_been_heard_of(sync):
    schedule = Schedule(sync, 4)
    assert schedule.awaited([0, 1, 2], {0: 0, 1: 0, 2: 0}, {1: 0}) == [0, 2]


def test_only_those_that_learn_are_waited_for():
    assert Schedule("lockstep", 4).awaited([1], {0: 5, 1: 2}, {0: 0, 1: 2}) == []


def test_each_agent_is_awaited_by_its_own_count_of_rollouts():
    # An agent that was frozen for a while has played fewer rollouts for learning than others.
    schedule = Schedule("overlap", 4)
    assert schedule.awaited([0, 1], {0: 9, 1: 4}, {0: 7, 1: 3}) == [0]


def test_a_frozen_agent_plays_what_it_has():
    # Its learner is gone and it goes on with its last version, while others' rollouts count on.
    for sync in ("lockstep", "overlap", "async"):
        assert Schedule(sync, 4).played(9, newest=5) == 5
