"""How near trained populations come to the exact optimum, scenario by scenario.

Trains one population for each scenario and seed, all with the same settings; measures the share of
the way from random play to the optimum (discounted at 0.99, games of at most 1,000 nights), beside
what scripted teams reach; and, since a mean hides an agent that never learned, what the worst
agent's seat would gain if the population's median agent had it (replacement.py), in bold where that
agent has failed. Each scenario's row goes into bench/results.md as soon as it is known, in place of
the one that was there.

    python bench/learning.py [default easy ...] [--seeds 3] [--num-transitions 6000000]

With ``--curves FILE.svg`` it measures the checkpoints along the way of one seed instead, and draws
them.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from curves import Curve, draw
from replacement import MATERIAL, Gain, gains

from brigade._core import ARCHETYPES, scenario_names
from brigade.config import convert
from brigade.run.child import child_command, child_environment
from brigade.run.cores import available_cores
from brigade.run.evaluate import EvaluateConfig, NormalisedScore, evaluate
from brigade.run.process import use_threads
from brigade.store import checkpoint

SETTINGS = [
    *("--hidden-size", "128", "--learning-rate", "3e-3", "--anneal", "--update-interval", "25"),
    *("--value-coef", "2", "--entropy-coef", "0.06", "--team-spirit", "1", "--num-learners", "2"),
    *("--exploring-starts", "0.4"),
]
AGENTS = 8  # of a population: what `brigade train` makes if not told otherwise
EPISODES = 500
MAX_NIGHTS = 1000
# Their optimum is not known exactly.
LEFT_OUT = ("default_continuous", "positional_default")
KNOWN = [name for name in scenario_names() if name not in LEFT_OUT]
RESULTS = Path(__file__).with_name("results.md")
BEGIN, END = "<!-- shares: written by bench/learning.py -->", "<!-- end of shares -->"
HEAD = (
    "| scenario | sampled | seeds | greedy | seeds | spread-out team | best archetype team "
    "| transitions | time | worst agent's loss |"
)
POINTS = 8  # checkpoints of a curve
CURVE_EPISODES = 200


def main() -> None:
    """Train, measure and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("scenarios", nargs="*", default=KNOWN)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--num-transitions", type=int, default=6_000_000)
    parser.add_argument("--curves", type=Path, help="draw learning curves into this file instead")
    options = parser.parse_args()
    use_threads(available_cores())
    print(f"brigade train {' '.join(SETTINGS)} --num-transitions {options.num_transitions}")
    if options.curves:
        curves = [curve(scenario, options.num_transitions) for scenario in options.scenarios]
        options.curves.write_text(draw(curves))
        return
    # Whatever part of the table is measured, intervals of losses hold for all of it at once.
    agents = len(KNOWN) * options.seeds * AGENTS
    for scenario in options.scenarios:
        row = table_row(scenario, options.seeds, options.num_transitions, agents)
        print(row, flush=True)
        write(scenario, row)


def table_row(scenario: str, seeds: int, transitions: int, agents: int) -> str:
    """Measure one scenario; of ``agents`` in all is said whether they failed to learn."""
    sampled, greedy, losses, times = [], [], [], []
    for seed in range(1, seeds + 1):
        with tempfile.TemporaryDirectory() as folder:
            run, seconds = train(scenario, seed, transitions, Path(folder))
            final = str(run / "final_checkpoint.pt")
            score = score_of(final, None)
            sampled.append(score.score)
            greedy.append(score_of(final, None, greedy=True).score)
            worst = gains(checkpoint.load(Path(final)), agents)[0]
            losses.append(loss(worst, agents, score.optimum - score.random))
            times.append(seconds)
    archetype, best = max(
        ((name, score_of(f"archetype:{name}", scenario).score) for name in ARCHETYPES),
        key=lambda pair: pair[1],
    )
    spread = score_of("spread", scenario).score
    return (
        f"| `{scenario}` | {statistics.mean(sampled):.3f} | {_each(sampled)} "
        f"| {statistics.mean(greedy):.3f} | {_each(greedy)} | {spread:.3f} | {best:.3f} "
        f"({archetype}) | {transitions / 1e6:g} M | {statistics.mean(times):.0f} s "
        f"| {', '.join(losses)} |"
    )


def loss(gain: Gain, agents: int, scale: float) -> str:
    """Say what the worst agent loses, as a share; in bold where it has failed to learn."""
    interval = gain.interval(agents)
    loss = f"{gain.mean / scale:.3f} ±{interval / scale:.3f}"
    return f"**{loss}**" if gain.mean > max(interval, MATERIAL * scale) else loss


def _each(shares: list[float]) -> str:
    return " ".join(f"{share:.3f}" for share in shares)


def train(
    scenario: str,
    seed: int,
    transitions: int,
    folder: Path,
    checkpoint_interval: int = 10**9,
    settings: Sequence[str] = SETTINGS,
) -> tuple[Path, float]:
    """Train one population: its run's folder, and the seconds from start to end."""
    flags = [
        *(*settings, "--num-transitions", str(transitions), "--num-episodes", "1000000000"),
        *("--scenario", scenario, "--seed", str(seed)),
        *("--checkpoint-dir", str(folder), "--run-name", "run"),
        *("--checkpoint-interval", str(checkpoint_interval)),
    ]
    started = time.perf_counter()
    environment = os.environ | child_environment()
    command = child_command("train", *flags)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return folder / "run", time.perf_counter() - started


def score_of(
    what: str, scenario: str | None, *, greedy: bool = False, episodes: int = EPISODES
) -> NormalisedScore:
    """Measure a checkpoint or a scripted team as `brigade evaluate` does."""
    settings = {"what": what, "episodes": episodes, "max_nights": MAX_NIGHTS, "greedy": greedy}
    config = convert(EvaluateConfig, settings | ({"scenario": scenario} if scenario else {}))
    score = evaluate(config).normalised_score(MAX_NIGHTS)
    assert score is not None, f"{scenario} has no exact optimum"
    return score


def curve(scenario: str, transitions: int) -> Curve:
    """Measure the checkpoints of one run on its way."""
    with tempfile.TemporaryDirectory() as folder:
        # Games take at most --max-nights, 50, in training, and four agents' transitions a night.
        interval = max(1, transitions // (POINTS * 50 * 4))
        run, _ = train(scenario, 1, transitions, Path(folder), interval, [*SETTINGS, "--keep=all"])
        points = [(0.0, 0.0)]
        for path in sorted(run.glob("*checkpoint*.pt")):
            done = checkpoint.load(path).statistics["total_transitions"]
            points.append((float(done), score_of(str(path), None, episodes=CURVE_EPISODES).score))
    spread = score_of("spread", scenario).score
    print(scenario, sorted(points), f"spread {spread:.3f}", flush=True)
    return Curve(scenario, sorted(points), spread)


def write(scenario: str, row: str, begins: str = BEGIN, ends: str = END, head: str = HEAD) -> None:
    """Put a scenario's row into the table in bench/results.md between two marks."""
    before, begin, rest = RESULTS.read_text().partition(begins)
    table, end, after = rest.partition(ends)
    if not (begin and end):
        raise SystemExit(f"{RESULTS} has no table between {begins} and {ends}")
    found = re.findall(r"^(\| `(\w+)` .*)$", table, re.MULTILINE)
    rows = {name: line for line, name in found} | {scenario: row}
    order = [name for name in scenario_names() if name in rows]
    for name, row in rows.items():  # one that was measured before a column came
        rows[name] = row + " |" * (head.count(" |") - row.count(" |"))
    lines = [head, "| --- " * head.count(" |") + "|", *(rows[name] for name in order)]
    RESULTS.write_text(f"{before}{begins}\n\n" + "\n".join(lines) + f"\n\n{ends}{after}")


if __name__ == "__main__":
    main()
