"""Makers of environments, from what a person types or from a function.

Nothing is registered, and no base class is asked for: whatever has ``reset``, ``step`` and spaces
for each agent is an environment. A text names code that is imported, so it must come from the
person who runs the command.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from brigade.games.pettingzoo.errors import CannotFind, in_words
from brigade.nearest import nearest
from brigade.printable import printable, shortened

NAMES = ("parallel_env", "env")  # what a module calls its makers, the first preferred
FORMS = "module, module:function, file.py:function, or a name such as sisl/multiwalker-v9"


class Maker:
    """Makes environments.

    Parameters
    ----------
    name
        What to call the environment in messages.
    function
        What makes one.
    arguments
        Its keyword arguments.
    text
        What :func:`find` finds it by, anywhere; None where it is known as a function only.
    """

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        arguments: Mapping[str, Any],
        text: str | None = None,
    ):
        self.name = printable(name)
        self.text = text
        self.arguments = dict(arguments)
        self._function = function
        self._check_arguments()

    def __call__(self) -> Any:
        """Make an environment.

        Raises
        ------
        CannotFind
            The function fails, or what it returns is none.
        """
        try:
            with warnings.catch_warnings():
                # The registry warns of environments that are not of PettingZoo's classes.
                warnings.filterwarnings("ignore", "Environment .* was expected to be an instance")
                env = self._function(**self.arguments)
        except (Exception, SystemExit) as error:
            raise CannotFind(self._why(error)) from error
        _check_environment(env, self.name)
        return env

    def _check_arguments(self) -> None:
        try:
            signature = inspect.signature(self._function)
        except (TypeError, ValueError):  # of some compiled functions
            return
        try:
            signature.bind(**self.arguments)
        except TypeError as error:
            known = [p.name for p in signature.parameters.values() if p.kind in _BY_KEYWORD]
            unknown = [name for name in self.arguments if name not in known]
            missing = re.search(r"missing a required .*?argument: '(\w+)'", str(error))
            if missing:
                raise CannotFind(
                    f"{self.name} needs the argument {missing[1]}: --env-arg {missing[1]}=VALUE"
                ) from None
            raise CannotFind(self._no_argument(unknown[0] if unknown else "", known)) from None

    def _no_argument(self, name: str, known: list[str]) -> str:
        meant = nearest(name, known)
        if meant:
            advice = f"did you mean {meant}?"
        else:
            advice = f"it takes {', '.join(known)}" if known else "it takes none"
        return printable(f"{self.name} takes no argument {name}; {advice}")

    def _why(self, error: BaseException) -> str:
        unexpected = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if isinstance(error, TypeError) and unexpected and unexpected[1] in self.arguments:
            return f"{self.name} takes no argument {unexpected[1]}; see its documentation"
        if isinstance(error, ModuleNotFoundError):
            return f"{self.name} needs the module {error.name}, which is not installed: install it"
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.arguments.items())
        given = f" with {shortened(arguments, 80)}" if arguments else ""
        return printable(f"{self.name} could not be made{given}: {in_words(error)}")


_BY_KEYWORD = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def find(what: str | Callable[..., Any], arguments: Mapping[str, Any] | None = None) -> Maker:
    """Find a maker of environments.

    Parameters
    ----------
    what
        A function that returns an environment, or a text: a module with ``parallel_env`` or else
        ``env`` (``mpe2.simple_spread_v3``), ``module:function``, ``file.py``, ``file.py:function``,
        or a name of PettingZoo's registry (``sisl/multiwalker-v9``), parallel where there is one.
    arguments
        Its keyword arguments.

    Raises
    ------
    CannotFind
        There is none, or it does not take the arguments.
    """
    arguments = arguments or {}
    if not isinstance(what, str):
        if not callable(what):
            raise CannotFind(
                f"an environment is named by a text or made by a function, not by {what!r}"
            )
        return Maker(getattr(what, "__name__", type(what).__name__), what, arguments)
    place, colon, name = what.partition(":")
    if not place or (colon and not name):
        raise CannotFind(printable(f"{what!r} names no environment; give {FORMS}"))
    if place.endswith(".py"):
        function = _attribute(_file_module(place), place, name)
    elif not colon and ("/" in place or re.search(r"-v\d+$", place)):
        function = _registered(place)
    else:
        function = _attribute(_module(place), place, name)
    return Maker(what, function, arguments, text=what)


def is_turn_based(env: Any) -> bool:
    """Tell whether its agents act one after another (AEC) rather than all at once."""
    return callable(getattr(env, "last", None))


def takes_seed(env: Any) -> bool:
    """Tell whether its reset takes a seed."""
    try:
        parameters = inspect.signature(env.reset).parameters.values()
    except (TypeError, ValueError):  # of some compiled functions
        return True
    return any(p.name == "seed" or p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)


def _check_environment(env: Any, name: str) -> None:
    missing = [each for each in ("reset", "step") if not callable(getattr(env, each, None))]
    if missing:
        raise CannotFind(
            printable(
                f"{name} makes {shortened(repr(env))} ({type(env).__name__}), which is no "
                f"environment: it has no {missing[0]}"
            )
        )
    spaces = ("observation_space", "action_space")
    if not all(callable(getattr(env, each, None)) or hasattr(env, f"{each}s") for each in spaces):
        if hasattr(env, "observation_space"):
            raise CannotFind(
                f"{name} is an environment of one agent; give one of PettingZoo's kind, whose "
                "observation_space(agent) and action_space(agent) are functions"
            )
        raise CannotFind(
            f"{name} makes an environment without observation_space(agent) and "
            "action_space(agent); define them"
        )


# ---- importing ---------------------------------------------------------------------------


def _module(name: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise CannotFind(printable(f"{name!r} names no environment; give {FORMS}"))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        absent = error.name or ""
        if name == absent or name.startswith(f"{absent}."):
            raise CannotFind(_no_module(name, absent)) from None
        raise CannotFind(
            printable(f"{name} needs the module {absent}, which is not installed: install it")
        ) from error
    except (Exception, SystemExit) as error:
        raise CannotFind(_cannot_import(name, error)) from error


def _no_module(name: str, absent: str) -> str:
    parent, _, _ = absent.rpartition(".")
    if not parent and Path(f"{name}.py").is_file():
        function = NAMES[0]
        advice = f"for the file here, give {name}.py or {name}.py:{function}"
    elif parent and (meant := nearest(absent, _submodules(parent))):
        advice = f"did you mean {meant}?"
    elif parent:
        advice = "is its version the one that is installed?"
    else:
        advice = "is it installed?"
    return printable(f"there is no module {absent}; {advice}")


def _submodules(package: str) -> list[str]:
    paths = getattr(sys.modules.get(package), "__path__", [])
    return [f"{package}.{module.name}" for module in pkgutil.iter_modules(paths)]


def _cannot_import(name: str, error: BaseException) -> str:
    return printable(f"{name} cannot be imported: {in_words(error)}")


def _file_module(text: str) -> ModuleType:
    path = Path(text).expanduser()
    if not path.is_file():
        raise CannotFind(printable(f"there is no file {text}; give its path from {Path.cwd()}"))
    path = path.resolve()
    name = f"brigade environment {path}"  # no other module's
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None  # it ends with .py
    module = importlib.util.module_from_spec(spec)
    # What lies beside the file can be imported from it, but never in another module's place.
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        if isinstance(error, ModuleNotFoundError):
            raise CannotFind(
                printable(f"{text} needs the module {error.name}, which is not installed")
            ) from error
        raise CannotFind(_cannot_import(text, error)) from error
    return module


def _attribute(module: ModuleType, place: str, name: str) -> Callable[..., Any]:
    """Get a function or class of a module by its name, or by the usual ones."""
    makers = _public(module)
    if not name:
        name = next((each for each in NAMES if callable(getattr(module, each, None))), "")
        if not name:
            advice = makers[0] if len(makers) == 1 else "FUNCTION"
            raise CannotFind(
                printable(f"{place} has neither parallel_env nor env; give {place}:{advice}")
            )
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise CannotFind(printable(f"{place} has no {name}; {_instead(name, makers)}"))
        found = getattr(found, part)
    if not callable(found):
        shown = shortened(repr(found))
        raise CannotFind(printable(f"{place}:{name} is {shown}, not a function or a class"))
    function: Callable[..., Any] = found
    return function


def _instead(name: str, makers: list[str]) -> str:
    meant = nearest(name, makers)
    if meant:
        return f"did you mean {meant}?"
    return f"it has {', '.join(makers[:8])}" if makers else "define it there"


def _public(module: ModuleType) -> list[str]:
    """What a module itself defines and that can be called."""
    return [
        name
        for name, value in vars(module).items()
        if callable(value)
        and not name.startswith("_")
        and getattr(value, "__module__", None) == module.__name__
    ]


def _registered(name: str) -> Callable[..., Any]:
    """Make what PettingZoo's registry has by a name, parallel where there is one."""
    zoo = _module("pettingzoo")
    if not hasattr(zoo, "make"):
        raise CannotFind(
            f"{name}: this version of PettingZoo has no registry; give a module, such as "
            "pettingzoo.sisl.multiwalker_v9"
        )
    for kind in ("parallel", "aec"):
        try:
            zoo.spec(kind, name)
        except Exception:  # each reason has a class of its own
            continue
        return partial(_make_registered, zoo.make, kind, name)
    known = sorted({*zoo.parallel_registry, *zoo.aec_registry})
    meant = nearest(name, known)
    advice = f"did you mean {meant}?" if meant else f"it has {', '.join(known[:4])} and others"
    raise CannotFind(printable(f"PettingZoo's registry has no {name}; {advice}"))


def _make_registered(
    make: Callable[..., Any], kind: str, registered: str, /, **arguments: Any
) -> Any:
    try:
        return make(kind, registered, **arguments)
    except (Exception, SystemExit) as error:
        # It hides which module was missing.
        if type(error).__name__ == "FailedToImport" and error.__cause__ is not None:
            raise error.__cause__ from None
        raise
