"""Make the kept files of the present format; README.md in this folder says what they are for."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from brigade.env.batched import BatchedEnv
from brigade.games.bucket_brigade import scenario_of
from brigade.policy.network import Activations, forward
from brigade.ppo import popart
from brigade.store.checkpoint import Checkpoint, load

NUM_OBSERVATIONS = 16
SCENARIO = """\
base = "hard"
name = "four-houses"
num_houses = 4
prob_house_catches_fire = 0.2
"""
SETTINGS = {
    "--scenario": "four-houses.toml",
    "--num-agents-per-game": "3",
    "--population-size": "4",
    "--num-games": "4",
    "--max-nights": "20",
    "--hidden-size": "4",
    "--batch-size": "32",
    "--update-interval": "20",
    "--learning-rate": "0.01",
    "--sync": "lockstep",
    "--num-episodes": "60",
    "--checkpoint-dir": ".",
    "--run-name": "run",
    "--seed": "11",
}


def main() -> None:
    """Train a small population, and write its checkpoint and outputs to this folder."""
    here = Path(__file__).parent
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "four-houses.toml").write_text(SCENARIO)
        arguments = [part for setting in SETTINGS.items() for part in setting]
        command = [sys.executable, "-m", "brigade", "train", "--device", "cpu", *arguments]
        subprocess.run(command, cwd=scratch, check=True)
        checkpoint = Path(scratch) / "run" / "final_checkpoint.pt"
        number = torch.load(checkpoint, weights_only=True)["format"]
        path = here / f"format-{number}.pt"
        if path.exists():
            raise SystemExit(f"{path} is kept as it is: this version's format has its file already")
        path.write_bytes(checkpoint.read_bytes())
    saved = load(path)
    observations = seen(saved)
    logits, values = outputs(saved, observations)
    arrays = {"observations": observations, "logits": logits, "values": values}
    np.savez_compressed(path.with_suffix(".npz"), **arrays)


def outputs(
    saved: Checkpoint, observations: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Logits ``[K, R, L]`` and values ``[K, R]``, in the game's units, of observations ``[R, F]``.

    In double precision, so that only what is computed can make a difference.
    """
    rows = torch.tensor(np.stack([state.parameters for state in saved.agents])).double()
    shape = saved.network, len(rows), len(observations), torch.device("cpu")
    buffers = Activations.empty(*shape, torch.float64)
    buffers.observations.copy_(torch.tensor(observations))
    found = forward(saved.network.views(rows), buffers)
    statistics = torch.tensor(np.stack([state.statistics for state in saved.agents]))
    mean, deviation = (moment.double().unsqueeze(1) for moment in popart.moments(statistics))
    return found.logits.numpy(), (found.values * deviation + mean).numpy()


def seen(saved: Checkpoint) -> NDArray[np.float32]:
    """Observations ``[16, F]`` of games played at random."""
    rng = np.random.default_rng(1)
    env = BatchedEnv(16, scenario_of(saved.game), saved.config.num_agents_per_game, seed=2)
    env.reset()
    rows = []
    for _ in range(20):
        env.step(rng.integers(0, env.action_nvec, (16, env.num_agents, 3)).astype(np.int32))
        rows.append(env.observations.reshape(-1, env.num_features).copy())
    return rng.choice(np.unique(np.concatenate(rows), axis=0), NUM_OBSERVATIONS, replace=False)


if __name__ == "__main__":
    main()
