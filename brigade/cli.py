"""The command line: each command's frozen config, read from flags and ``--config`` files.

A flag's name, type, range, default and help are those of the config's field, so there is nothing
here to keep in step. Whatever a person gets wrong is one line on stderr and exit code 2.
"""

from __future__ import annotations

import argparse
import difflib
import errno
import importlib
import re
import sys
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, Union, get_args, get_origin, get_type_hints

import msgspec

from brigade import __version__, interrupt, streams
from brigade.config import ConfigError, convert, flag
from brigade.printable import printable
from brigade.tables import TableError, read_table

LONGEST_REFUSAL = 500  # characters

# command: (module, config class, function, one line of help)
COMMANDS = {
    "train": ("brigade.run.train", "TrainConfig", "run_train", "train a population here"),
    "sim": ("brigade.run.sim", "SimConfig", "run_sim", "play games for learners that attach"),
    "learn": ("brigade.run.learn", "LearnConfig", "run_learn", "attach a learner to a simulator"),
    "evaluate": (
        "brigade.run.evaluate",
        "EvaluateConfig",
        "run_evaluate",
        "measure agents: those of a run, scripted ones, or both",
    ),
    "status": ("brigade.run.status", "StatusConfig", "run_status", "ask a run how it is doing"),
    "keys": ("brigade.run.keys", "KeysConfig", "run_keys", "make and admit keys for learners"),
    "optimum": (
        "brigade.run.show",
        "OptimumConfig",
        "run_optimum",
        "compute the best that a team can do, exactly",
    ),
    "play": ("brigade.run.show", "PlayConfig", "run_play", "watch a game, or write it to a file"),
    "scenarios": (
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
        near = difflib.get_close_matches(command, COMMANDS, 1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(COMMANDS)}"
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
    module_name, config_name, function, _ = COMMANDS[command]
    try:
        module = importlib.import_module(module_name)
        kind = getattr(module, config_name)
        try:
            settings = _Settings.read(command, kind, words)
            with settings.blamed():
                code = int(getattr(module, function)(settings.config(kind)))
        except SystemExit as end:  # argparse's
            code = int(end.code or 0)
        print(end="", flush=True)  # or a full disk would be noticed too late
        return code
    except _user_errors() as error:
        return _refuse(f"brigade {command}", str(error))
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        first_line = str(error).partition("\n")[0][:200]
        print(
            f"brigade {command}: out of memory: try fewer agents for each learner, a smaller "
            f"--hidden-size or fewer --num-games ({printable(first_line)})",
            file=sys.stderr,
        )
        return 1
    except OSError as error:
        if error.filename is not None and error.errno in SOMEBODY_ELSES:
            return _refuse(f"brigade {command}", f"{error.filename}: {error.strerror}")
        if error.filename is None and error.errno in (errno.EPIPE, errno.ENOSPC, errno.EIO):
            return streams.give_up(error)
        raise
    except KeyboardInterrupt:
        return 130


def read(command: str, kind: type[Any], words: Sequence[str]) -> Any:
    """Read a command's words into its config.

    Raises
    ------
    ConfigError
        A setting of the file or the command line is wrong.
    SystemExit
        With 0 after ``--help``, with 2 after a flag that does not exist.
    """
    settings = _Settings.read(command, kind, words)
    with settings.blamed():
        return settings.config(kind)


@dataclass(frozen=True)
class _Settings:
    """What a command was given: on its command line, and in the file that this may name."""

    given: dict[str, Any]
    file: str | None
    written: dict[str, Any]  # in the file

    @classmethod
    def read(cls, command: str, kind: type[Any], words: Sequence[str]) -> _Settings:
        """Read them; see :func:`read`."""
        given = vars(_parser(command, kind).parse_args(words))
        file = given.pop("config", None)
        if file is None:
            return cls(given, None, {})
        try:
            written = read_table(Path(file))
        except TableError as error:
            raise ConfigError(f"--config {file}: {error}") from None
        internal = written.keys() & set(getattr(kind, "INTERNAL", ()))
        if internal:
            raise ConfigError(f"{file}: {internal.pop()!r} is not a setting")
        return cls(given, file, written)

    def config(self, kind: type[Any]) -> Any:
        """Make a config of them, where the command line counts for more than the file."""
        settings = self.written | self.given
        names = {"given": sorted(settings)} if "given" in getattr(kind, "INTERNAL", ()) else {}
        return convert(kind, settings | names)

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """Say of a fault that lies in the file which file it is, and name settings as there."""
        try:
            yield
        except _user_errors() as error:
            fault = blamed = str(error)
            settings = self.written.keys() - self.given.keys()
            for name in settings:
                blamed = name.join(re.split(rf"{re.escape(flag(name))}(?![\w-])", blamed))
            is_unknown = any(fault.startswith(repr(name)) for name in settings)
            if is_unknown or blamed != fault:
                raise ConfigError(f"{self.file}: {blamed}") from None
            raise


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {help_}" for name, (*_, help_) in COMMANDS.items()]
    return "\n".join(
        ["usage: brigade COMMAND ...", "", *lines, "", "brigade COMMAND --help says more."]
    )


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        unknown, _, _ = message.removeprefix("unrecognized arguments: ").partition(" ")
        if message.startswith("unrecognized") and not unknown.startswith("-"):
            message = f"{unknown!r} is one argument too many"
        elif message.startswith("unrecognized"):
            known = [option for action in self._actions for option in action.option_strings]
            near = difflib.get_close_matches(unknown.split("=")[0], known, 1)
            message = f"unknown flag {unknown}" + (f"; did you mean {near[0]}?" if near else "")
        raise SystemExit(_refuse(self.prog, message))


def _parser(command: str, kind: type[Any]) -> argparse.ArgumentParser:
    """Make a parser from a config's fields."""
    parser = _Parser(
        prog=f"brigade {command}",
        description=COMMANDS[command][3].capitalize() + ".",
        epilog=getattr(kind, "EPILOG", None),
        allow_abbrev=False,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=32, width=100),
    )
    hints = get_type_hints(kind, include_extras=True)
    positional = getattr(kind, "POSITIONAL", ())
    for field in msgspec.structs.fields(kind):
        if field.name in getattr(kind, "INTERNAL", ()):
            continue
        hint, description = _described(hints[field.name])
        options: dict[str, Any] = {"default": argparse.SUPPRESS}
        if field.name in positional:
            required = field.default is msgspec.NODEFAULT
            extra: dict[str, Any] = {} if required else {"nargs": "?", "default": argparse.SUPPRESS}
            # With choices, argparse would also check its own mark of what was not given.
            parser.add_argument(field.name, help=description, **extra)
            continue
        choices = _choices(hint)
        if hint is bool:
            options["action"] = argparse.BooleanOptionalAction
        else:
            options["metavar"] = "|".join(choices) if choices else _metavar(hint)
            options["choices"] = choices
        default = "" if field.default is None else f" [{_shown(field.default)}]"
        help_ = (description + default).replace("%", "%%")
        name = field.encode_name
        parser.add_argument(flag(name), dest=name, help=help_, **options)
    fields = msgspec.structs.fields(kind)
    if not any(field.required and field.name in positional for field in fields):
        parser.add_argument(
            "--config",
            metavar="FILE",
            help="TOML or JSON file of these settings; flags win",
            default=argparse.SUPPRESS,
        )
    return parser


def _described(hint: Any) -> tuple[Any, str]:
    """Strip a field's type of its annotations and of ``None``; return it and its sentence."""
    description = ""
    while True:
        if get_origin(hint) is Annotated:
            for extra in hint.__metadata__:
                description = getattr(extra, "description", None) or description
            hint = hint.__origin__
        elif get_origin(hint) in (Union, types.UnionType):
            hint = next(part for part in get_args(hint) if part is not type(None))
        else:
            return hint, description


def _choices(hint: Any) -> tuple[str, ...] | None:
    return get_args(hint) if get_origin(hint) is Literal else None


def _metavar(hint: Any) -> str:
    return {int: "N", float: "X", str: "TEXT"}.get(hint, "VALUE")


def _shown(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else f"{value}"


def _user_errors() -> tuple[type[Exception], ...]:
    """Errors that a person can cause; their sentence is all that is printed."""
    errors: list[type[Exception]] = [ConfigError]
    for module, name in (
        ("brigade.wire.endpoints", "AddressError"),
        ("brigade.wire.transport", "TransportError"),
        ("brigade.store.checkpoint", "CheckpointError"),
        ("brigade.learn.learner", "LearnerRefused"),
    ):
        if module in sys.modules:  # not imported, so not raised
            errors.append(getattr(sys.modules[module], name))
    return tuple(errors)


def _is_out_of_memory(error: Exception) -> bool:
    """Whether NumPy or torch, which has no type of its own for it on CPUs, lacks memory."""
    said = str(error)
    return isinstance(error, MemoryError) or "out of memory" in said or "allocate memory" in said


def _refuse(who: str, why: str) -> int:
    line = printable(why)
    if len(line) > LONGEST_REFUSAL:  # with what is wrong at its start, and the way out at its end
        line = f"{line[: LONGEST_REFUSAL // 2]} ... {line[-LONGEST_REFUSAL // 2 :]}"
    print(f"{who}: {line}", file=sys.stderr)
    return 2
