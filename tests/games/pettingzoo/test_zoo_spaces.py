"""Rows of observations, choices and continuous actions over spaces of every kind."""

import math

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from brigade.games.pettingzoo.actions import BoxActions, ChoiceActions, actions
from brigade.games.pettingzoo.errors import BadValue, UnsupportedSpace
from brigade.games.pettingzoo.observations import Observations

SEEDS = st.integers(0, 2**31 - 1)
SHAPES = st.lists(st.integers(1, 3), max_size=3).map(tuple)


@st.composite
def discretes(draw):
    return spaces.Discrete(draw(st.integers(1, 6)), start=draw(st.integers(-5, 5)))


@st.composite
def multi_discretes(draw):
    shape = draw(st.lists(st.integers(1, 3), min_size=1, max_size=2).map(tuple))
    size = int(np.prod(shape))
    nvec = draw(st.lists(st.integers(1, 4), min_size=size, max_size=size))
    start = draw(st.lists(st.integers(-3, 3), min_size=size, max_size=size))
    dtype = draw(st.sampled_from([np.int64, np.int32, np.int8]))
    return spaces.MultiDiscrete(
        np.reshape(nvec, shape), dtype=dtype, start=np.reshape(start, shape)
    )


multi_binaries = st.lists(st.integers(1, 3), min_size=1, max_size=2).map(spaces.MultiBinary)
CHOICES = discretes() | multi_discretes() | multi_binaries


@st.composite
def boxes(draw, dtypes=(np.float32, np.float64, np.float16, np.int8, np.uint8, np.int64)):
    dtype, shape = draw(st.sampled_from(dtypes)), draw(SHAPES)
    if np.dtype(dtype).kind == "f" and draw(st.booleans()):
        return spaces.Box(-np.inf, np.inf, shape, dtype)
    low = draw(st.integers(0, 3))
    if np.dtype(dtype).kind == "f" and draw(st.booleans()):
        number = st.sampled_from([low, low + 0.1, -np.inf])
        lows = np.reshape([draw(number) for _ in range(int(np.prod(shape)))], shape)
        highs = np.where(lows == low, np.inf, low + 0.7)
        return spaces.Box(lows.astype(dtype), highs.astype(dtype), shape, dtype)
    return spaces.Box(low, low + draw(st.integers(1, 5)), shape, dtype)


def nested(inner):
    keys = st.sampled_from(["b", "a", "z", "k"])
    return st.dictionaries(keys, inner, min_size=1, max_size=3).map(spaces.Dict) | st.lists(
        inner, min_size=1, max_size=3
    ).map(spaces.Tuple)


SPACES = st.recursive(CHOICES | boxes(), nested, max_leaves=6)


def row_by_hand(space, value):
    """The documented order, written again without looking at how brigade does it."""
    if isinstance(space, spaces.Dict):
        return [x for key in space.spaces for x in row_by_hand(space[key], value[key])]
    if isinstance(space, spaces.Tuple):
        return [x for inner, v in zip(space, value, strict=True) for x in row_by_hand(inner, v)]
    if isinstance(space, spaces.Discrete):
        return [float(space.start + i == value) for i in range(space.n)]
    if isinstance(space, spaces.MultiDiscrete):
        parts = zip(space.nvec.flat, space.start.flat, np.ravel(value), strict=True)
        return [float(start + i == v) for n, start, v in parts for i in range(n)]
    return [float(np.float32(v)) for v in np.ravel(value)]


def read_back(space, row):
    """The value that a row is of, for spaces of whole numbers and float32."""
    if isinstance(space, spaces.Dict):
        return {key: read_back(space[key], row) for key in space.spaces}
    if isinstance(space, spaces.Tuple):
        return tuple(read_back(inner, row) for inner in space)
    if isinstance(space, spaces.Discrete):
        return space.start + [row.pop(0) for _ in range(space.n)].index(1)
    if isinstance(space, spaces.MultiDiscrete):
        hot = [[row.pop(0) for _ in range(n)].index(1) for n in space.nvec.flat]
        return (np.reshape(hot, space.nvec.shape) + space.start).astype(space.dtype)
    size = int(np.prod(space.shape))
    return np.reshape([row.pop(0) for _ in range(size)], space.shape).astype(space.dtype)


def written(encoder, value):
    row = np.full(encoder.num_features, np.nan, np.float32)
    encoder.write(value, row)
    return row


def same(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return np.array_equal(np.asarray(a, np.float32), np.asarray(b, np.float32))


@given(space=SPACES, seed=SEEDS)
@settings(max_examples=100)
def test_rows_have_the_documented_order_and_tell_every_observation_apart(space, seed):
    space.seed(seed)
    encoder = Observations(space, "agent")
    for value in (space.sample(), space.sample()):
        row = written(encoder, value)
        assert row.tolist() == row_by_hand(space, value)
        rest = row.tolist()
        assert same(read_back(space, rest), value)
        assert not rest


@given(space=CHOICES, seed=SEEDS)
@settings(max_examples=100)
def test_choices_become_actions_of_the_space_and_back(space, seed):
    space.seed(seed)
    codec = actions(space, "agent")
    rng = np.random.default_rng(seed)
    for choices in (rng.integers(0, codec.nvec), np.zeros(len(codec.nvec), np.int32)):
        action = codec.decode(choices)
        assert space.contains(action)
        assert type(action) is type(space.sample())
        assert np.asarray(action).dtype == space.dtype
        assert codec.encode(action).tolist() == choices.tolist()
    sample = space.sample()
    assert np.array_equal(codec.decode(codec.encode(sample)), sample)
    assert codec.num_choices == sum(codec.nvec)


FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(space=boxes(), data=st.data())
@settings(max_examples=100)
def test_rows_of_floats_become_actions_inside_a_box(space, data):
    codec = actions(space, "agent")
    size = int(np.prod(space.shape))
    row = np.array(data.draw(st.lists(FLOATS, min_size=size, max_size=size)), np.float32)
    before = row.copy()
    action = codec.decode(row)
    assert space.contains(action)
    assert action.dtype == space.dtype == codec.dtype
    assert action.shape == codec.shape
    assert np.array_equal(row, before)
    for drawn, number, low, high in zip(row, action.flat, codec.low, codec.high, strict=True):
        if np.isfinite([low, high]).all():
            exact = low + (high - low) * (float(np.clip(drawn, -1, 1)) + 1) / 2
        else:
            exact = float(np.clip(float(drawn), low, high))
        if space.dtype.kind == "f":
            with np.errstate(over="ignore"):
                rounded = float(np.asarray(exact).astype(space.dtype))
            assert float(number) == pytest.approx(rounded, rel=2e-3)  # of float16
        else:
            assert abs(int(number) - exact) <= 0.5


@given(space=boxes())
@settings(max_examples=50)
def test_the_ends_of_a_row_are_the_bounds_where_there_are_two(space):
    codec = actions(space, "agent")
    assert codec.nvec == ()
    assert codec.num_continuous == int(np.prod(space.shape))
    bounded = (space.bounded_below & space.bounded_above).ravel()
    for end, bound in ((-1, space.low), (1, space.high)):
        for beyond in (1, 7):
            row = np.full(codec.num_continuous, beyond * end, np.float32)
            assert np.array_equal(codec.decode(row).ravel()[bounded], bound.ravel()[bounded])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_largest_number_of_a_type_is_no_bound(dtype):
    largest = np.finfo(dtype).max
    codec = actions(spaces.Box(-largest, largest, (2,), dtype), "agent")
    assert codec.decode(np.array([-0.5, 3], np.float32)).tolist() == [-0.5, 3]


def test_bounds_that_are_far_apart_do_not_overflow():
    codec = actions(spaces.Box(-1.5e308, 1.5e308, (3,), np.float64), "agent")
    found = codec.decode(np.array([-1, 0, 1], np.float32)).tolist()
    assert found == [-1.5e308, 0, 1.5e308]


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, np.uint8, np.int8])
def test_whole_numbers_at_the_ends_of_their_types(dtype):
    ends = np.iinfo(dtype)
    space = spaces.Box(ends.min, ends.max, (4,), dtype)
    row = np.array([-3e38, 3e38, 0, 2.4], np.float32)
    action = actions(space, "agent").decode(row)
    assert space.contains(action)
    assert action[0] == ends.min
    assert action[1] == pytest.approx(ends.max)


def test_partly_bounded_boxes_are_clipped_where_they_have_a_bound():
    space = spaces.Box(np.array([-np.inf, 0.1]), np.array([0.3, np.inf]), dtype=np.float64)
    codec = actions(space, "agent")
    assert isinstance(codec, BoxActions)
    assert codec.decode(np.array([-9, -9], np.float32)).tolist() == [-9, 0.1]
    assert codec.decode(np.array([9, 9], np.float32)).tolist() == [0.3, 9]


# ---- masks -------------------------------------------------------------------------------


def test_a_mask_is_taken_out_of_the_observation():
    board = spaces.Box(0, 1, (2, 2), np.int8)
    space = spaces.Dict({"observation": board, "action_mask": spaces.MultiBinary(3)})
    encoder = Observations(space, "agent")
    value = {"observation": np.eye(2, dtype=np.int8), "action_mask": [0, 1, 1]}
    assert (encoder.num_features, encoder.has_mask) == (4, True)
    assert written(encoder, value).tolist() == [1, 0, 0, 1]
    assert encoder.mask(value) == [0, 1, 1]
    # Of continuous actions there is none: it is a part like any other.
    assert Observations(space, "agent", masked_actions=False).num_features == 7


@pytest.mark.parametrize(
    "mask", [[0, 1, 1, 1, 0], np.array([0, 1, 1, 1, 0], np.int8), ([False, True], [1, 1, 0.0])]
)
def test_masks_come_as_arrays_or_lists_flat_or_by_component(mask):
    codec = ChoiceActions(spaces.MultiDiscrete([2, 3]))
    row = np.zeros(5, np.bool_)
    codec.read_mask(mask, row)
    codec.check_mask(row)
    assert row.tolist() == [False, True, True, True, False]


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        ([1, 0, 0, 0, 0], "component 1"),
        ([0] * 5, "component 0, which allows no action"),
        ([1, 1], "2 entries for 5 choices"),
        (object(), "no array of 0 and 1"),
        ([[1, 0], "no"], r"no array of 0 and 1 \(list\)"),
        ([[[1, 0], [1]]], r"no array of 0 and 1 \(list\)"),
    ],
)
def test_a_mask_that_is_none(mask, words):
    codec = ChoiceActions(spaces.MultiDiscrete([2, 3]))
    row = np.zeros(5, np.bool_)

    def read():
        codec.read_mask(mask, row)
        codec.check_mask(row)

    with pytest.raises(BadValue, match=words):
        read()


# ---- what is refused ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (spaces.Sequence(spaces.Discrete(2)), r"agent bob: .* Sequence\("),
        (spaces.Tuple([spaces.Text(4)]), r"agent bob, an observation\[0\]: .* Text\("),
        (spaces.Graph(spaces.Discrete(2), None), r"agent bob: .* Graph\("),
        (spaces.Dict({"action_mask": spaces.MultiBinary(2)}), "agent bob observes nothing"),
    ],
)
def test_spaces_that_there_are_no_rows_for(space, words):
    with pytest.raises(UnsupportedSpace, match=words) as caught:
        Observations(space, "bob")
    assert "\n" not in str(caught.value)


def test_numbers_that_may_be_large_are_named():
    space = spaces.Dict(
        {
            "choice": spaces.Discrete(3),
            "speed": spaces.Box(-np.inf, np.inf, (2,), np.float32),
            "share": spaces.Box(0, 1, (2,), np.float64),
            "switches": spaces.MultiBinary(2),
            "grid": spaces.MultiDiscrete([2, 3]),
            "rest": spaces.Tuple(
                [
                    spaces.Box(np.array([-1, -1.5, 0]), np.array([1, 1, np.inf]), dtype=np.float64),
                    spaces.Box(0, 255, (2, 1), np.uint8),
                    spaces.Box(0, 1, (2,), np.bool_),
                ]
            ),
        }
    )
    sees = Observations(space, "a")
    kinds = {}
    start = 0
    for name, size in (("choice", 3), ("grid", 5), ("rest", 7), ("share", 2), ("speed", 2)):
        kinds[name] = range(start, start + size)
        start += size
    rest = kinds["rest"][0]
    assert list(space.spaces) == ["choice", "grid", "rest", "share", "speed", "switches"]
    assert sees.normalised == (*(rest + i for i in (1, 2, 3, 4)), *kinds["speed"])


def test_a_mask_has_no_columns_to_normalise():
    seen = spaces.Box(0, 9, (2,), np.float32)
    mask = spaces.Box(0, 9, (3,), np.int8)
    space = spaces.Dict({"action_mask": mask, "observation": seen})
    assert Observations(space, "a").normalised == (0, 1)
    assert Observations(space, "a", masked_actions=False).normalised == (0, 1, 2, 3, 4)


def test_bytes_that_are_no_picture():
    for shape in ((500, 3), (300,), (15, 15, 3), (2, 16, 16, 3)):
        assert Observations(spaces.Box(0, 255, shape, np.uint8), "a").num_features == np.prod(shape)


def test_actions_that_cannot_be_trained():
    space = spaces.Dict({"move": spaces.Discrete(2)})
    with pytest.raises(UnsupportedSpace, match=r"agent bob has the action space Dict\("):
        actions(space, "bob")
    with pytest.raises(UnsupportedSpace, match=r"agent bob has the action space Box\("):
        actions(spaces.Box(0, 1, (0,)), "bob")


FLOAT, WHOLE = spaces.Box(-1, 1, (2,), np.float32), spaces.Box(0, 9, (2,), np.int8)


@pytest.mark.parametrize(
    ("space", "value", "words"),
    [
        (FLOAT, [0, np.nan], r"holds nan \(entry 1 of 2\)"),
        (FLOAT, np.array([np.inf, 0]), "holds inf"),
        (FLOAT, np.array([1e300, 0]), r"holds 1e\+300"),
        (FLOAT, np.zeros((2, 1)), r"has the shape \[2, 1\], not \[2\]"),
        (FLOAT, [[1, 2], [3]], "not an array"),
        (FLOAT, ["a", "b"], r"\['a', 'b'\] \(list\), not numbers"),
        (FLOAT, np.array([1j, 2]), "an array of complex128"),
        (FLOAT, None, r"None \(NoneType\)"),
        (WHOLE, [0.5, 1], "holds 0.5, in a space of whole numbers"),
        (spaces.MultiBinary(2), [np.nan, 1], "holds nan, in a space of whole numbers"),
        (spaces.Discrete(3, start=2), 5, "holds 5, outside its space of 2 to 4"),
        (spaces.Discrete(3), -1, "holds -1, outside its space of 0 to 2"),
        (spaces.Discrete(3), [1, 1], "has the shape"),
        (spaces.MultiDiscrete([2, 3]), [1, 3], "holds 3, outside its space of 0 to 2"),
        (spaces.Dict({"a": FLOAT}), {"b": 1}, "an observation lacks 'a': it has the keys b"),
        (spaces.Dict({"a": FLOAT}), np.zeros(2), "lacks 'a': it is an array"),
        (spaces.Tuple([FLOAT, FLOAT]), ([0, 0],), "lacks 1"),
        (spaces.Dict({"a": FLOAT}), {"a": [0, np.nan]}, r"an observation\['a'\] holds nan"),
    ],
)
def test_observations_that_are_not_of_their_space(space, value, words):
    with pytest.raises(BadValue, match=words) as caught:
        written(Observations(space, "agent"), value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("space", "value", "row"),
    [
        (FLOAT, [5, -5], [5, -5]),  # bounds are not looked at
        (FLOAT, np.array([True, False]), [1, 0]),
        (WHOLE, np.array([3.0, 4.0]), [3, 4]),
        (spaces.Box(0, 1, (2,), np.bool_), np.array([True, False]), [1, 0]),
        (spaces.Discrete(3), np.array([1]), [0, 1, 0]),
        (spaces.Discrete(2), np.True_, [0, 1]),
    ],
)
def test_observations_that_are_put_up_with(space, value, row):
    assert written(Observations(space, "agent"), value).tolist() == row


@given(
    st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_]),
    st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_]),
    st.sampled_from([(4,), (2, 3), ()]),
    st.data(),
)
@settings(max_examples=100)
def test_rows_written_together_are_those_written_one_by_one(of_space, given_as, shape, data):
    space = spaces.Box(0, 1, shape, of_space)
    writer = Observations(space, "a")
    values = st.sampled_from([0, 1, 7, 0.5, 3e38, 1e300, -np.inf, np.nan])
    seen = []
    for _ in range(3):
        numbers = [data.draw(values) for _ in range(math.prod(shape))]
        with np.errstate(all="ignore"):
            seen.append(np.array(numbers).reshape(shape).astype(given_as))
    if data.draw(st.booleans()):
        seen[1] = data.draw(st.sampled_from([np.zeros((5,), given_as), [0.0], None, "x"]))
    together = np.zeros((3, writer.num_features), np.float32)
    if writer.write_all(seen, together):
        alone = np.zeros_like(together)
        for observation, row in zip(seen, alone, strict=True):
            writer.write(observation, row)
        assert together.tobytes() == alone.tobytes()
    elif of_space == given_as == np.float32 and shape:
        assert any(getattr(o, "shape", None) != shape or not np.isfinite(o).all() for o in seen)
