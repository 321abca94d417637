"""The metrics joiner: a rollout's row is complete when all its agents have learned from it."""

import pytest

from brigade.sim.metrics_joiner import MetricsJoiner


def test_a_row_is_complete_when_everybody_has_learned():
    joiner = MetricsJoiner(2)
    joiner.open({"update": 0}, [0, 1])
    joiner.learned(1, {"kl": 4.0})
    assert joiner.complete() == []
    joiner.learned(0, {"kl": 2.0})
    [row] = joiner.complete()
    assert row["update"] == 0
    assert row["learning"] == {"kl": 3.0}
    assert row["agents"] == {"kl": [2.0, 4.0]}, "in order of agents, not of arrival"
    assert joiner.complete() == [], "once"


def test_an_agent_learns_from_its_oldest_rollout_first():
    joiner = MetricsJoiner(2)
    for update in range(2):
        joiner.open({"update": update}, [0, 1])
    joiner.learned(0, {"kl": 1.0})
    joiner.learned(0, {"kl": 2.0})
    joiner.learned(1, {"kl": 10.0})
    [first] = joiner.complete()
    assert (first["update"], first["agents"]) == (0, {"kl": [1.0, 10.0]})
    joiner.learned(1, {"kl": 20.0})
    [second] = joiner.complete()
    assert (second["update"], second["agents"]) == (1, {"kl": [2.0, 20.0]})


def test_rows_come_in_order():
    joiner = MetricsJoiner(2)
    joiner.open({"update": 0}, [0])
    joiner.open({"update": 1}, [1])
    joiner.learned(1, {})
    assert joiner.complete() == []
    joiner.learned(0, {})
    assert [row["update"] for row in joiner.complete()] == [0, 1]


def test_nobody_waits_for_those_who_are_gone():
    joiner = MetricsJoiner(2)
    joiner.open({"update": 0}, [0, 1])
    joiner.learned(0, {"kl": 1.0})
    assert joiner.complete(gone={0}) == []
    [row] = joiner.complete(gone={1})
    assert row["agents"] == {"kl": [1.0, None]}, "each agent in its place"
    assert row["learning"] == {"kl": 1.0}


def test_a_rollout_that_nobody_learns_from_is_complete_at_once():
    joiner = MetricsJoiner(2)
    joiner.open({"update": 0}, [])
    [row] = joiner.complete()
    assert (row["learning"], row["agents"]) == ({}, {})


def test_learning_that_nobody_opened_a_row_for_is_no_error():
    joiner = MetricsJoiner(2)
    joiner.learned(3, {"kl": 1.0})
    assert joiner.complete() == []


def test_learners_may_report_different_things():
    # What a learner reports comes over the wire: it decides nothing but its own columns.
    joiner = MetricsJoiner(3)
    joiner.open({"update": 0}, [0, 1, 2])
    joiner.learned(0, {"kl": 1.0, "loss": 2.0})
    joiner.learned(1, {})
    joiner.learned(2, {"kl": 3.0, "more": 5.0})
    [row] = joiner.complete()
    assert row["learning"] == {"kl": 2.0, "loss": 2.0, "more": 5.0}


def test_shares_of_time_sum_to_one_and_begin_anew():
    joiner = MetricsJoiner(2)
    joiner.times.play, joiner.times.transport, joiner.times.wait = 6.0, 1.0, 3.0
    joiner.open({}, [])
    joiner.times.wait += 2.0
    joiner.open({}, [])
    joiner.open({}, [])
    shares = [row["time_share"] for row in joiner.complete()]
    assert shares[0] == pytest.approx({"play": 0.6, "transport": 0.1, "wait": 0.3})
    assert shares[1] == pytest.approx({"play": 0.0, "transport": 0.0, "wait": 1.0})
    assert shares[2] == {"play": 0.0, "transport": 0.0, "wait": 0.0}
