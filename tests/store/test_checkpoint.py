"""Checkpoints: whole or not at all, back as they were, and never code."""

import os
import pickle
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import brigade
from brigade.config import RunConfig
from brigade.games.bucket_brigade import describe, scenario_of
from brigade.policy.build import read
from brigade.policy.network import Network
from brigade.policy.population import Population
from brigade.ppo.agents import AgentState
from brigade.sim.preparation import games_of, population_of
from brigade.sim.repository import Repository
from brigade.sim.rollout_worker import RolloutWorker
from brigade.sim.statistics import Statistics
from brigade.store.checkpoint import Checkpoint, CheckpointError, load, save
from brigade.store.formats import FORMAT

CONFIG = RunConfig(
    population_size=3,
    num_games=2,
    num_agents_per_game=2,
    hidden_size=4,
    batch_size=8,
    update_interval=20,
    seed=5,
    run_name="a-name",
    max_nights=7,
)
SCENARIO = brigade.load_scenario("easy", num_houses=4, min_nights=3, name="a small town")
GAME = describe(SCENARIO, CONFIG.num_agents_per_game)


def agent_state(network: Network, agent: int) -> AgentState:
    rng = np.random.default_rng(agent)
    rows = rng.standard_normal((3, network.num_parameters)).astype(np.float32)
    return AgentState(agent + 4, 100 * agent, *rows, rng.standard_normal(3))


def worker_of(states: list[AgentState], population: Population) -> RolloutWorker:
    repository = Repository(population)
    for agent, state in enumerate(states):
        repository.add(agent, state)
    repository.act_with({agent: state.version for agent, state in enumerate(states)})
    return RolloutWorker(CONFIG, games_of(CONFIG, GAME), repository, 5)


def example(steps: int = 5) -> tuple[Checkpoint, RolloutWorker]:
    """A checkpoint of a run that has begun, and its worker."""
    population = population_of(CONFIG, GAME)
    states = [agent_state(population.network_of(agent), agent) for agent in range(3)]
    worker = worker_of(states, population)
    statistics = Statistics(3)
    for _ in range(steps):
        statistics.count_step(2, 4)
        statistics.count_episodes(worker.step())
    worker.cut()
    worker.clear()
    simulator = {"rollout": 4, "rollouts": {0: 4, 1: 4, 2: 3}, **worker.state()}
    whole = Checkpoint("an-id", CONFIG, GAME, population, states, statistics.to_dict(), simulator)
    return whole, worker


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "checkpoint.pt"
    save(path, example()[0])
    return path


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as refused:
        load(path)
    sentence = str(refused.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    assert len(sentence) < 1000
    return sentence


# ---- round trip --------------------------------------------------------------------------


def test_equal_checkpoints_are_equal_files(tmp_path: Path) -> None:
    """Whether texts in them are one object, as where a run began, or equal ones, as read again."""
    whole, _ = example()
    save(tmp_path / "first", whole)
    save(tmp_path / "second", load(tmp_path / "first"))
    text = "a name that is nowhere else"
    for file, other in (("one", text), ("two", "".join(list(text)))):
        named = replace(whole, run=text, simulator={**whole.simulator, "note": other})
        save(tmp_path / file, named)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    whole, _ = example()
    path = tmp_path / "checkpoint.pt"
    save(path, whole)
    back = load(path)
    assert back.run == whole.run
    assert back.config == whole.config.nameless
    assert back.game == whole.game
    assert scenario_of(back.game) == SCENARIO
    assert back.game.name == SCENARIO.name
    assert back.population == whole.population
    assert back.statistics == whole.statistics
    assert len(back.agents) == 3
    for one, other in zip(back.agents, whole.agents, strict=True):
        assert (one.version, one.steps) == (other.version, other.steps)
        for name, array in one.arrays().items():
            assert array.dtype == other.arrays()[name].dtype
            assert np.array_equal(array, other.arrays()[name]), name
    assert set(back.simulator) == set(whole.simulator)
    for name, value in whole.simulator.items():
        found = back.simulator[name]
        if isinstance(value, bytes):
            assert bytes(found) == value
        else:
            assert np.array_equal(found, value), name


def test_a_player_goes_on_from_a_checkpoint_exactly(tmp_path):
    whole, worker = example()
    save(tmp_path / "checkpoint.pt", whole)
    back = load(tmp_path / "checkpoint.pt")
    again = worker_of(back.agents, back.population)
    again.restore(back.simulator)
    for _ in range(10):
        one, other = worker.step(), again.step()
        assert np.array_equal(one.agents, other.agents)
        assert np.array_equal(one.returns, other.returns)
    for a in (worker, again):
        a.cut()
    for agent in range(3):
        for name, array in worker.arrays(agent).items():
            assert np.array_equal(array, again.arrays(agent)[name]), name


def test_what_was_loaded_can_be_saved_again(saved, tmp_path):
    back = load(saved)
    save(tmp_path / "again.pt", back)
    assert load(tmp_path / "again.pt").simulator.keys() == back.simulator.keys()


def test_the_same_checkpoint_is_the_same_file(tmp_path):
    whole, _ = example()
    for name in ("one.pt", "two.pt"):
        save(tmp_path / name, whole)
    elsewhere = replace(whole, config=RunConfig(**(as_dict(CONFIG) | {"run_name": "other"})))
    save(tmp_path / "three.pt", elsewhere)
    first, *rest = [(tmp_path / f"{name}.pt").read_bytes() for name in ("one", "two", "three")]
    assert all(other == first for other in rest)


def as_dict(config: RunConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in config.__struct_fields__}


def test_states_whose_memory_cannot_be_written_are_saved(tmp_path):
    # Received arrays are views of a message's frames.
    whole, _ = example()
    for state in whole.agents:
        for array in state.arrays().values():
            array.flags.writeable = False
    save(tmp_path / "checkpoint.pt", whole)
    assert len(load(tmp_path / "checkpoint.pt").agents) == 3


# ---- what others find in it --------------------------------------------------------------


def test_it_loads_as_plain_weights_with_the_promised_keys(saved):
    content = torch.load(saved, weights_only=True)
    assert content["scenario_name"] == "a small town"
    assert content["population_size"] == 3
    assert content["total_episodes"] == content["statistics"]["total_episodes"]
    assert set(content["policies"]) == {0, 1, 2}
    statistics = content["statistics"]
    assert {"total_episodes", "total_steps", "match_counts", "episode_rewards"} <= set(statistics)
    assert set(statistics["match_counts"]) == set(statistics["episode_rewards"]) == {0, 1, 2}


def test_a_policy_in_it_is_a_state_dict_of_the_network(saved):
    content = torch.load(saved, weights_only=True)
    whole, _ = example()
    [role] = content["roles"]
    network = read(role["policy"])
    assert network == whole.network
    assert (role["name"], role["agents"]) == ("agent", 3)
    for agent, state in enumerate(whole.agents):
        policy = content["policies"][agent]
        assert {name: tuple(t.shape) for name, t in policy.items()} == network.shapes
        assert np.array_equal(network.row(policy).numpy(), state.parameters)


# ---- writing -----------------------------------------------------------------------------


def test_a_checkpoint_replaces_the_one_before(tmp_path):
    path = tmp_path / "checkpoint.pt"
    save(path, example(steps=1)[0])
    before = path.read_bytes()
    save(path, example(steps=9)[0])
    assert path.read_bytes() != before
    assert load(path).statistics["total_steps"] == 18
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]


def failing(target: Any, name: str, error: BaseException) -> Callable[..., Any]:
    """A function that does something first, and then fails."""
    real = getattr(target, name)

    def fail(*arguments: Any, **keywords: Any) -> Any:
        if name == "save":
            real(*arguments, **keywords)
            arguments[1].flush()
        raise error

    return fail


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize(
    ("target", "name"), [(torch, "save"), (os, "fsync"), (Path, "replace")], ids=lambda x: str(x)
)
@pytest.mark.parametrize("existed", [True, False])
def test_a_failing_write_leaves_what_was_there_and_nothing_else(
    tmp_path, monkeypatch, existed, target, name, error
):
    path = tmp_path / "checkpoint.pt"
    if existed:
        path.write_bytes(b"the one before")
    monkeypatch.setattr(target, name, failing(target, name, error))
    with pytest.raises(type(error)):
        save(path, example()[0])
    monkeypatch.undo()
    assert [file.name for file in tmp_path.iterdir()] == (["checkpoint.pt"] if existed else [])
    if existed:
        assert path.read_bytes() == b"the one before"


def test_a_missing_folder_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        save(tmp_path / "no" / "checkpoint.pt", example()[0])


# ---- reading what is not a checkpoint ----------------------------------------------------


class Bomb:
    """Whoever unpickles this makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("wrap", ["pickle", "torch", "old torch", "in a checkpoint"])
def test_code_in_a_file_is_not_run(tmp_path, saved, wrap):
    bomb, path = Bomb(tmp_path / "boom"), tmp_path / "bomb.pt"
    if wrap == "pickle":
        path.write_bytes(pickle.dumps({"format": 1, "x": bomb}))
    elif wrap == "in a checkpoint":
        torch.save(torch.load(saved, weights_only=True) | {"more": bomb}, path)
    else:
        torch.save({"x": bomb}, path, _use_new_zipfile_serialization=wrap == "torch")
    refusal(path)
    assert not (tmp_path / "boom").exists()


FOREIGN: dict[str, Callable[[Path], Any]] = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("hello\nworld\n"),
    "zeros": lambda path: path.write_bytes(bytes(5000)),
    "a zip file's head": lambda path: path.write_bytes(b"PK\x03\x04" + bytes(100)),
    "an array": lambda path: np.save(path.open("wb"), np.zeros(3)),
    "a tensor": lambda path: torch.save(torch.zeros(3), path),
    "a list": lambda path: torch.save([1, 2], path),
    "none": lambda path: torch.save(None, path),
    "a state dict": lambda path: torch.save({"weight": torch.zeros(2, 2)}, path),
    "a format to come": lambda path: torch.save({"format": FORMAT + 1}, path),
    "a format before all": lambda path: torch.save({"format": 0}, path),
    "a format that is no number": lambda path: torch.save({"format": True}, path),
    "nothing but the format": lambda path: torch.save({"format": FORMAT}, path),
    "a folder": lambda path: path.mkdir(),
}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("write", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_foreign_file_is_refused_in_one_line(tmp_path, write):
    path = tmp_path / "foreign.pt"
    write(path)
    refusal(path)


def test_nobody_is_advised_to_read_a_file_unsafely(tmp_path):
    path = tmp_path / "text.pt"
    path.write_text("hello\nworld\n")
    assert "weights_only" not in refusal(path)


def test_a_missing_file_is_refused_in_one_line(tmp_path):
    assert "no such file" in refusal(tmp_path / "missing.pt")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999])
def test_a_truncated_file_is_refused_in_one_line(tmp_path, saved, share):
    whole = saved.read_bytes()
    path = tmp_path / "cut.pt"
    path.write_bytes(whole[: int(share * len(whole))])
    refusal(path)
    path.write_bytes(whole[:-1])
    refusal(path)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=5), data=st.data())
def test_a_damaged_file_is_read_or_refused(tmp_path, saved, places, data):
    damaged = bytearray(saved.read_bytes())
    for place in places:
        damaged[int(place * len(damaged))] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "damaged.pt"
    path.write_bytes(damaged)
    try:
        back = load(path)
    except CheckpointError as error:
        sentence = str(error)
    else:
        sentence = ""
        assert len(back.agents) == back.config.population_size
    assert "\n" not in sentence


def remove(*keys: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        for key in keys[:-1]:
            content = content[key]
        del content[keys[-1]]

    return change


def put(*keys_and_value: Any) -> Callable[[dict[str, Any]], None]:
    *keys, last, value = keys_and_value

    def change(content: dict[str, Any]) -> None:
        for key in keys:
            content = content[key]
        content[last] = value(content[last]) if callable(value) else value

    return change


def shorter(tensor: torch.Tensor) -> torch.Tensor:
    return tensor[:-1].clone()


def spoilt(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.clone()
    tensor.view(-1)[0] = float("nan")
    return tensor


NEEDED = ("run", "game", "config", "roles", "policies", "optimizers")
NEEDED += ("normalizers", "versions", "statistics", "simulator")
CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    **{f"without {key}": remove(key) for key in NEEDED},
    **{f"{key} that is a number": put(key, 7) for key in NEEDED[1:]},
    "a policy missing": remove("policies", 1),
    "an optimiser missing": remove("optimizers", 2),
    "a tensor missing": remove("policies", 0, "heads.bias"),
    "a tensor too many": put("policies", 0, "more", torch.zeros(1)),
    "a policy too short": put("policies", 0, "heads.bias", shorter),
    "a policy with nan": put("policies", 0, "heads.bias", spoilt),
    "a policy that is text": put("policies", 0, "heads.bias", "x"),
    "moments too short": put("optimizers", 0, "first_moment", shorter),
    "moments with nan": put("optimizers", 0, "second_moment", spoilt),
    "wide moments": put("optimizers", 0, "first_moment", lambda t: t.double()),
    "moments that want a gradient": put(
        "optimizers", 0, "first_moment", lambda t: torch.nn.Parameter(t)
    ),
    "sparse moments": put("optimizers", 0, "first_moment", lambda t: t.to_sparse()),
    "steps that are text": put("optimizers", 0, "steps", "many"),
    "endless steps": put("optimizers", 0, "steps", float("inf")),
    "PopArt moments of two numbers": put("normalizers", 0, shorter),
    "a version that is a list": put("versions", 0, [1]),
    "an unknown setting": put("config", "no_such_setting", 1),
    "a setting out of range": put("config", "gamma", 2.0),
    "another population": put("roles", 0, "agents", 4),
    "settings of another population": put("config", "population_size", 4),
    "settings of other roles": put("config", "population_size", {"red": 3}),
    "a role without agents": put("roles", 0, "agents", 0),
    "a role of another name": put("roles", 0, "name", "player"),
    "no roles": put("roles", []),
    "a role that there is not": put("roles", lambda roles: [*roles, roles[0]]),
    "a tensor that repeats one number": put(
        "policies", 0, "heads.weight", lambda t: torch.zeros(1).expand(t.numel()).view(t.shape)
    ),
    "games of another number of seats": put("game", "arguments", "num_seats", 3),
    "policies with another number of choices": put("roles", 0, "policy", "action_nvec", (4, 2, 3)),
    "another width": put("roles", 0, "policy", "hidden_size", 5),
    "a negative width": put("roles", 0, "policy", "hidden_size", -4),
    "an endless width": put("roles", 0, "policy", "hidden_size", float("inf")),
    "a huge width": put("roles", 0, "policy", "hidden_size", 10**30),
    "a policy of a kind to come": put("roles", 0, "policy", "kind", "transformer"),
    "a policy of another version": put("roles", 0, "policy", "version", 2),
    "a game of a kind to come": put("game", "kind", "chess"),
    "a game of another version": put("game", "version", 2),
    "a game of no seats": put("game", "arguments", "num_seats", 0),
    "an unknown parameter": put("game", "arguments", "scenario", "no_such_parameter", 1),
    "a parameter out of range": put(
        "game", "arguments", "scenario", "prob_fire_spreads_to_neighbor", 2.0
    ),
    "a parameter that is a number": put("game", "arguments", "scenario", 5, 2.0),
    "a game without a name": put("game", "name", None),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_checkpoint_that_is_not_whole_is_refused_in_one_line(tmp_path, saved, change):
    content = torch.load(saved, weights_only=True)
    change(content)
    path = tmp_path / "spoilt.pt"
    torch.save(content, path)
    refusal(path)


def test_a_refusal_of_a_truncated_file_does_not_speak_of_unsafe_loading(tmp_path, saved):
    # torch's own advice is to load with weights_only=False.
    path = tmp_path / "bomb.pt"
    torch.save({"x": Bomb(tmp_path / "boom")}, path)
    assert not re.search(r"weights_only\W+False", refusal(path))


def test_a_file_that_was_cut_off_says_so_wherever_that_was(tmp_path, saved):
    whole = saved.read_bytes()
    path = tmp_path / "cut.pt"
    for size in {0, 1, 30, *range(0, len(whole), len(whole) // 40), len(whole) - 1}:
        path.write_bytes(whole[:size])
        assert f"is cut off: it has {size:,} bytes" in refusal(path)


def test_a_file_whose_bytes_were_lost_is_damaged(tmp_path, saved):
    whole = saved.read_bytes()
    path = tmp_path / "damaged.pt"
    path.write_bytes(whole[: len(whole) // 2] + whole[len(whole) // 2 + 512 :])
    assert "is damaged" in refusal(path)
    path.write_bytes(bytes(len(whole)))
    assert "it holds something else" in refusal(path)
