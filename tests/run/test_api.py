"""``brigade.train`` as people call it: with functions that no other process could import."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

import brigade
from brigade.config import ConfigError
from brigade.games.vector import GameFailed
from brigade.sim.simulator import RunFailed
from brigade.store import checkpoint

from . import toy_environments as toys
from .fork_server import Asked, server
from .processes import descendants, run, wait_for, wait_for_ends

SMALL = {
    "update_interval": 2,
    "hidden_size": 8,
    "batch_size": 16,
    "num_epochs": 2,
    "num_games": 6,
    "num_transitions": 300,
    "seed": 5,
    "device": "cpu",
    "threads": 1,
}
FLAGS = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train in a folder of its own, with learners that are forked, to save their imports."""
    monkeypatch.chdir(tmp_path)
    server()
    monkeypatch.setattr(subprocess, "Popen", Asked)


def agents_of(folder: Path) -> list[bytes]:
    saved = checkpoint.load(folder / "final_checkpoint.pt")
    return [array.tobytes() for state in saved.agents for array in state.arrays().values()]


def test_a_function_trains_as_its_name_would(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT), torch.get_num_threads(), descendants_here()
    sizes = {"hare": 2, "tortoise": 2}
    found = brigade.train(
        env=lambda: toys.Lives(), population_size=sizes, checkpoint_dir="runs", **SMALL
    )
    assert (signal.getsignal(signal.SIGINT), torch.get_num_threads(), descendants_here()) == before
    assert [thread.name for thread in threading.enumerate() if thread.name == "simulator"] == []
    assert found.folder.parent == Path("runs")
    text = f"{Path(toys.__file__)}:Lives"
    population = "--population-size=hare=2,tortoise=2"
    run(tmp_path, "train", "--env", text, *FLAGS, population, "--run-name", "named")
    assert agents_of(found.folder) == agents_of(Path("experiments/marl/checkpoints/named"))
    assert [row["update"] for row in found.metrics()] == list(range(len(found.metrics())))
    env = toys.Lives()
    seen, _ = env.reset(seed=3)
    assert [(agent.number, agent.role) for agent in found.agents] == [
        *((0, "hare"), (1, "hare"), (2, "tortoise"), (3, "tortoise"))
    ]
    for agent in found.agents:
        name = agent.plays[0]
        actions = [agent.act(seen[name]) for _ in range(20)]
        assert all(env.action_space(name).contains(action) for action in actions)
    with pytest.raises(ValueError, match="something else"):
        brigade.load_agents(found.folder, env=toys.Reach)


def descendants_here() -> list[int]:
    return [pid for pid in descendants(os.getpid()) if "learn" in command_of(pid)]


def command_of(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except OSError:
        return []


def test_it_works_beside_a_running_event_loop_and_in_another_thread() -> None:
    async def notebook() -> Path:
        return brigade.train(env=toys.Bandit, env_arg={}, population_size=2, **SMALL).folder

    assert (asyncio.run(notebook()) / "final_checkpoint.pt").exists()
    found: list[Path] = []
    thread = threading.Thread(target=lambda: found.append(asyncio.run(notebook())))
    thread.start()
    thread.join()
    assert (found[0] / "final_checkpoint.pt").exists()


def test_a_run_goes_on_with_the_function_and_not_without(tmp_path: Path) -> None:
    make = lambda steps: toys.Reach(steps)  # noqa: E731
    small = SMALL | {"population_size": 2, "env_arg": {"steps": 2}}
    first = brigade.train(env=make, **small, run_name="mine")
    again = brigade.train(env=make, resume=first.folder, num_transitions=600)
    assert again.folder.resolve() == first.folder.resolve()
    saved = checkpoint.load(again.folder / "final_checkpoint.pt")
    assert saved.statistics["total_transitions"] >= 600
    assert saved.config.env_arg == {"steps": 2}
    with pytest.raises(ConfigError, match=r"was given as a function, <function <lambda>>"):
        brigade.train(resume="mine", num_transitions=900)
    with pytest.raises(ConfigError, match="goes on with its own"):
        brigade.train(resume="mine", env=f"{Path(toys.__file__)}:Reach", num_transitions=900)
    with pytest.raises(ValueError, match="is another environment"):
        brigade.train(resume="mine", env=lambda steps: toys.Masked(), num_transitions=900)
    other = brigade.train(env=make, from_="mine", **small)
    begun = checkpoint.load(other.folder / "checkpoint_0.pt")
    assert np.array_equal(begun.agents[0].parameters, saved.agents[0].parameters)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            {"num_transtions": 3},
            "is not a setting; did you mean 'num_transitions'",
        ),
        ({"gamma": 2.0}, r"--gamma 2\.0: expected float <= 1\.0"),
        ({"given": ["gamma"]}, "'given' is not a setting"),
        ({"env": 3}, "env 3 is neither a text nor a function"),
        ({"env": lambda: 3}, "which is no environment"),
        (
            {"env": toys.Bandit, "env_workers": 2},
            "which other processes cannot find",
        ),
        ({"env": toys.Reach, "env_arg": {"step": 3}}, "takes no argument step; did you mean steps"),
        ({"env": "nothing.at.all"}, "there is no module nothing"),
        ({"resume": "nothing"}, "no run of that name"),
        ({"num_learners": 3, "env": toys.Bandit, "population_size": 2}, "a learner needs an agent"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    settings: dict[str, object], says: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        brigade.train(**settings)
    assert len(str(caught.value).splitlines()) == 1
    assert not list(tmp_path.iterdir()), "nothing was begun"


@pytest.mark.parametrize(("at", "kind"), [(0, GameFailed), (2, RunFailed)])
def test_what_the_environment_raises_is_the_cause(at: int, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="RuntimeError: out of paper") as caught:
        brigade.train(
            env=lambda: toys.Broken("raise", at), population_size=2, **SMALL, run_name="broken"
        )
    chain, error = [], caught.value
    while error is not None:
        chain.append(type(error))
        error = error.__cause__
    assert chain[-1] is RuntimeError
    assert not descendants_here()
    written = Path("experiments/marl/checkpoints/broken/environment_error.txt").read_text()
    assert 'raise RuntimeError("out of paper")' in written


def test_a_scenario_trains_too() -> None:
    found = brigade.train(scenario="default", population_size=4, **SMALL | {"num_transitions": 400})
    assert [agent.name for agent in found.agents] == [f"agent {number}" for number in range(4)]


SCRIPT = """
import sys
sys.path.insert(0, {toys!r})
import toy_environments as toys
import brigade
print("read once", flush=True)
settings = {settings!r}
try:
    brigade.train(env=lambda: toys.Bandit(), population_size=2, run_name="cut", **settings)
except KeyboardInterrupt:
    import signal, threading
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    print("interrupted", [thread.name for thread in threading.enumerate()], flush=True)
"""


def test_ctrl_c_ends_the_run_in_order_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a script without a guard, as people write them."""
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    endless = SMALL | {"num_transitions": 10**9, "num_episodes": 10**9, "log_interval": 20}
    script = tmp_path / "script.py"
    folder = str(Path(toys.__file__).parent)
    script.write_text(SCRIPT.format(toys=folder, settings=endless))
    said = tmp_path / "said.txt"
    with said.open("wb") as output:
        process = subprocess.Popen([sys.executable, script], stdout=output, stderr=output)
    try:
        wait_for(lambda: "episodes/s" in said.read_text(), said.read_text)
        children = descendants(process.pid)
        assert len(children) == 1, "a learner"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, said.read_text()
        wait_for_ends(children, said.read_text)
    finally:
        process.kill()
    text = said.read_text()
    assert text.count("read once") == 1
    assert "interrupted ['MainThread']" in text
    assert "go on with: brigade.train(resume='experiments/marl/checkpoints/cut', env=...)" in text
    cut = checkpoint.load(Path("experiments/marl/checkpoints/cut/final_checkpoint.pt"))
    more = cut.statistics["total_transitions"] + 100
    brigade.train(env=toys.Bandit, resume="cut", num_transitions=more)
    whole = checkpoint.load(Path("experiments/marl/checkpoints/cut/final_checkpoint.pt"))
    assert whole.statistics["total_transitions"] >= more
