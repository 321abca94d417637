"""The name of the command that a person typed, for messages."""

from __future__ import annotations

import os
import sys
from pathlib import Path

PARENT_VARIABLE = "BRIGADE_PARENT"  # a launcher's process id, in the environment of its children


def typed(command: str) -> str:
    """Return what a command calls itself: ``brigade sim``, or what was typed to start it.

    A simulator that ``brigade train`` started calls itself that, since it prints on the same
    terminal.
    """
    if command == "sim" and os.environ.get(PARENT_VARIABLE) == str(os.getppid()):
        return "brigade train"
    own = f"brigade-{command}"
    return own if sys.argv and Path(sys.argv[0]).name == own else f"brigade {command}"
