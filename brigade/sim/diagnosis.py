"""What holds a run up, in sentences that name it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from brigade.agent_numbers import format_agents
from brigade.config import RunConfig
from brigade.games.spec import GameSpec
from brigade.sim.matchmaking import steps_per_rollout
from brigade.wire.messages import LearnerReport

QUIET_SECONDS = 3.0  # three heartbeats
SLOW_SECONDS = 1.0
ONE_ROLLOUT = (
    "the first rollout is the whole run, which makes one update: more --num-episodes or "
    "--num-transitions make the run longer, a lower --update-interval its rollouts shorter"
)


def is_one_rollout(config: RunConfig, game: GameSpec) -> bool:
    """Whether the first rollout ends the run, as far as that is known before games are played."""
    steps = steps_per_rollout(config, game)
    transitions = steps * config.games * (1 if game.turn_based else game.num_seats)
    limit = config.max_turns
    # Of each game, if none ends sooner.
    cuts = 0 if limit is None else steps // (game.steps_per_turn * limit)
    if config.exploring_starts:
        cuts = min(cuts, 1)  # of those after the first, any may start anywhere and not count
    return config.share(cuts * config.games, transitions) >= 1.0


def diagnose(
    learners: Sequence[LearnerReport],
    free: Iterable[int],
    awaited: Iterable[int],
    *,
    waited: float,
    lease_timeout: float,
) -> list[str]:
    """Name what is gone or slow.

    Parameters
    ----------
    free
        Agents without a learner.
    awaited
        Agents whose next rollout cannot be played yet.
    waited
        Seconds for which the run has been waiting for them.
    lease_timeout
        Seconds of silence after which a learner is lost.
    """
    remarks, free, awaited = [], sorted(free), set(awaited)
    if free:
        who = f"{format_agents(free)} {'has' if len(free) == 1 else 'have'}"
        remarks.append(
            f"{who} no learner and the run has waited {waited:.0f} s for one"
            if awaited & set(free)
            else f"{who} no learner"
        )
    for learner in learners:
        who = f"{learner.name} ({format_agents(learner.agents)} on {learner.device})"
        if learner.silent_seconds > QUIET_SECONDS:
            remarks.append(
                f"{who} has been silent for {learner.silent_seconds:.0f} s; "
                f"it counts as lost after {lease_timeout:.0f} s"
            )
        elif awaited & set(learner.agents) and waited > SLOW_SECONDS:
            last = (
                f"whose last update took {learner.learn_seconds:.1f} s"
                if learner.learn_seconds
                else "which has made no update yet"
            )
            remarks.append(f"the run has waited {waited:.0f} s for {who}, {last}")
    if not free and learners and all(_starved(learner) for learner in learners):
        most = min(_waits(learner) for learner in learners)
        remarks.append(f"the simulator is slow: every learner waits for it {most:.0%} of its time")
    return remarks


def _waits(learner: LearnerReport) -> float:
    """Share of its time that a learner waits for the simulator, as of its last update."""
    return learner.wait_seconds / max(learner.wait_seconds + learner.learn_seconds, 1e-9)


def _starved(learner: LearnerReport) -> bool:
    return learner.wait_seconds > SLOW_SECONDS and _waits(learner) > 0.5
