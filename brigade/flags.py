"""A command's frozen config, read from its flags and the ``--config`` file.

A flag's name, type, range, default and help are those of the config's field, so there is nothing
here to keep in step. A field that is a table is a flag that may be given several times, each time
with ``KEY=VALUE``, and a table in the file.
"""

from __future__ import annotations

import argparse
import re
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, Union, get_args, get_origin, get_type_hints

import msgspec

from brigade.config import EARLIER_NAMES, EARLIER_VALUES, ConfigError, convert, meant, renamed
from brigade.nearest import nearest
from brigade.tables import TableError, read_table
from brigade.typed import typed
from brigade.values import flag


@dataclass(frozen=True)
class Settings:
    """What a command was given: on its command line, and in the file that this may name."""

    given: dict[str, Any]
    file: str | None
    written: dict[str, Any]  # in the file

    @classmethod
    def read(cls, command: str, help_: str, kind: type[Any], words: Sequence[str]) -> Settings:
        """Read a command's words, and the file that they name.

        Parameters
        ----------
        command, help_
            What the command is called, and its line of help.
        kind
            Its config's class.
        words
            What follows the command.

        Raises
        ------
        ConfigError
            A flag does not exist, or the file is not one of settings.
        SystemExit
            With 0 after ``--help``.
        """
        given = vars(_parser(command, help_, kind).parse_args(words))
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
        settings = renamed(self.written) | self.given
        names = {"given": sorted(settings)} if "given" in getattr(kind, "INTERNAL", ()) else {}
        return convert(kind, settings | names)

    @contextmanager
    def blamed(self, user_errors: Callable[[], tuple[type[Exception], ...]]) -> Iterator[None]:
        """Say of a fault that lies in the file which file it is, and name settings as there.

        Parameters
        ----------
        user_errors
            Gives the types of errors that a person can cause.
        """
        try:
            yield
        except user_errors() as error:
            fault = blamed = str(error)
            present = {EARLIER_NAMES.get(name, name): name for name in self.written}
            settings = {
                now: name
                for now, name in present.items()
                if now not in self.given
                and (fault.startswith(repr(name)) or _is_at_fault(now, self.written[name], fault))
            }
            for now, name in settings.items():
                blamed = name.join(re.split(rf"{re.escape(flag(now))}(?![\w-])", blamed))
            is_unknown = any(fault.startswith(repr(name)) for name in settings.values())
            if is_unknown or blamed != fault:
                raise ConfigError(f"{self.file}: {blamed}") from None
            raise


def _is_at_fault(name: str, value: Any, sentence: str) -> bool:
    """Tell whether a sentence names a setting with its value, and not as a remedy."""
    named = rf"{re.escape(flag(name))}(?![\w-])"
    shown = "|".join(map(re.escape, (f"{value}", repr(value))))
    return any(re.search(p, sentence) for p in (rf"^{named}", rf"{named} (?:{shown})(?![\w-])"))


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are a :class:`ConfigError`."""

    def error(self, message: str) -> NoReturn:
        unknown, _, _ = message.removeprefix("unrecognized arguments: ").partition(" ")
        if message.startswith("unrecognized") and not unknown.startswith("-"):
            message = f"{unknown!r} is one argument too many"
        elif message.startswith("unrecognized"):
            options = [option for action in self._actions for option in action.option_strings]
            near = meant(_name(unknown.split("=")[0]), map(_name, options))
            message = f"unknown flag {unknown}" + (f"; did you mean {flag(near)}?" if near else "")
        choice = re.match(r"argument (--[\w-]+): invalid choice: '(.*?)' \(", message)
        if choice:
            message += self._hint(*choice.groups())
        raise ConfigError(message)

    def _hint(self, option: str, value: str) -> str:
        """Say which of a flag's choices a wrong one most likely means."""
        choices = next(a.choices for a in self._actions if option in a.option_strings) or ()
        now = EARLIER_VALUES.get(_name(option), {}).get(value) or nearest(value, choices)
        return f"; did you mean {now}?" if now else ""


def _name(option: str) -> str:
    """Return the setting that a flag is of."""
    return option.lstrip("-").replace("-", "_")


def _parser(command: str, help_: str, kind: type[Any]) -> argparse.ArgumentParser:
    """Make a parser from a config's fields."""
    parser = _Parser(
        prog=typed(command),
        description=help_.capitalize() + ".",
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
        elif get_origin(hint) is dict:
            options |= {"action": "append", "metavar": "KEY=VALUE"}
        else:
            options["metavar"] = "|".join(choices) if choices else _metavar(hint)
            options["choices"] = choices
        plain = field.default is not msgspec.NODEFAULT and field.default is not None
        default = f" [{_shown(field.default)}]" if plain else ""
        described = (description + default).replace("%", "%%")
        name = field.encode_name
        parser.add_argument(flag(name), dest=name, help=described, **options)
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
    if get_origin(hint) is list:
        return "X,X"
    return {int: "N", float: "X", str: "TEXT"}.get(hint, "VALUE")


def _shown(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else f"{value}"
