"""The environment: scenarios, PettingZoo and batched forms, rendering.

PettingZoo's packages offer ``package.env()``, and this package is called ``brigade.env``: both
hold, because the package itself can be called and gives what :func:`brigade.env.aec.env` gives.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    """A package that is also the factory ``brigade.env()``, and that pickles by its name."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Make the AEC environment: see :func:`brigade.env.aec.env`."""
        return import_module("brigade.env.aec").env(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return import_module, (self.__name__,)


sys.modules[__name__].__class__ = _CallablePackage
