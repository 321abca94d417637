"""Descriptions of policies, from roles and from elsewhere."""

import json
from dataclasses import replace

import pytest

import brigade
from brigade.games.bucket_brigade import describe
from brigade.policy.build import described, network_for, read

ROLE = describe(brigade.load_scenario("default"), 4).role
NETWORK = network_for(ROLE, 16)
DESCRIPTION = described(NETWORK)


@pytest.mark.parametrize(
    "role",
    [ROLE, replace(ROLE, entities=None, signals=(), masked=True), replace(ROLE, normalised=(2, 7))],
)
def test_a_description_survives_json(role):
    network = network_for(role, 16)
    assert read(json.loads(json.dumps(described(network)))) == network


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "transformer"},
        {"version": 2},
        {"more": 1},
        {"hidden_size": 0},
        {"hidden_size": 2.5},
        {"hidden_size": 1 << 20, "num_features": 1 << 20},  # 4 TB
        {"action_nvec": []},
        {"action_nvec": [2] * 100_000},
        {"choices": [[0] * 30_000] * 1000},
        {"choices": 5},
        {"private": [5] * 10},
        {"choices": [[0], [0, 1]]},
        {"seats": [1 << 30]},
        {"signals": [3]},
        {"masked": 1},
        {"normalised": [5, 4]},
        {"normalised": [4, 4]},
        {"normalised": [-1]},
        {"normalised": [NETWORK.num_features]},
        {"normalised": 3},
    ],
    ids=lambda change: ",".join(change),
)
def test_what_no_policy_can_be_is_refused_before_it_takes_memory(change):
    with pytest.raises(ValueError):  # noqa: PT011
        read(DESCRIPTION | change)
