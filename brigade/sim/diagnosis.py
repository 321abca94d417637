"""What holds a run up, in sentences that name it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from brigade.agent_numbers import format_agents
from brigade.wire.messages import LearnerReport

QUIET_SECONDS = 3.0  # three heartbeats


def diagnose(
    learners: Sequence[LearnerReport], free: Iterable[int], awaited: Iterable[int], patience: float
) -> list[str]:
    """Name what is gone or slow.

    Parameters
    ----------
    free
        Agents without a learner.
    awaited
        Agents whose next rollout cannot be played yet.
    patience
        Seconds of silence after which a learner is lost.
    """
    remarks, free, awaited = [], sorted(free), set(awaited)
    if free:
        stopped = " and the run waits for one" if awaited & set(free) else ""
        has = "has" if len(free) == 1 else "have"
        remarks.append(f"{format_agents(free)} {has} no learner{stopped}")
    for learner in learners:
        who = f"{learner.name} ({format_agents(learner.agents)} on {learner.device})"
        if learner.silent_seconds > QUIET_SECONDS:
            remarks.append(
                f"{who} has been silent for {learner.silent_seconds:.0f} s; "
                f"it counts as lost after {patience:.0f} s"
            )
        elif awaited & set(learner.agents):
            remarks.append(
                f"the run waits for {who}, whose last update took {learner.learn_seconds:.1f} s"
            )
    return remarks
