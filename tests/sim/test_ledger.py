"""The ledger: each rollout's row is complete when all of its agents have learned from it."""

import pytest

from brigade.sim.ledger import Ledger


def test_a_row_is_complete_when_everybody_has_learned():
    ledger = Ledger(2)
    ledger.open({"update": 0}, [0, 1])
    ledger.learned(1, {"kl": 4.0})
    assert ledger.complete() == []
    ledger.learned(0, {"kl": 2.0})
    [row] = ledger.complete()
    assert row["update"] == 0
    assert row["learning"] == {"kl": 3.0}
    assert row["agents"] == {"kl": [2.0, 4.0]}, "in order of agents, not of arrival"
    assert ledger.complete() == [], "once"


def test_an_agent_learns_from_its_oldest_rollout_first():
    ledger = Ledger(2)
    for update in range(2):
        ledger.open({"update": update}, [0, 1])
    ledger.learned(0, {"kl": 1.0})
    ledger.learned(0, {"kl": 2.0})
    ledger.learned(1, {"kl": 10.0})
    [first] = ledger.complete()
    assert (first["update"], first["agents"]) == (0, {"kl": [1.0, 10.0]})
    ledger.learned(1, {"kl": 20.0})
    [second] = ledger.complete()
    assert (second["update"], second["agents"]) == (1, {"kl": [2.0, 20.0]})


def test_rows_come_in_order():
    ledger = Ledger(2)
    ledger.open({"update": 0}, [0])
    ledger.open({"update": 1}, [1])
    ledger.learned(1, {})
    assert ledger.complete() == []
    ledger.learned(0, {})
    assert [row["update"] for row in ledger.complete()] == [0, 1]


def test_nobody_waits_for_those_who_are_gone():
    ledger = Ledger(2)
    ledger.open({"update": 0}, [0, 1])
    ledger.learned(0, {"kl": 1.0})
    assert ledger.complete(gone={0}) == []
    [row] = ledger.complete(gone={1})
    assert row["agents"] == {"kl": [1.0, None]}, "each agent in its place"
    assert row["learning"] == {"kl": 1.0}


def test_a_rollout_that_nobody_learns_from_is_complete_at_once():
    ledger = Ledger(2)
    ledger.open({"update": 0}, [])
    [row] = ledger.complete()
    assert (row["learning"], row["agents"]) == ({}, {})


def test_learning_that_nobody_opened_a_row_for_is_no_error():
    ledger = Ledger(2)
    ledger.learned(3, {"kl": 1.0})
    assert ledger.complete() == []


def test_learners_may_report_different_things():
    # What a learner reports comes over the wire: it decides nothing but its own columns.
    ledger = Ledger(3)
    ledger.open({"update": 0}, [0, 1, 2])
    ledger.learned(0, {"kl": 1.0, "loss": 2.0})
    ledger.learned(1, {})
    ledger.learned(2, {"kl": 3.0, "more": 5.0})
    [row] = ledger.complete()
    assert row["learning"] == {"kl": 2.0, "loss": 2.0, "more": 5.0}


def test_shares_of_time_sum_to_one_and_begin_anew():
    ledger = Ledger(2)
    ledger.times.play, ledger.times.transport, ledger.times.wait = 6.0, 1.0, 3.0
    ledger.open({}, [])
    ledger.times.wait += 2.0
    ledger.open({}, [])
    ledger.open({}, [])
    shares = [row["time_share"] for row in ledger.complete()]
    assert shares[0] == pytest.approx({"play": 0.6, "transport": 0.1, "wait": 0.3})
    assert shares[1] == pytest.approx({"play": 0.0, "transport": 0.0, "wait": 1.0})
    assert shares[2] == {"play": 0.0, "transport": 0.0, "wait": 0.0}
