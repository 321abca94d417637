"""Which agents form a role, by default and by a person's word."""

import numpy as np
import pytest
from gymnasium import spaces

from brigade.games.pettingzoo.errors import BadRoles
from brigade.games.pettingzoo.roles import assign, stem

SMALL, LARGE = spaces.Box(0, 1, (2,), np.float32), spaces.Box(0, 1, (5,), np.float32)
CHOICE, FORCE = spaces.Discrete(3), spaces.Box(-1, 1, (2,), np.float32)
AGENTS = ["adversary_0", "adversary_1", "agent_0", "agent_1"]


def seating(agents, override=None, sees=None, does=None):
    sees, does = sees or {}, does or {}
    return assign(
        agents,
        {agent: sees.get(agent, SMALL) for agent in agents},
        {agent: does.get(agent, CHOICE) for agent in agents},
        override,
    )


def grouped(found):
    return {role.name: role.seats for role in found.roles}


def test_equal_spaces_and_equal_stems_are_one_role():
    found = seating(["adversary_0", "agent_0", "adversary_1"], sees={"agent_0": LARGE})
    assert grouped(found) == {"adversary": (0, 2), "agent": (1,)}
    assert [role.num_features for role in found.roles] == [2, 5]
    assert [role.action_nvec for role in found.roles] == [(3,), (3,)]
    assert [(seat.agent, seat.role) for seat in found.seats] == [
        ("adversary_0", 0),
        ("agent_0", 1),
        ("adversary_1", 0),
    ]


def test_a_role_names_the_columns_to_normalise():
    wide = spaces.Box(np.array([0, -9]), np.array([1, 9]), dtype=np.float32)
    found = seating(["adversary_0", "agent_0"], sees={"agent_0": wide})
    assert [role.normalised for role in found.roles] == [(), (1,)]


def test_whole_numbers_are_one_stem():
    assert grouped(seating([0, 1, 10, np.int64(3)])) == {"agent": (0, 1, 2, 3)}
    assert [stem(each) for each in (7, "7", "red-1", "red_12", "red3", "red")] == (
        ["agent"] * 2 + ["red"] * 4
    )


def test_one_stem_with_several_kinds_of_spaces():
    found = seating(["agent_0", "agent_1", "agent_2"], does={"agent_1": FORCE})
    assert grouped(found) == {"agent": (0, 2), "agent-2": (1,)}
    assert found.roles[1].action_nvec == ()
    assert [role.num_continuous for role in found.roles] == [0, 2]
    assert found.seats[1].actions.low.tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("override", "roles"),
    [
        ({"all": "*"}, {"all": (0, 1, 2, 3)}),
        ({"team": ["agent_*"]}, {"adversary": (0, 1), "team": (2, 3)}),
        (
            {"first": ["adversary_0", "agent_0"]},
            {"first": (0, 2), "adversary": (1,), "agent": (3,)},
        ),
        ({"agent": "agent_1"}, {"adversary": (0, 1), "agent-2": (2,), "agent": (3,)}),
    ],
)
def test_an_override_groups_whom_it_names(override, roles):
    assert grouped(seating(AGENTS, override)) == roles


def test_an_override_takes_agents_that_are_no_texts():
    assert grouped(seating([0, 1, 2], {"one": [1]})) == {"agent": (0, 2), "one": (1,)}


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ({"team": ["agnet_0"]}, "role team: no agent is called agnet_0; did you mean agent_0?"),
        ({"team": "x*"}, "no agent is called x\\*; its agents are adversary_0, "),
        ({"a": "adversary_*", "b": ["adversary_1"]}, "agent adversary_1 has two roles, a and b"),
        ({"a": []}, "role a has no agents"),
        ({"all": "*"}, "role all: agents adversary_0 and agent_1 have unequal spaces"),
    ],
)
def test_roles_that_do_not_fit(override, words):
    with pytest.raises(BadRoles, match=words):
        seating(AGENTS, override, sees={"agent_1": LARGE})
