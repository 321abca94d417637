"""The rollout buffer against lists of steps kept lane by lane."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brigade.sim.rollout import RolloutBuffer

NUMBERS = ("log_probs", "values", "rewards", "discounts", "default_rewards")
FLAGS = ("default_terminated", "changed")
COLUMNS = ("observations", "actions", "component_mask", *NUMBERS, *FLAGS)
NUM_FEATURES = 3


@dataclass
class Fragment:
    """What one seat did in one game and rollout, kept naively."""

    agent: int
    steps: list[dict[str, np.ndarray]] = field(default_factory=list)
    terminated: bool = False
    truncated: bool = False
    following: np.ndarray | None = None


def step_of(lanes: int, nvec, rng: np.random.Generator) -> dict[str, np.ndarray]:
    numbers = {name: rng.random(lanes, dtype=np.float32) for name in NUMBERS}
    flags = {name: rng.random(lanes) < 0.5 for name in FLAGS}
    return (
        numbers
        | flags
        | {
            "default_observations": rng.random((lanes, NUM_FEATURES), dtype=np.float32),
            "observations": rng.random((lanes, NUM_FEATURES), dtype=np.float32),
            "actions": rng.integers(0, nvec, (lanes, len(nvec))).astype(np.int32),
            "component_mask": rng.random((lanes, len(nvec))) < 0.5,
        }
    )


class Both:
    """Plays random games into a buffer and, beside it, into lists."""

    def __init__(self, steps: int, lanes: int, agents: int, nvec, rng: np.random.Generator):
        self.buffer = RolloutBuffer(steps, lanes, NUM_FEATURES, nvec)
        self.rng, self.nvec, self.num_agents = rng, nvec, agents
        self.seats = rng.integers(0, agents, lanes)
        self.open = [Fragment(int(agent)) for agent in self.seats]
        self.closed: list[Fragment] = []

    def observations(self, count: int) -> np.ndarray:
        return self.rng.random((count, NUM_FEATURES), dtype=np.float32)

    def step(self, ended: list[int], terminated: list[bool]) -> None:
        """One step of all lanes, with which the games of ``ended`` lanes end."""
        step = step_of(len(self.seats), self.nvec, self.rng)
        self.buffer.record(**step)
        for lane, fragment in enumerate(self.open):
            fragment.steps.append({name: array[lane].copy() for name, array in step.items()})
        if ended:
            following = self.observations(len(ended))
            how = np.array(terminated)
            self.buffer.end(np.array(ended), self.seats[ended], how, ~how, following)
            for lane, end, observation in zip(ended, terminated, following, strict=True):
                fragment = self.open[lane]
                fragment.terminated, fragment.truncated = end, not end
                fragment.following = observation.copy()
                self.closed.append(fragment)
                self.seats[lane] = self.rng.integers(0, self.num_agents)
                self.open[lane] = Fragment(int(self.seats[lane]))
        for array in step.values():
            array[...] = 0

    def cut(self) -> None:
        following = self.observations(len(self.seats))
        self.buffer.cut(self.seats.copy(), following.copy())
        for lane, fragment in enumerate(self.open):
            if fragment.steps:
                fragment.following = following[lane]
                self.closed.append(fragment)
            self.open[lane] = Fragment(fragment.agent)

    def assert_equal(self) -> None:
        for agent in range(self.num_agents):
            arrays = self.buffer.arrays(agent, policy_version=agent + 7)
            expected = [f for f in self.closed if f.agent == agent]
            assert_same_fragments(arrays, expected)
            assert (arrays["policy_versions"] == agent + 7).all()
            assert arrays["policy_versions"].dtype == np.int64

    def clear(self) -> None:
        self.buffer.clear()
        self.closed = []


def fragments_of(arrays: dict[str, np.ndarray]) -> list[tuple]:
    """Take the arrays of a message apart, fragment by fragment."""
    bootstraps, default = (
        iter(arrays["bootstrap_observations"]),
        iter(arrays["default_observations"]),
    )
    starts = np.cumsum(arrays["lengths"]) - arrays["lengths"]
    found = []
    for start, length, terminated, truncated in zip(
        starts, arrays["lengths"], arrays["terminated"], arrays["truncated"], strict=True
    ):
        mine = slice(start, start + length)
        following = None if terminated else next(bootstraps).tolist()
        columns = [arrays[name][mine].tolist() for name in COLUMNS]
        differs = arrays["changed"][mine] & ~arrays["default_terminated"][mine]
        otherwise = [next(default).tolist() for _ in range(differs.sum())]
        found.append((*columns, otherwise, bool(terminated), bool(truncated), following))
    assert next(bootstraps, None) is None
    assert next(default, None) is None
    assert all(len(arrays[name]) == arrays["lengths"].sum() for name in COLUMNS)
    return sorted(found, key=lambda fragment: fragment[0])


def assert_same_fragments(arrays: dict[str, np.ndarray], expected: list[Fragment]) -> None:
    wanted = [
        (
            *[[step[name].tolist() for step in f.steps] for name in COLUMNS],
            [
                step["default_observations"].tolist()
                for step in f.steps
                if step["changed"] and not step["default_terminated"]
            ],
            f.terminated,
            f.truncated,
            None if f.terminated else f.following.tolist(),
        )
        for f in expected
    ]
    assert fragments_of(arrays) == sorted(wanted, key=lambda fragment: fragment[0])


@settings(max_examples=60)
@given(
    lanes=st.integers(1, 6),
    steps=st.integers(1, 7),
    agents=st.integers(1, 4),
    ending=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    rollouts=st.integers(1, 3),
    shorter=st.integers(0, 3),
    seed=st.integers(0, 2**31),
)
def test_rollouts_of_random_games_are_those_of_naive_lists(
    lanes, steps, agents, ending, rollouts, shorter, seed
):
    rng = np.random.default_rng(seed)
    both = Both(steps, lanes, agents, (5, 2), rng)
    for rollout in range(rollouts):
        # The last rollout of a run may end before the buffer is full.
        for _ in range(max(0, steps - shorter) if rollout == rollouts - 1 else steps):
            ended = np.flatnonzero(rng.random(lanes) < ending).tolist()
            both.step(ended, (rng.random(len(ended)) < 0.5).tolist())
        both.cut()
        both.assert_equal()
        both.clear()


@given(lanes=st.integers(1, 5), steps=st.integers(1, 6), seed=st.integers(0, 2**31))
def test_every_step_is_in_exactly_one_agents_arrays(lanes, steps, seed):
    rng = np.random.default_rng(seed)
    both = Both(steps, lanes, 3, (5, 2), rng)
    recorded = []
    for _ in range(steps):
        ended = np.flatnonzero(rng.random(lanes) < 0.3).tolist()
        both.step(ended, [True] * len(ended))
    both.cut()
    for fragment in both.closed:
        recorded += [step["observations"].tolist() for step in fragment.steps]
    assert len(recorded) == lanes * steps
    found = [
        row for agent in range(3) for row in both.buffer.arrays(agent, 0)["observations"].tolist()
    ]
    assert sorted(found) == sorted(recorded)


def test_a_game_goes_on_in_a_new_fragment_in_the_next_rollout():
    both = Both(2, 1, 1, (5, 2), np.random.default_rng(0))
    both.step([], [])
    both.step([], [])
    both.cut()
    first = both.buffer.arrays(0, 0)
    both.clear()
    both.step([0], [True])
    both.step([], [])
    both.cut()
    second = both.buffer.arrays(0, 0)
    assert (first["lengths"].tolist(), first["terminated"].tolist()) == ([2], [False])
    assert (second["lengths"].tolist(), second["terminated"].tolist()) == ([1, 1], [True, False])


def test_a_game_that_ends_with_the_rollout_is_not_cut_again():
    both = Both(1, 2, 2, (5, 2), np.random.default_rng(0))
    both.step([0, 1], [True, False])
    both.cut()
    lengths = [both.buffer.arrays(agent, 0)["lengths"].tolist() for agent in range(2)]
    assert sum(map(sum, lengths)) == 2
    both.assert_equal()


def test_an_agent_that_did_not_play_has_empty_arrays_of_the_usual_shapes():
    both = Both(3, 2, 1, (5, 2), np.random.default_rng(0))
    both.step([0], [True])
    both.cut()
    arrays = both.buffer.arrays(agent=9, policy_version=0)
    assert arrays["observations"].shape == (0, NUM_FEATURES)
    assert arrays["actions"].shape == (0, 2)
    assert arrays["bootstrap_observations"].shape == (0, NUM_FEATURES)
    assert all(len(array) == 0 for array in arrays.values())


@pytest.mark.parametrize(("nvec", "dtype"), [((256, 2), np.uint8), ((257, 2), np.int32)])
def test_dtypes_are_those_of_a_message(nvec, dtype):
    both = Both(2, 3, 1, nvec, np.random.default_rng(0))
    both.step([1], [False])
    both.cut()
    arrays = both.buffer.arrays(0, 3)
    wide = {
        "actions": dtype,
        "component_mask": np.bool_,
        "default_terminated": np.bool_,
        "changed": np.bool_,
        "lengths": np.int32,
        "terminated": np.bool_,
        "truncated": np.bool_,
        "policy_versions": np.int64,
    }
    assert {name: array.dtype for name, array in arrays.items()} == {
        name: np.dtype(wide.get(name, np.float32)) for name in arrays
    }
    both.assert_equal()


def test_arrays_taken_out_stay_as_they_are():
    both = Both(2, 3, 1, (5, 2), np.random.default_rng(0))
    for _ in range(2):
        both.step([1], [False])
    both.cut()
    taken = both.buffer.arrays(0, 0)
    copies = {name: array.copy() for name, array in taken.items()}
    both.clear()
    for _ in range(2):
        both.step([0, 2], [True, False])
    both.cut()
    assert all(np.array_equal(array, copies[name]) for name, array in taken.items())
