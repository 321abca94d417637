"""Recorded games: scenario, seed and actions, replayed bit by bit, and read with suspicion."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import brigade
from brigade.env.game import Game
from brigade.play import GameRecord
from brigade.play.show import play_game

SCENARIOS = [
    brigade.load_scenario("default"),
    brigade.load_scenario("hard", commitment_mode="two_phase"),
    brigade.load_scenario(
        "default_continuous", reward_rest=0.1, penalty_own_house_burns=[1 / 3] * 4
    ),
]


def recorded(scenario, seed=7, max_cycles=15):
    return play_game(
        brigade.parse_team("hero,spread,liar,random", scenario), scenario, seed, max_cycles
    )


def trail(record):
    return [
        (g.observations.tobytes(), g.rewards.tobytes(), g.returns.tobytes(), g.night, g.ending)
        for g in record.games()
    ]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_record_replays_bit_by_bit_after_a_trip_through_its_file(scenario, tmp_path):
    record = recorded(scenario)
    path = tmp_path / "game.json"
    path.write_text(record.to_json())
    again = GameRecord.load(path)
    assert again == record
    assert trail(again) == trail(record)
    assert again.to_json() == record.to_json()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_replay_is_what_an_engine_plays(scenario):
    record = recorded(scenario)
    engine = brigade.Engine(scenario, 4, 7)
    for night in range(record.num_nights):
        signals = None if record.promises is None else record.promises[night]
        rewards, _ = engine.step(record.actions[night], signals)
    *_, last = record.games()
    assert last.night == engine.night
    assert last.rewards.tobytes() == rewards.tobytes()
    assert last.ending is not None


def test_the_same_seed_plays_the_same_game():
    assert recorded(SCENARIOS[0]) == recorded(SCENARIOS[0])
    assert recorded(SCENARIOS[0]) != recorded(SCENARIOS[0], seed=8)


def test_a_record_holds_scenario_seed_and_actions_only():
    table = json.loads(recorded(SCENARIOS[0]).to_json())
    assert set(table) == {"format", "version", "scenario", "seed", "actions"}
    assert set(table["scenario"]) == {"name", *brigade.Scenario.PARAMETERS}


def broken(change):
    """Give a record's table, changed."""
    table = json.loads(recorded(SCENARIOS[change.pop("of", 0)]).to_json())
    for key, value in change.items():
        if value is ...:
            del table[key]
        else:
            table[key] = value(table[key]) if callable(value) else value
    return table


def without(key):
    return lambda table: {k: v for k, v in table.items() if k != key}


BAD = {
    "no table": ([1, 2], "format"),
    "another format": ({"format": "chess"}, "format"),
    "another version": ({"version": 2}, "version 1"),
    "no seed": ({"seed": ...}, "has no 'seed'"),
    "more keys": ({"rewards": []}, "unknown 'rewards'"),
    "negative seed": ({"seed": -1}, "seed must be"),
    "seed true": ({"seed": True}, "seed must be"),
    "huge seed": ({"seed": 2**64}, "seed must be"),
    "text seed": ({"seed": "7"}, "seed must be"),
    "scenario is a name": ({"scenario": "default"}, "table of parameters"),
    "scenario misses one": ({"scenario": without("min_nights")}, "min_nights"),
    "scenario has more": ({"scenario": lambda s: {**s, "x": 1}}, "x"),
    "scenario out of range": ({"scenario": lambda s: {**s, "num_houses": 10**12}}, "num_houses"),
    "scenario name": ({"scenario": lambda s: {**s, "name": 3}}, "table of parameters"),
    "no nights": ({"actions": []}, "nights"),
    "nights are text": ({"actions": "abc"}, "nights"),
    "a float": ({"actions": [[[0, 0, 0.0]]]}, "integers"),
    "a truth value": ({"actions": [[[0, 0, True]]]}, "integers"),
    "null": ({"actions": [[[0, 0, None]]]}, "integers"),
    "negative": ({"actions": [[[-1, 0, 0]]]}, "integers"),
    "huge": ({"actions": [[[2**40, 0, 0]]]}, "integers"),
    "house out of range": ({"actions": [[[10, 0, 0]]]}, "below"),
    "mode out of range": ({"actions": [[[0, 2, 0]]]}, "below"),
    "two entries": ({"actions": [[[0, 0]]]}, r"\[house, mode, signal\]"),
    "ragged": ({"actions": [[[0, 0, 0]], [[0, 0, 0], [0, 0, 0]]]}, "same number"),
    "nobody": ({"actions": [[]]}, "same number|mode, signal"),
    "too deep": ({"actions": [[[[0]]]]}, "integers"),
    "too flat": ({"actions": [[0, 0, 0]]}, "lists"),
    "after the end": (
        {"actions": lambda nights: [[[0, 0, 0]] * 4] * 13 + nights, "of": 0},
        "after its end|below",
    ),
    "one phase in two": ({"of": 1, "actions": [[[0, 0, 0]] * 4]}, "two-phase"),
    "signals ragged": (
        {"of": 1, "actions": [{"signals": [0], "actions": [[0, 0, 0]] * 4}]},
        "as many",
    ),
    "signals out of range": (
        {"of": 1, "actions": [{"signals": [2] * 4, "actions": [[0, 0, 0]] * 4}]},
        "below",
    ),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_hostile_record_is_refused_in_one_line(fault, tmp_path):
    change, words = BAD[fault]
    table = broken(dict(change)) if isinstance(change, dict) else change
    if fault == "after the end":
        table["scenario"]["prob_house_catches_fire"] = 0.0
        table["actions"] = [[[0, 0, 0]] * 4] * 14
    path = tmp_path / "game.json"
    path.write_text(json.dumps(table))
    with pytest.raises(ValueError, match=words) as refusal:
        list(GameRecord.load(path).games())
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"format": "brigade-game"', b"nan", b"null"]
)
def test_what_is_no_json_is_refused(data):
    with pytest.raises(ValueError, match="not a recorded game"):
        GameRecord.from_json(data)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match="cannot be read"):
        GameRecord.load(tmp_path / "none.json")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 12) | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["actions", "seed", "scenario", "version", "format"]), json_values)
def test_garbage_in_any_place_never_gets_through(key, value):
    table = {**TABLE, key: value}
    try:
        games = list(GameRecord.from_json(json.dumps(table)).games())
    except ValueError as refusal:
        assert str(refusal)  # noqa: PT017
    else:
        assert isinstance(games[-1], Game)


TABLE = json.loads(recorded(SCENARIOS[0]).to_json())


def test_records_compare_by_what_they_hold():
    one = recorded(SCENARIOS[1])
    other = GameRecord(one.scenario, one.seed, one.actions, 1 - one.promises)
    assert one != other
    assert one != GameRecord(one.scenario, one.seed, np.zeros_like(one.actions), one.promises)
    assert one != "a record"
