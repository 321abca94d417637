"""Checkpoints of every format that there was are read, and their agents do what they did."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from formats.make import outputs

import brigade
from brigade import cli
from brigade.agents import team_actions
from brigade.games.bucket_brigade import scenario_of
from brigade.ppo.agents import AgentStack
from brigade.ppo.rollout import Rollout
from brigade.ppo.update import Updater
from brigade.sim.matchmaking import steps_per_rollout
from brigade.sim.preparation import games_of
from brigade.sim.repository import Repository
from brigade.sim.rollout_worker import RolloutWorker
from brigade.store.checkpoint import Checkpoint, CheckpointError, check_resumable, load, save
from brigade.store.formats import FORMAT, upgraded

FOLDER = Path(__file__).parent / "formats"
FORMATS = range(1, FORMAT + 1)
# Formats whose games this version goes on with.
RESUMABLE = {4, 5, 6, 7}

every_format = pytest.mark.parametrize("number", FORMATS)


def kept(number: int) -> Path:
    return FOLDER / f"format-{number}.pt"


def content_of(number: int) -> dict[str, Any]:
    return torch.load(kept(number), weights_only=True)


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as refused:
        load(path)
    sentence = str(refused.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    return sentence


def as_bytes(content: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def worker_of(saved: Checkpoint) -> RolloutWorker:
    repository = Repository(saved.population)
    for agent, state in enumerate(saved.agents):
        repository.add(agent, state)
    repository.act_with({agent: state.version for agent, state in enumerate(saved.agents)})
    return RolloutWorker(saved.config, games_of(saved.config, saved.game), repository, 5)


# ---- every format ------------------------------------------------------------------------


def test_there_is_a_file_of_every_format():
    numbers = {content_of(number)["format"] for number in FORMATS}
    assert numbers == set(FORMATS), "see tests/store/formats/README.md"


@every_format
def test_agents_compute_what_the_version_that_wrote_them_did(number):
    then = np.load(FOLDER / f"format-{number}.npz")
    logits, values = outputs(load(kept(number)), then["observations"])
    np.testing.assert_allclose(logits, then["logits"], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(values, then["values"], rtol=1e-5)


@every_format
def test_what_was_computed_tells_agents_and_observations_apart(number):
    then = np.load(FOLDER / f"format-{number}.npz")
    assert (then["logits"].std(axis=0) > 1e-3).all()
    assert (then["logits"].std(axis=1) > 1e-3).all()
    assert (then["values"].std(axis=1) > 1).all()


@every_format
def test_its_agents_play(number):
    saved = load(kept(number))
    agents = brigade.load_agents(kept(number))
    games = brigade.BatchedEnv(8, scenario_of(saved.game), num_agents=3, seed=3)
    observations, rng = games.reset(), np.random.default_rng(3)
    for _ in range(20):
        actions = team_actions(agents[1:], observations, rng)
        observations, rewards, _, _ = games.step(actions)
        assert np.isfinite(rewards).all()


@every_format
def test_it_is_evaluated(number, capsys):
    command = ["evaluate", str(kept(number)), "--episodes", "8", "--max-nights", "20", "--json"]
    assert cli.main(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["agents"]) == {"0", "1", "2", "3"}


@every_format
def test_its_agents_learn_on(number):
    saved = load(kept(number))
    worker = worker_of(saved)
    for _ in range(steps_per_rollout(saved.config, saved.game)):
        worker.step()
    worker.cut()
    rollouts = [Rollout.of(worker.arrays(agent)) for agent in range(4)]
    stack = AgentStack(saved.network, range(4), saved.agents, torch.device("cpu"))
    Updater(stack, saved.config, seed=1).update(rollouts)
    for before, after in zip(saved.agents, stack.states(), strict=True):
        assert after.version == before.version + 1
        assert all(np.isfinite(array).all() for array in after.arrays().values())
        assert not np.array_equal(after.parameters, before.parameters)


@every_format
def test_it_says_whether_its_run_can_go_on(number):
    saved = load(kept(number))
    assert saved.format == number
    assert saved.resumable == (number in RESUMABLE)
    if saved.resumable:
        check_resumable(kept(number), saved)
        worker = worker_of(saved)
        worker.restore(saved.simulator)
        worker.step()
    else:
        assert saved.simulator == {}
        with pytest.raises(CheckpointError) as refused:
            check_resumable(kept(number), saved)
        sentence = str(refused.value)
        assert sentence.startswith(f"{kept(number)} (format {number}) ")
        assert "the version that wrote it" in sentence
        assert "in a new run" in sentence
        assert "\n" not in sentence


@every_format
def test_what_was_read_is_written_in_the_present_format(number, tmp_path):
    saved = load(kept(number))
    save(tmp_path / "again.pt", saved)
    again = load(tmp_path / "again.pt")
    assert again.format == FORMAT
    assert (again.config, again.population) == (saved.config, saved.population)
    assert again.resumable == saved.resumable
    for one, other in zip(again.agents, saved.agents, strict=True):
        assert np.array_equal(one.parameters, other.parameters)


@every_format
def test_reading_changes_nothing_in_the_content(number):
    content = content_of(number)
    before = as_bytes(content)
    upgraded(content)
    assert as_bytes(content) == before


# ---- what is refused ---------------------------------------------------------------------


@pytest.mark.parametrize("number", [FORMAT + 1, 99])
def test_a_format_to_come_is_refused_as_a_newer_versions(tmp_path, number):
    path = tmp_path / "newer.pt"
    torch.save(content_of(FORMAT) | {"format": number}, path)
    sentence = refusal(path)
    assert f"of format {number}, written by a newer version" in sentence
    assert "install the newer version" in sentence


PARTS = ("config", "networks", "policies", "optimizers", "normalizers", "versions", "statistics")


@every_format
@pytest.mark.parametrize("part", PARTS)
def test_a_file_that_is_one_in_part_is_refused_in_one_line(tmp_path, number, part):
    path = tmp_path / "spoilt.pt"
    content = content_of(number)
    if part == "networks":
        part = "network" if number < 6 else "policy" if number < 7 else "roles"
    torch.save(content | {part: 7}, path)
    refusal(path)
    del content[part]
    torch.save(content, path)
    refusal(path)


@every_format
@pytest.mark.parametrize("name", ["heads.weight", "heads.bias"])
@pytest.mark.parametrize("columns", [slice(0), slice(1), slice(3), slice(-1)], ids=str)
def test_heads_of_another_width_are_refused_in_one_line(tmp_path, number, name, columns):
    path = tmp_path / "narrow.pt"
    content = content_of(number)
    for policy in content["policies"].values():
        policy[name] = policy[name][..., columns].clone()
    torch.save(content, path)
    refusal(path)


@every_format
def test_a_setting_that_no_version_had_is_refused(tmp_path, number):
    path = tmp_path / "unknown.pt"
    content = content_of(number)
    torch.save(content | {"config": content["config"] | {"no_such_setting": 1}}, path)
    assert "'no_such_setting' is not a setting" in refusal(path)


# ---- single steps ------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2])
def test_runs_before_difference_rewards_learned_by_gae(number):
    saved = load(kept(number))
    assert saved.config.advantages == "gae"
    assert saved.config.exploring_starts == 0.0
    assert saved.config.learning_rate == 0.01


def test_a_setting_of_format_2_that_was_taken_back_is_left_out(tmp_path):
    content = content_of(2)
    content["config"]["value_lambda"] = 0.8
    torch.save(content, tmp_path / "taken-back.pt")
    assert load(tmp_path / "taken-back.pt").config == load(kept(2)).config


def query_size(content: dict[str, Any]) -> int:
    return len(content["network"]["choices"][0])


def test_format_2_without_the_place_of_a_choice_is_read_as_one_where_it_does_not_count(tmp_path):
    bare, ignoring = content_of(2), content_of(2)
    place = query_size(bare)
    for agent in range(4):
        for name in ("heads.weight", "heads.bias"):
            ignoring["policies"][agent][name][..., place] = 0
            tensor = bare["policies"][agent][name]
            others = [column for column in range(tensor.shape[-1]) if column != place]
            bare["policies"][agent][name] = tensor[..., others]
        for name in ("first_moment", "second_moment"):
            row = bare["optimizers"][agent][name]
            body, heads = row.split([len(row) - 5 * len(tensor), 5 * len(tensor)])
            heads = heads.view(5, -1)[:, others].flatten()
            bare["optimizers"][agent][name] = torch.cat([body, heads])
    for name, content in (("bare", bare), ("ignoring", ignoring)):
        torch.save(content, tmp_path / f"{name}.pt")
    one, other = load(tmp_path / "bare.pt"), load(tmp_path / "ignoring.pt")
    assert one.network == other.network
    for a, b in zip(one.agents, other.agents, strict=True):
        for name, array in a.arrays().items():
            assert np.array_equal(array, b.arrays()[name]), name


def test_moments_of_format_2_are_those_of_gradients_for_the_new_weights():
    # For f(new weights) with gradient g there, autograd gives the gradient for the old weights.
    content = content_of(2)
    network = load(kept(2)).network
    old = content["policies"][0] = {
        name: tensor.requires_grad_() for name, tensor in content["policies"][0].items()
    }
    row = network.row(upgraded(content)["policies"][0])
    gradient = torch.randn(len(row), generator=torch.Generator().manual_seed(1))
    found = torch.autograd.grad(row @ gradient, list(old.values()))
    moment = torch.cat([part.flatten() for part in found])
    content["optimizers"][0] |= {"first_moment": moment, "second_moment": moment.square()}
    moved = upgraded(content)["optimizers"][0]
    torch.testing.assert_close(moved["first_moment"], gradient)
    torch.testing.assert_close(moved["second_moment"], gradient.square())


def test_a_network_that_was_taken_back_is_refused_in_one_line(tmp_path):
    content = content_of(2)
    content["network"]["seats"] = (28, 29, 30)
    torch.save(content, tmp_path / "taken-back.pt")
    assert "use the version that wrote it" in refusal(tmp_path / "taken-back.pt")
