"""Seeds: every stream of a run follows from its seed and purpose, and no two are the same."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from brigade import seeds
from brigade.seeds import Purpose

STREAMS = st.tuples(
    st.integers(0, 2**63 - 1) | st.integers(0, 3),
    st.sampled_from(Purpose),
    st.lists(st.integers(0, 2**40) | st.integers(0, 2), max_size=3),
)


@given(one=STREAMS, other=STREAMS)
def test_streams_of_different_names_differ_and_of_the_same_name_agree(one, other):
    def first_numbers(stream):
        seed, purpose, indices = stream
        draws = seeds.generator(seed, purpose, *indices).integers(0, 2**63, 4).tolist()
        return [seeds.number(seed, purpose, *indices), *draws]

    assert (first_numbers(one) == first_numbers(other)) == (one == other)
    assert first_numbers(one) == first_numbers(one)


def test_an_index_of_0_is_not_no_index():
    assert seeds.number(1, Purpose.NETWORK) != seeds.number(1, Purpose.NETWORK, 0)


def test_a_large_seed_is_not_a_small_one_of_another_purpose():
    large = seeds.number(5 + (Purpose.ACTIONS << 32), Purpose.GAMES)
    assert large != seeds.number(5, Purpose.ACTIONS, Purpose.GAMES)


@given(seed=st.integers(0, 2**63 - 1), agent=st.integers(0, 10**6))
def test_a_number_seeds_what_wants_a_signed_64_bit_number(seed, agent):
    assert 0 <= seeds.number(seed, Purpose.NETWORK, agent) < 2**63


def test_streams_do_not_touch_each_other_or_the_global_one():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    one = seeds.generator(3, Purpose.ACTIONS)
    other = seeds.generator(3, Purpose.MATCHMAKING)
    expected = seeds.generator(3, Purpose.ACTIONS).random(5)
    other.random(1000)
    assert np.array_equal(one.random(5), expected)
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_purposes_keep_their_numbers():
    # They are part of what a seed means: a new one is appended.
    assert [(p.name, p.value) for p in Purpose][:6] == [
        ("GAMES", 0),
        ("MATCHMAKING", 1),
        ("ACTIONS", 2),
        ("NETWORK", 3),
        ("MINIBATCHES", 4),
        ("EVALUATION", 5),
    ]
