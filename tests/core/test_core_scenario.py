"""Scenarios: what they accept, how they refuse, and that they behave as values."""

import copy
import json
import math
import pickle
from pathlib import Path

import numpy as np
import pytest

from brigade._core import PARAMETER_FEATURES, Engine, Scenario, named_scenario, scenario_names

ROOT = Path(__file__).parents[2]
FILE = json.loads((ROOT / "brigade-rs" / "scenarios.json").read_text())


def test_the_named_scenarios_are_those_of_the_file_in_its_order():
    assert scenario_names() == list(FILE)
    assert len(FILE) == 18
    for name, entry in FILE.items():
        scenario = named_scenario(name)
        assert scenario.name == name
        assert scenario.description == entry["description"]
        for parameter, value in entry.items():
            if parameter != "description":
                assert getattr(scenario, parameter) == value


def test_the_defaults_are_those_of_default():
    assert Scenario() == named_scenario("default")
    assert Scenario().name == "custom"


def test_every_parameter_is_a_read_only_attribute():
    scenario = Scenario()
    assert list(scenario.to_dict()) == list(Scenario.PARAMETERS)
    for name, value in scenario.to_dict().items():
        assert getattr(scenario, name) == value
        with pytest.raises(AttributeError):
            setattr(scenario, name, value)
    assert set(Scenario.PARAMETERS) - set(PARAMETER_FEATURES) == {"agent_home_positions"}


def test_an_unknown_name_lists_the_known_ones_and_the_nearest():
    with pytest.raises(
        ValueError, match=r"'?\"chain_recation\".*did you mean \"chain_reaction\""
    ) as e:
        named_scenario("chain_recation")
    assert all(name in str(e.value) for name in FILE)
    with pytest.raises(ValueError, match="name must be a text, not 3"):
        named_scenario(3)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"num_housse": 3}, 'unknown scenario parameter "num_housse" .*"num_houses"'),
        ({"num_houses": 1}, r"num_houses must be a whole number in \[2, 65536\], not 1"),
        ({"num_houses": 10.0}, r"num_houses must be .*, not 10\.0"),
        ({"num_houses": True}, "num_houses must be .*, not True"),
        ({"num_houses": np.True_}, "num_houses must be .*True"),
        ({"num_houses": 10**30}, "num_houses must be"),
        ({"num_houses": "10"}, 'num_houses must be .*, not "10"'),
        ({"min_nights": -1}, "min_nights must be a whole number in .*, not -1"),
        ({"min_nights": None}, "min_nights must be .*, not None"),
        (
            {"prob_house_catches_fire": 1.5},
            r"prob_house_catches_fire must be a number in \[0, 1\], not 1\.5",
        ),
        ({"prob_house_catches_fire": -1e-9}, "prob_house_catches_fire must be"),
        ({"prob_house_catches_fire": math.nan}, "prob_house_catches_fire must be .*NaN"),
        ({"prob_house_catches_fire": [0.5]}, r"prob_house_catches_fire must be .*\[0\.5\]"),
        ({"prob_house_catches_fire": 1 + 2j}, "prob_house_catches_fire must be"),
        ({"reward_rest": math.inf}, r"reward_rest must be a number in \[-1e9, 1e9\], not inf"),
        ({"reward_rest": False}, "reward_rest must be .*, not False"),
        ({"reward_rest": "x" * 1000}, "reward_rest must be"),
        ({"extinguish_mode": "bernouli"}, 'one of "bernoulli", "continuous", .*"bernoulli"\\?'),
        ({"extinguish_mode": 0}, "extinguish_mode must be one of .*, not 0"),
        ({"reward_own_house_survives": []}, "reward_own_house_survives must be"),
        ({"reward_own_house_survives": [1, None]}, r"reward_own_house_survives\[1\] must be"),
        ({"reward_own_house_survives": [[1.0]]}, r"reward_own_house_survives\[0\] must be"),
        ({"agent_home_positions": 3}, "agent_home_positions must be None or a list"),
        ({"agent_home_positions": [0, 10]}, r"agent_home_positions\[1\] must be .*\[0, 9\].* 10"),
        ({"agent_home_positions": [0.0]}, r"agent_home_positions\[0\] must be"),
        ({"team_welfare_gamma": 1.5}, "team_welfare_gamma must be"),
        ({"name": 3}, "name must be a text, not 3"),
        ({"description": None}, "description must be a text, not None"),
    ],
)
def test_a_bad_value_is_refused_with_its_name_and_range(parameters, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        Scenario(**parameters)
    assert len(str(error.value)) < 600
    with pytest.raises(ValueError, match=sentence):
        named_scenario("easy").replace(**parameters)


def test_numbers_may_come_from_numpy():
    scenario = Scenario(
        num_houses=np.int8(5),
        reward_rest=np.float32(0.5),
        cost_to_work_one_night=2,
        penalty_own_house_burns=np.array([1, 2, 3]),
        reward_own_house_survives=(1, 2.5, np.float64(3)),
        agent_home_positions=np.array([4, 0, 1], dtype=np.uint8),
    )
    assert scenario.num_houses == 5
    assert scenario.reward_rest == 0.5
    assert scenario.cost_to_work_one_night == 2.0
    assert scenario.penalty_own_house_burns == [1.0, 2.0, 3.0]
    assert scenario.reward_own_house_survives == [1.0, 2.5, 3.0]
    assert scenario.agent_home_positions == [4, 0, 1]


@pytest.mark.parametrize(
    "name", ["agent_home_positions", "penalty_own_house_burns", "reward_other_house_survives"]
)
def test_a_list_must_fit_the_team(name):
    scenario = Scenario(**{name: [1, 2, 3]})
    Engine(scenario, 3, 0)
    with pytest.raises(ValueError, match=f"{name} must have one entry per seat: it has 3"):
        Engine(scenario, 4, 0)


def test_scenarios_are_values():
    scenario = named_scenario("positional_default")
    same = Scenario(**scenario.to_dict(), name="other", description="words")
    assert same == scenario
    assert hash(same) == hash(scenario)
    assert same.name == "other"
    assert scenario != named_scenario("default")
    assert scenario != scenario.to_dict()
    assert {scenario: 1}[same] == 1
    assert Scenario(reward_rest=-0.0) == Scenario(reward_rest=0.0)
    assert hash(Scenario(reward_rest=-0.0)) == hash(Scenario(reward_rest=0.0))


def test_a_changed_scenario_says_of_which_it_was_made():
    scenario = named_scenario("easy")
    assert scenario.replace() == scenario
    assert scenario.replace(min_nights=10).name == "easy"
    assert scenario.replace(min_nights=3).name == "easy (changed)"
    assert scenario.replace(min_nights=3).replace(min_nights=4).name == "easy (changed)"
    assert Scenario().replace(min_nights=3).name == "custom"
    assert scenario.replace(min_nights=3).description == ""
    assert scenario.replace(min_nights=3, name="short").name == "short"
    assert scenario.replace(min_nights=3).min_nights == 3
    assert scenario.min_nights == 10


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_copies_and_pickles_are_equal(protocol):
    scenario = Scenario(
        penalty_own_house_burns=[1.5, 2, 0.1], agent_home_positions=[1, 2, 3], name="x"
    )
    for other in (
        copy.copy(scenario),
        copy.deepcopy(scenario),
        pickle.loads(pickle.dumps(scenario, protocol)),
    ):
        assert other == scenario
        assert other.name == "x"


def test_repr_makes_the_scenario_again():
    for name in scenario_names():
        scenario = named_scenario(name)
        again = eval(repr(scenario), {"Scenario": Scenario})
        assert again == scenario
        assert again.name == name
