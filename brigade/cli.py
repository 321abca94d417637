"""The commands: which there are, what each needs installed, and how they end.

Whatever a person gets wrong is one line on stderr and exit code 2. This imports only what the base
install has, so that a command that needs an extra can say so.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import re
import signal
import sys
import threading
from collections.abc import Sequence

from brigade import __version__, interrupt, streams
from brigade.extras import MissingExtra, require
from brigade.nearest import nearest
from brigade.printable import printable, shortened
from brigade.typed import typed

LONGEST_REFUSAL = 500  # characters
LONGEST_WORD = 160  # of them, a name's or path's

# command: (extra, module, config class, function, one line of help)
COMMANDS = {
    "train": ("train", "brigade.run.train", "TrainConfig", "run_train", "train a population here"),
    "sim": (
        "train",
        "brigade.run.sim",
        "SimConfig",
        "run_sim",
        "play games for learners that attach",
    ),
    "learn": (
        "train",
        "brigade.run.learn",
        "LearnConfig",
        "run_learn",
        "attach a learner to a simulator",
    ),
    "evaluate": (
        "train",
        "brigade.run.evaluate",
        "EvaluateConfig",
        "run_evaluate",
        "measure agents: those of a run, scripted ones, or both",
    ),
    "check-env": (
        "cli",
        "brigade.run.check_env",
        "CheckEnvConfig",
        "run_check_env",
        "tell what an environment is like, before training on it",
    ),
    "status": (
        "train",
        "brigade.run.status",
        "StatusConfig",
        "run_status",
        "ask a run how it is doing",
    ),
    "keys": (
        "train",
        "brigade.run.keys",
        "KeysConfig",
        "run_keys",
        "make and admit keys for learners",
    ),
    "optimum": (
        "cli",
        "brigade.run.show",
        "OptimumConfig",
        "run_optimum",
        "compute the best that a team can do, exactly",
    ),
    "play": (
        "cli",
        "brigade.run.show",
        "PlayConfig",
        "run_play",
        "watch a game, or write it to a file",
    ),
    "scenarios": (
        "cli",
        "brigade.run.show",
        "ScenariosConfig",
        "run_scenarios",
        "list the scenarios, or explain one",
    ),
}


# What a person can put right where a file cannot be used.
SOMEBODY_ELSES = (errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ELOOP, errno.EROFS)

# Commands that work for hours, and end in order whatever becomes of their output.
LONG = ("train", "sim", "learn")


def main(arguments: Sequence[str] | None = None) -> int:
    """``brigade COMMAND ...``; returns the exit code."""
    streams.prepare()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-V", "--version", "-h", "--help"):
        asked = words and words[0] in ("-V", "--version")
        try:
            print(f"brigade {__version__}" if asked else _overview(), flush=True)
        except OSError as error:
            return streams.give_up(error)
        return 0
    command = words[0]
    if command not in COMMANDS:
        near = nearest(command, COMMANDS)
        hint = f"did you mean {near}?" if near else f"known: {', '.join(COMMANDS)}"
        return _refuse("brigade", f"{command!r} is not a command; {hint}")
    return _run(command, words[1:])


def main_sim() -> int:
    """``brigade-sim``."""
    streams.prepare()
    return _run("sim", sys.argv[1:])


def main_learn() -> int:
    """``brigade-learn``."""
    streams.prepare()
    return _run("learn", sys.argv[1:])


def _run(command: str, words: Sequence[str]) -> int:
    if command in LONG:
        streams.outlast()
    else:
        interrupt.watch()
    extra, module_name, config_name, function, help_ = COMMANDS[command]
    try:
        require("this command", extra)
        module = importlib.import_module(module_name)
        if command in LONG:
            undo_when_interrupted()
        from brigade.flags import Settings

        kind = getattr(module, config_name)
        try:
            settings = Settings.read(command, help_, kind, words)
            with settings.blamed(_user_errors):
                code = int(getattr(module, function)(settings.config(kind)))
        except SystemExit as end:  # argparse's
            code = int(end.code or 0)
        print(end="", flush=True)  # or a full disk would be noticed too late
        return code
    except _user_errors() as error:
        return _refuse(typed(command), str(error))
    except _imported(("brigade.games.vector", "GameFailed")) as error:
        _refuse(typed(command), str(error))
        return 1
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        first_line = str(error).partition("\n")[0][:200]
        print(
            f"{typed(command)}: out of memory: try fewer agents for each learner, a smaller "
            f"--hidden-size or fewer --num-games ({printable(first_line)})",
            file=sys.stderr,
        )
        return 1
    except OSError as error:
        if error.filename is not None and error.errno in SOMEBODY_ELSES:
            return _refuse(typed(command), f"{error.filename}: {error.strerror}")
        if error.filename is None and error.errno in (errno.EPIPE, errno.ENOSPC, errno.EIO):
            return streams.give_up(error)
        raise
    except KeyboardInterrupt:
        return 130


def finish(code: int) -> int:
    """Give a process's exit code, or exit with it where others' threads would keep it alive.

    An environment may leave threads, for which an interpreter waits at its end.
    """
    others = (t for t in threading.enumerate() if t is not threading.main_thread())
    played = "brigade.games.pettingzoo.finding" in sys.modules
    if played and any(t.is_alive() and not t.daemon for t in others):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    return code


def undo_when_interrupted() -> None:
    """Let Ctrl-C raise KeyboardInterrupt from here on, so that what has begun is undone."""
    if signal.getsignal(signal.SIGINT) not in (signal.SIG_IGN, signal.default_int_handler):
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {help_}" for name, (*_, help_) in COMMANDS.items()]
    return "\n".join(
        ["usage: brigade COMMAND ...", "", *lines, "", "brigade COMMAND --help says more."]
    )


def _user_errors() -> tuple[type[Exception], ...]:
    """Errors that a person can cause; their sentence is all that is printed."""
    return (
        MissingExtra,
        *_imported(
            ("brigade.config", "ConfigError"),
            ("brigade.wire.endpoints", "AddressError"),
            ("brigade.wire.transport", "TransportError"),
            ("brigade.store.checkpoint", "CheckpointError"),
            ("brigade.learn.learner", "LearnerRefused"),
            ("brigade.games.pettingzoo.errors", "EnvironmentUnusable"),
        ),
    )


def _imported(*names: tuple[str, str]) -> tuple[type[Exception], ...]:
    """Give the errors of modules that are imported; others' are not raised."""
    return tuple(getattr(sys.modules[m], name) for m, name in names if m in sys.modules)


def _is_out_of_memory(error: Exception) -> bool:
    """Whether NumPy or torch, which has no type of its own for it on CPUs, lacks memory."""
    said = str(error)
    return isinstance(error, MemoryError) or "out of memory" in said or "allocate memory" in said


def _refuse(who: str, why: str) -> int:
    line = re.sub(r"\S+", lambda word: shortened(word[0], LONGEST_WORD), printable(why))
    if len(line) > LONGEST_REFUSAL:  # with what is wrong at its start, and the way out at its end
        line = f"{line[: LONGEST_REFUSAL // 2]} ... {line[-LONGEST_REFUSAL // 2 :]}"
    print(f"{who}: {line}", file=sys.stderr)
    return 2
