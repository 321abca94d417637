"""``brigade.load_agents``: importable in every install, though a call needs torch."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from brigade.extras import require

if TYPE_CHECKING:
    from brigade.run.agents import PolicyAgent


def load_agents(path: str | os.PathLike[str], *, greedy: bool = False) -> list[PolicyAgent]:
    """Load the whole population of a checkpoint or run, in order of agent numbers.

    Parameters
    ----------
    path
        A checkpoint, a run's folder or a run's name.
    greedy
        The agents take the most probable actions instead of sampling.

    Raises
    ------
    CheckpointError
        The file is missing or not a checkpoint (a ValueError).
    MissingExtra
        The extra ``train`` is not installed (an ImportError).
    """
    require("brigade.load_agents", "train")
    from brigade.run.agents import PolicyAgent
    from brigade.store import checkpoint
    from brigade.store.folder import find_checkpoint

    saved = checkpoint.load(find_checkpoint(os.fspath(path)))
    return [
        PolicyAgent(f"agent {number}", saved.network, state.parameters, greedy=greedy)
        for number, state in enumerate(saved.agents)
    ]
