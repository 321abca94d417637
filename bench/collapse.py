"""Whether an agent failed to learn, where training is short and for own rewards.

That is where agents collapse: small networks, a million transitions, and each for itself. Trains
one population for each scenario and seed; told of each is what the worst agent's seat would itself
gain if the population's median agent had it (replacement.py), as a share of the way from random
play to the optimum, in bold where that agent has failed. Where all agents fail alike, none is worse
than the median: so beside it stands the population's own score. Each scenario's row goes into
bench/results.md.

    python bench/collapse.py [rest_trap ...] [--seeds 3] [--num-transitions 1000000]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from learning import AGENTS, KNOWN, loss, score_of, train, write
from replacement import gains

from brigade.games.bucket_brigade import scenario_of
from brigade.optimum import DISCOUNTED_OPTIMUM, reference_values
from brigade.run.cores import available_cores
from brigade.run.process import use_threads
from brigade.store import checkpoint

SETTINGS = [
    *("--hidden-size", "64", "--learning-rate", "3e-3", "--anneal", "--update-interval", "25"),
    *("--value-coef", "2", "--entropy-coef", "0.06", "--exploring-starts", "0.4"),
    *("--num-learners", "2"),
]
BEGIN, END = "<!-- losses: written by bench/collapse.py -->", "<!-- end of losses -->"
HEAD = "| scenario | worst agent's loss, each seed | seconds a run | population's score |"


def main() -> None:
    """Train, measure and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("scenarios", nargs="*", default=KNOWN)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--num-transitions", type=int, default=1_000_000)
    options = parser.parse_args()
    use_threads(available_cores())
    print(f"brigade train {' '.join(SETTINGS)} --num-transitions {options.num_transitions}")
    # Whatever part of the table is measured, intervals hold for all of it at once.
    agents = len(KNOWN) * options.seeds * AGENTS
    for scenario in options.scenarios:
        row = table_row(scenario, options.seeds, options.num_transitions, agents)
        print(row, flush=True)
        write(scenario, row, BEGIN, END, HEAD)


def table_row(scenario: str, seeds: int, transitions: int, agents: int) -> str:
    """Measure one scenario; of ``agents`` in all is said whether they failed to learn."""
    losses, times, scores = [], [], []
    for seed in range(1, seeds + 1):
        with tempfile.TemporaryDirectory() as folder:
            run, seconds = train(scenario, seed, transitions, Path(folder), settings=SETTINGS)
            final = run / "final_checkpoint.pt"
            saved = checkpoint.load(final)
            scores.append(score_of(str(final), None).score)
        values = reference_values(
            scenario_of(saved.game), saved.config.num_agents_per_game, saved.config.gamma, 1000
        )
        optimum = values[DISCOUNTED_OPTIMUM].discounted_return
        scale = optimum - values["random"].discounted_return
        losses.append(loss(gains(saved, agents)[0], agents, scale))
        times.append(seconds)
    seconds = sum(times) / len(times)
    populations = " ".join(f"{score:.3f}" for score in scores)
    return f"| `{scenario}` | {', '.join(losses)} | {seconds:.0f} | {populations} |"


if __name__ == "__main__":
    main()
