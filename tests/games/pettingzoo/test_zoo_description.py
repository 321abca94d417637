"""Descriptions of PettingZoo games from elsewhere: read where nothing is installed, or refused."""

import copy
import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brigade.games import build

ROLES = [
    {"name": "hunter", "agents": ["h_0", "h_1"], "seats": [0, 2], "num_features": 5}
    | {"action_nvec": [3]},
    {"name": "prey", "agents": [7], "seats": [1], "num_features": 2, "action_nvec": [2, 2]}
    | {"masked": True},
]
DESCRIPTION: dict[str, Any] = {
    "kind": "pettingzoo",
    "name": "no.such.module",
    "version": 1,
    "arguments": {
        "env": "no.such.module",
        "env_arg": {"n": 3, "deep": {"x": [None, 1.5]}},
        "turn_based": False,
        "fresh": False,
        "reward_weights": [],
        "roles": ROLES,
    },
}


def changed(*keys_and_value: Any) -> dict[str, Any]:
    """The description with another value at a place, or without it where that is ``...``."""
    *keys, last, value = keys_and_value
    description = place = copy.deepcopy(DESCRIPTION)
    for key in keys:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return description


def role(number: int, name: str, value: Any) -> dict[str, Any]:
    return changed("arguments", "roles", number, name, value)


def test_a_description_is_read_where_the_environment_is_not():
    spec = build.read(json.loads(json.dumps(DESCRIPTION)))
    assert [role.name for role in spec.roles] == ["hunter", "prey"]
    assert [role.seats for role in spec.roles] == [(0, 2), (1,)]
    assert [role.masked for role in spec.roles] == [False, True]
    assert spec.num_seats == 3
    assert [lanes.tolist() for lanes in spec.lanes(2)] == [[0, 2, 3, 5], [1, 4]]
    assert build.read(build.described(spec)) == spec


def test_reading_it_imports_nothing_that_it_names():
    code = (
        "import json, sys; from brigade.games import build; "
        "build.read(json.loads(sys.stdin.read())); print('antigravity' in sys.modules)"
    )
    text = json.dumps(changed("arguments", "env", "antigravity"))
    done = subprocess.run(
        [sys.executable, "-c", code], input=text, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


HOSTILE: dict[str, dict[str, Any]] = {
    "no roles": changed("arguments", "roles", []),
    "a seat twice in one role": role(0, "seats", [0, 0]),
    "a seat in two roles": role(1, "seats", [2]),
    "a seat left out": role(1, "seats", [3]),
    "a role without seats": role(1, "seats", []),
    "a negative seat": role(1, "seats", [-1]),
    "a seat beyond all": role(1, "seats", [2**70]),
    "two roles of one name": role(1, "name", "hunter"),
    "no features": role(0, "num_features", 0),
    "features without end": role(0, "num_features", 2**40),
    "a number of features that is none": role(0, "num_features", float("inf")),
    "half a feature": role(0, "num_features", 2.5),
    "a truth value for a number": role(0, "num_features", True),
    "text for a number": role(0, "num_features", "5"),
    "a choice without end": role(0, "action_nvec", [2**40]),
    "a negative choice": role(0, "action_nvec", [-2]),
    "a choice that is a list": role(0, "action_nvec", [[2]]),
    "a name without end": role(0, "name", "x" * 2000),
    "an agent that is a list": role(0, "agents", [[0]]),
    "a role's unknown key": role(0, "hook", "os.system"),
    "a role that is text": changed("arguments", "roles", 0, "hunter"),
    "an unknown key": changed("arguments", "make", "os:system"),
    "no environment": changed("arguments", "env", ...),
    "an environment that is a list": changed("arguments", "env", ["os", "system"]),
    "an environment's name without end": changed("arguments", "env", "x" * 2000),
    "arguments that are a list": changed("arguments", "env_arg", [1]),
    "turns that are text": changed("arguments", "turn_based", "yes"),
    "weights that are text": changed("arguments", "reward_weights", ["1"]),
    "no arguments": changed("arguments", ...),
    "another version": changed("version", 2),
    "another kind": changed("kind", "gym"),
    "more": changed("module", "os"),
}  # fmt: skip


@pytest.mark.parametrize("description", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_description_that_does_not_fit_together_is_refused(description):
    with pytest.raises(ValueError, match=r"\S") as refused:
        build.read(description)
    assert "\n" not in str(refused.value)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
PLACES = [("arguments", name) for name in DESCRIPTION["arguments"]]
PLACES += [("arguments", "roles", number, name) for number in (0, 1) for name in ROLES[number]]


@given(place=st.sampled_from(PLACES), value=ANYTHING)
def test_anything_in_the_place_of_another_is_read_or_refused(place, value):
    try:
        spec = build.read(changed(*place, value))
    except ValueError:
        return
    seats = sorted(seat for role in spec.roles for seat in role.seats)
    assert seats == list(range(spec.num_seats))
