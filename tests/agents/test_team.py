"""Teams from a line of text."""

import numpy as np
import pytest

import brigade
from brigade.agents import team_actions


def test_names_become_agents_in_their_seats():
    team = brigade.parse_team(" hero, spread ,random,free_rider")
    assert [agent.name for agent in team] == ["hero", "spread", "random", "free_rider"]
    assert [type(agent).__name__ for agent in team] == [
        "HeuristicAgent",
        "SpreadAgent",
        "RandomAgent",
        "HeuristicAgent",
    ]


def test_a_team_plays_the_scenario_it_was_made_for():
    scenario = brigade.load_scenario("hard", num_houses=5)
    team = brigade.parse_team(["hero", "liar"], scenario)
    rows = brigade.BatchedEnv(3, scenario, 2, seed=1).reset()
    assert team_actions(team, rows, np.random.default_rng(0)).shape == (3, 2, 3)
    assert team_actions(team, rows[0], np.random.default_rng(0)).shape == (2, 3)


def test_a_team_of_another_size_is_refused():
    rows = brigade.BatchedEnv(3, seed=1).reset()
    with pytest.raises(ValueError, match="team of 2 cannot play games of 4 seats"):
        team_actions(brigade.parse_team("hero,hero"), rows, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("team", "words"),
    [
        ("", "one name for each seat"),
        ("hero,,hero", "one name for each seat"),
        ("heroo", "did you mean 'hero'"),
        ("hero,xyz", "there are firefighter"),
        ([], "one name for each seat"),
    ],
)
def test_what_is_no_team_is_refused(team, words):
    with pytest.raises(ValueError, match=words):
        brigade.parse_team(team)


def test_a_team_that_the_scenario_has_no_homes_for_is_refused():
    with pytest.raises(ValueError, match="agent_home_positions"):
        brigade.parse_team("hero,hero", "positional_default")
