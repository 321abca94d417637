"""Commands of brigade as child processes, which run exactly the code of their parent."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import brigade

# Flags of the interpreter that decide what it loads, by their names in ``sys.flags``.
FLAGS = {"isolated": "-I", "ignore_environment": "-E", "no_user_site": "-s", "no_site": "-S"}


def child_command(*arguments: str) -> list[str]:
    """Words that start ``brigade ARGUMENTS`` from this package's own files; see ``__main__.py``."""
    flags = [flag for name, flag in FLAGS.items() if getattr(sys.flags, name)]
    program = Path(str(brigade.__file__)).absolute().with_name("__main__.py")
    return [sys.executable, *flags, "-P", str(program), *arguments]


def as_typed(command: str) -> str:
    """Return what to type for ``brigade`` or ``brigade-sim`` here, be its folder on PATH or not."""
    beside = Path(sys.executable).with_name(command)
    if shutil.which(command) or not beside.exists():
        return command
    try:
        inside = beside.is_relative_to(Path.cwd())
    except OSError:  # the folder is gone
        return str(beside)
    return os.path.relpath(beside) if inside else str(beside)


def child_environment() -> dict[str, str]:
    """What a child finds in its environment beside ours: where we import everything else from."""
    return {"BRIGADE_IMPORT_PATH": json.dumps([path for path in sys.path if isinstance(path, str)])}
