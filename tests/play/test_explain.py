"""Scenarios in a table and in words."""

import io
import re
from itertools import chain

import pytest
from rich.console import Console

import brigade
from brigade.play import explain_scenario, list_scenarios
from brigade.play.explain import describe


def printed(function, *arguments, width=100):
    out = Console(file=io.StringIO(), width=width, color_system=None)
    function(*arguments, console=out)
    return out.file.getvalue()


def told(scenario):
    return " ".join(chain.from_iterable(describe(scenario).values()))


@pytest.mark.parametrize("width", [80, 160])
def test_all_scenarios_are_listed_with_their_descriptions(width):
    words = printed(list_scenarios, width=width)
    assert max(map(len, words.splitlines())) <= width
    flat = " ".join(words.split())
    for name in brigade.scenario_names():
        assert name in flat
    if width == 80:
        for name in brigade.scenario_names():
            assert brigade.load_scenario(name).description in flat


@pytest.mark.parametrize("name", brigade.scenario_names())
def test_each_scenario_is_explained(name):
    words = printed(explain_scenario, name, width=200)
    for title in ("The game", "What pays", "What it costs", "Parameters"):
        assert f"\n{title}\n" in words
    for parameter in brigade.Scenario.PARAMETERS:
        assert parameter in words


def test_the_numbers_are_the_scenarios():
    words = told(brigade.load_scenario("default"))
    assert "a chance of 2% a night" in words
    assert "one worker 50%, two 75%, three 87.5%" in words
    assert "costs 0.5 a night, 1 less than resting" in words
    # A ruined house: 10 less for the team's share of safe ones, 10 and 40 of penalty.
    assert "60 less for its owner and 20 less for each of the others" in words


def test_what_a_lost_house_costs_is_what_the_engine_takes():
    scenario = brigade.load_scenario("default", prob_house_catches_fire=0.0)
    start = brigade.load_scenario("default", prob_house_catches_fire=1.0)
    nobody = [[0, 0, 0]] * 4
    safe, _ = brigade.Engine(scenario, 4, 1).step(nobody)
    lost, _ = brigade.Engine(start, 4, 1).step(nobody)
    owned = [3, 3, 2, 2]
    assert (safe - lost).tolist() == [20 * 10 + 40 * n for n in owned]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"commitment_mode": "two_phase"}, "two steps"),
        ({"action_validity_mode": "adjacent_only"}, "only their home"),
        ({"extinguish_mode": "continuous"}, "worn down"),
        ({"distance_cost_alpha": 0.25}, "0.25 for each step"),
        ({"progress_shaping_coef": 3.0}, r"\+3 to all"),
        ({"action_shaping_alpha": 4.0}, r"\+4 shared"),
        ({"action_shaping_beta": 5.0}, r"\+5 to each worker"),
        ({"team_welfare_kind": "team_welfare_closed_form", "team_welfare_lambda": 2.0}, "welfare"),
        ({"reward_own_house_survives": [1.0, 2.0, 3.0, 4.0]}, "1 to 4"),
        ({"prob_house_catches_fire": 0.0}, "nothing ever burns"),
    ],
)
def test_every_special_rule_is_told(changes, words):
    text = told(brigade.load_scenario("default", **changes))
    assert re.search(words, text), text


def test_a_scenario_file_is_explained_too(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('base = "hard"\nnum_houses = 4\n')
    assert printed(explain_scenario, path).startswith("mine")
