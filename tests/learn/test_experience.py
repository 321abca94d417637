"""Reading experience: what a rollout buffer made arrives as it was; nothing else gets in."""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brigade.learn.experience import Inbox, Received, read_experience
from brigade.policy.network import Network
from brigade.ppo.rollout import columns_for
from brigade.sim.rollout import RolloutBuffer
from brigade.wire.messages import BadMessage, Experience, Heartbeat, decode, encode

NETWORK = Network(num_features=5, action_nvec=(4, 2, 2), hidden_size=3)
NETWORKS = {2: NETWORK}
HEADER = Experience(run="r", agent=2, sequence=6, progress=0.25)

CONTINUOUS = Network(num_features=5, action_nvec=(), hidden_size=3, num_continuous=3)

Arrays = dict[str, np.ndarray]


def arrays(seed: int = 0, network: Network = NETWORK) -> Arrays:
    """Of agent 2 in a rollout of 6 steps by 3 lanes, with all three endings."""
    rng = np.random.default_rng(seed)
    buffer = RolloutBuffer(
        6, 3, network.num_features, network.action_nvec, num_continuous=network.num_continuous
    )
    agents = np.array([2, 0, 2])
    for step in range(6):
        columns = {
            name: rng.random(3, dtype=np.float32)
            for name in ("log_probs", "values", "rewards", "discounts", "default_rewards")
        }
        columns |= {"changed": rng.random(3) < 0.8, "default_terminated": rng.random(3) < 0.3}
        columns["default_observations"] = rng.random((3, 5), dtype=np.float32)
        columns["observations"] = rng.random((3, 5), dtype=np.float32)
        columns["actions"] = rng.integers(0, NETWORK.action_nvec, (3, 3))
        if network.num_continuous:
            columns["actions"] = 3 * rng.standard_normal((3, 3), np.float32)
        columns["component_mask"] = rng.random((3, 3)) < 0.5
        buffer.record(**columns)
        if step in (1, 3):
            how = np.full(3, step == 1)
            buffer.end(np.arange(3), agents, how, ~how, rng.random((3, 5), dtype=np.float32))
    buffer.cut(agents, rng.random((3, 5), dtype=np.float32))
    return buffer.arrays(2, policy_version=6)


def read(given_: Arrays, header=HEADER, run="r", network: Network = NETWORK) -> Received:
    header, brought = decode([bytes(frame) for frame in encode(header, given_)])
    return read_experience(header, brought, run, {2: network}, "difference_rewards")[1]


@pytest.mark.parametrize("network", [NETWORK, CONTINUOUS], ids=["choices", "continuous"])
@pytest.mark.parametrize("seed", range(3))
def test_what_a_rollout_buffer_made_arrives_as_it_was(seed, network):
    made = arrays(seed, network)
    received = read(made, network=network)
    for name in made:
        found = getattr(received.rollout, name)
        assert found.dtype == made[name].dtype
        assert np.array_equal(found, made[name])
    assert received.policy_versions == [6]
    assert received.progress == 0.25
    assert len(received.rollout) == 12
    assert received.rollout.lengths.tolist() == [2, 2, 2, 2, 2, 2]


def test_an_agent_that_did_not_play_has_an_empty_rollout():
    received = read({name: array[:0] for name, array in arrays().items()})
    assert len(received.rollout) == 0
    assert received.policy_versions == []


def test_versions_of_mixed_fragments_are_listed_once():
    made = arrays()
    made["policy_versions"] = np.array([4, 6, 4, 5, 6, 6])
    assert read(made).policy_versions == [4, 5, 6]


def test_wide_actions_are_taken_too():
    made = arrays()
    made["actions"] = made["actions"].astype(np.int32)
    assert np.array_equal(read(made).rollout.actions, made["actions"])


def test_arrays_are_not_copied():
    frames = encode(HEADER, arrays())
    header, brought = decode(frames)
    _, received = read_experience(header, brought, "r", NETWORKS, "difference_rewards")
    assert np.shares_memory(received.rollout.observations, brought["observations"])


def changed(name: str, change: Callable[[np.ndarray], Any]) -> Arrays:
    made = arrays()
    made[name] = np.asarray(change(made[name]))
    return made


def put(index: Any, value: Any) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array = array.copy()
        array[index] = value
        return array

    return change


REFUSED: dict[str, Arrays] = {
    "nothing": {},
    "one missing": {name: array for name, array in arrays().items() if name != "values"},
    "one too many": arrays() | {"more": np.zeros(3)},
    "a scalar for rewards": changed("rewards", lambda a: a[0]),
    "a scalar for lengths": changed("lengths", lambda a: a[0]),
    "a table for rewards": changed("rewards", lambda a: a.reshape(6, 2)),
    "a table for lengths": changed("lengths", lambda a: a.reshape(3, 2)),
    "wide rewards": changed("rewards", lambda a: a.astype(np.float64)),
    "observations of another game": changed("observations", lambda a: a[:, :4]),
    "too few observations": changed("observations", lambda a: a[:-1]),
    "bootstraps of another game": changed("bootstrap_observations", lambda a: a[:, :4]),
    "a bootstrap missing": changed("bootstrap_observations", lambda a: a[:-1]),
    "a bootstrap too many": changed("bootstrap_observations", lambda a: np.vstack([a, a[:1]])),
    "default observations of another game": changed("default_observations", lambda a: a[:, :4]),
    "a default observation missing": changed("default_observations", lambda a: a[:-1]),
    "a default observation too many": changed(
        "default_observations", lambda a: np.vstack([a, a[:1]])
    ),
    "too few default rewards": changed("default_rewards", lambda a: a[:-1]),
    "default rewards that are no numbers": changed("default_rewards", put(0, np.nan)),
    "default endings that are bytes": changed("default_terminated", lambda a: a.astype(np.uint8)),
    "changes that are bytes": changed("changed", lambda a: a.astype(np.uint8)),
    "actions of another game": changed("actions", lambda a: a[:, :2]),
    "a house that does not exist": changed("actions", put((0, 0), 4)),
    "a mode that does not exist": changed("actions", put((3, 1), 2)),
    "a negative action": changed("actions", lambda a: -a.astype(np.int32) - 1),
    "a component mask of another game": changed("component_mask", lambda a: a[:, :2]),
    "a component mask of numbers": changed("component_mask", lambda a: a.astype(np.float32)),
    "actions that are floats": changed("actions", lambda a: a.astype(np.float32)),
    "a fragment without steps": changed("lengths", put(slice(0, 2), [0, 4])),
    "a negative length": changed("lengths", put(slice(0, 2), [-1, 5])),
    "fragments that are too short": changed("lengths", put(0, 1)),
    "fragments that are too long": changed("lengths", put(0, 3)),
    "lengths that overflow": changed("lengths", put(slice(0, 2), 2**31 - 1)),
    "both terminated and truncated": changed("truncated", lambda a: np.ones_like(a)),
    "too few endings": changed("terminated", lambda a: a[:-1]),
    "endings that are bytes": changed("terminated", lambda a: a.astype(np.uint8)),
    "a version missing": changed("policy_versions", lambda a: a[:-1]),
    "not a number": changed("values", put(0, np.nan)),
    "infinite": changed("log_probs", put(0, -np.inf)),
}


@pytest.mark.parametrize("made", REFUSED.values(), ids=REFUSED.keys())
def test_it_is_refused(made):
    with pytest.raises(BadMessage):
        read(made)


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.astype(np.uint8),
        lambda a: a.astype(np.int32),
        lambda a: a.astype(np.float64),
        lambda a: a[:, :2],
        lambda a: a[:-1],
        lambda a: a[:, 0],
        put((3, 1), np.nan),
        put((0, 0), np.inf),
        put((11, 2), -np.inf),
    ],
)
def test_continuous_actions_that_are_none_are_refused(change):
    made = arrays(network=CONTINUOUS)
    with pytest.raises(BadMessage, match="actions"):
        read(made | {"actions": np.asarray(change(made["actions"]))}, network=CONTINUOUS)


def test_other_messages_and_other_runs_are_refused():
    with pytest.raises(BadMessage, match="Heartbeat is not experience"):
        read({}, Heartbeat(run="r"))
    with pytest.raises(BadMessage, match="not experience of run other"):
        read(arrays(), run="other")
    with pytest.raises(BadMessage, match="agent 3, which is another learner's"):
        read(arrays(), msgspec.structs.replace(HEADER, agent=3))


@settings(max_examples=200)
@given(
    name=st.sampled_from(sorted(arrays())),
    dtype=st.sampled_from(["f4", "f8", "i4", "i8", "u1", "?"]),
    shape=st.lists(st.integers(0, 13), max_size=4),
    value=st.integers(0, 5),
)
def test_any_array_in_the_place_of_another_is_read_or_refused(name, dtype, shape, value):
    made = arrays() | {name: np.full(shape, value, dtype)}
    try:
        received = read(made)
    except BadMessage:
        return
    assert int(received.rollout.lengths.sum()) == len(received.rollout)


# ---- the inbox ---------------------------------------------------------------------------


def numbered(sequence: int) -> Received:
    """Stands for a rollout that can be told from others."""
    return Received(rollout=None, policy_versions=[sequence], progress=0.0)  # type: ignore[arg-type]


@given(
    arrivals=st.lists(st.tuples(st.sampled_from([3, 8, 5]), st.integers(0, 9)), max_size=80),
    first=st.lists(st.integers(0, 3), min_size=2, max_size=2),
    bound=st.integers(1, 4),
)
def test_each_rollout_is_used_once_and_in_order(arrivals, first, bound):
    agents = [3, 8]
    inbox = Inbox(agents, first, bound)
    due = dict(zip(agents, first, strict=True))
    here: dict[int, set[int]] = {agent: set() for agent in agents}
    for agent, sequence in arrivals:
        if agent not in due:
            with pytest.raises(BadMessage, match="another learner"):
                inbox.add(agent, sequence, numbered(sequence))
        elif sequence >= due[agent] + bound:
            with pytest.raises(BadMessage, match="before"):
                inbox.add(agent, sequence, numbered(sequence))
        else:
            new = sequence >= due[agent] and sequence not in here[agent]
            assert inbox.add(agent, sequence, numbered(sequence)) == new
            here[agent] |= {sequence} if new else set()
        complete = all(due[agent] in here[agent] for agent in agents)
        assert inbox.ready == complete
        if complete:
            taken = [received.policy_versions for received in inbox.take()]
            assert taken == [[due[agent]] for agent in agents]
            for agent in agents:
                here[agent].remove(due[agent])
                due[agent] += 1


def test_the_first_of_two_rollouts_of_one_number_counts():
    inbox = Inbox([0], [0], 2)
    assert inbox.add(0, 0, Received(None, [0], 0.1))  # type: ignore[arg-type]
    assert not inbox.add(0, 0, Received(None, [0], 0.9))  # type: ignore[arg-type]
    assert inbox.take()[0].progress == 0.1
    assert not inbox.add(0, 0, numbered(0)), "used already"
    assert not inbox.ready


# ---- pictures ----------------------------------------------------------------------------

SEEING = Network(num_features=0, action_nvec=(4,), hidden_size=3, pictures=((2, 3, 1), (4, 4, 3)))


def seen() -> Arrays:
    """Of agent 2 in a rollout of 4 steps by 2 lanes, of which one ends, one is truncated."""
    rng = np.random.default_rng(4)
    columns = columns_for("gae", masked=False, pictures=True)
    size = SEEING.num_picture_bytes
    buffer = RolloutBuffer(4, 2, 0, (4,), columns, num_picture_bytes=size)
    agents = np.array([2, 2])

    def pictures() -> np.ndarray:
        return rng.integers(0, 256, (2, size), np.uint8)

    nothing = np.zeros((2, 0), np.float32)
    for step in range(4):
        numbers = ("log_probs", "values", "rewards", "discounts")
        buffer.record(
            observations=nothing,
            pictures=pictures(),
            actions=rng.integers(0, 4, (2, 1)),
            component_mask=np.ones((2, 1), np.bool_),
            **{name: rng.random(2, np.float32) for name in numbers},
        )
        if step == 1:
            terminated = np.array([True, False])
            buffer.end(np.arange(2), agents, terminated, ~terminated, nothing, pictures())
    buffer.cut(agents, nothing, pictures=pictures())
    return buffer.arrays(2, policy_version=6)


def read_seen(given_: Arrays, network: Network = SEEING) -> Received:
    header, brought = decode([bytes(frame) for frame in encode(HEADER, given_)])
    return read_experience(header, brought, "r", {2: network}, "gae")[1]


def test_pictures_arrive_as_they_were():
    made = seen()
    assert made["pictures"].shape == (8, 54)
    assert made["bootstrap_pictures"].shape == (3, 54)
    rollout = read_seen(made).rollout
    for name, array in made.items():
        assert np.array_equal(getattr(rollout, name), array)
        assert getattr(rollout, name).dtype == array.dtype


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.pop("pictures"),
        lambda a: a.pop("bootstrap_pictures"),
        lambda a: a.update(pictures=a["pictures"][:-1]),
        lambda a: a.update(pictures=a["pictures"][:, :-1]),
        lambda a: a.update(pictures=a["pictures"].astype(np.float32)),
        lambda a: a.update(pictures=a["pictures"].reshape(-1)),
        lambda a: a.update(bootstrap_pictures=a["bootstrap_pictures"][:-1]),
        lambda a: a.update(bootstrap_pictures=a["bootstrap_pictures"][:, 1:]),
    ],
)
def test_pictures_of_other_sizes_are_refused(change):
    made = seen()
    change(made)
    with pytest.raises(BadMessage, match="pictures"):
        read_seen(made)


def test_pictures_that_the_policy_has_not_are_refused():
    with pytest.raises(BadMessage, match="pictures"):
        read_seen(seen(), Network(num_features=1, action_nvec=(4,), hidden_size=3))
