"""Agent numbers as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brigade.agent_numbers import format_agents, parse_agents, ranges


@given(agents=st.sets(st.integers(0, 60), min_size=1))
def test_numbers_go_through_ranges_and_back(agents):
    assert parse_agents(ranges(agents)) == tuple(sorted(agents))


@pytest.mark.parametrize(
    ("text", "agents"),
    [
        ("0", (0,)),
        ("0-3", (0, 1, 2, 3)),
        ("6,0-2", (0, 1, 2, 6)),
        ("1, 3", (1, 3)),
        ("4-4", (4,)),
        ("2,2,1-3", (1, 2, 3)),
    ],
)
def test_numbers_and_ranges_are_read(text, agents):
    assert parse_agents(text) == agents


@pytest.mark.parametrize("text", ["", ",", "x", "1-", "-1", "1--2", "1.0", "3-1", "1;2", "1e3"])
def test_other_text_is_refused_by_name(text):
    with pytest.raises(ValueError, match="--agents") as refused:
        parse_agents(text)
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize(
    ("agents", "text"),
    [
        ([3], "agent 3"),
        ([1, 0], "agents 0-1"),
        ([0, 1, 2, 5, 7, 8], "agents 0-2, 5, 7-8"),
        ([], "agents "),
    ],
)
def test_they_are_written_for_people(agents, text):
    assert format_agents(agents) == text
