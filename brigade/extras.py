"""The distribution's extras: what each brings, and the line that names one that is missing.

The base install is the environment. Whatever needs more asks here before it imports it.
"""

from __future__ import annotations

from importlib.util import find_spec

__all__ = ["DISTRIBUTION", "EXTRAS", "MissingExtra", "require"]

DISTRIBUTION = "brigade-marl"

_CLI = ("msgspec", "rich")
# Packages of pyproject.toml's extras, by the extra; no code here imports those of `analysis`.
EXTRAS = {
    "cli": _CLI,
    "render": ("pillow",),
    "train": ("torch", "pyzmq", "msgpack", "tensorboardX", *_CLI),
}
_MODULES = {"pillow": "PIL", "pyzmq": "zmq"}  # of packages that are imported by another name


class MissingExtra(ImportError):
    """Packages are not installed: one line that names them and the command that installs them."""


def require(what: str, extra: str) -> None:
    """Check that an extra's packages are installed, and import none of them.

    Parameters
    ----------
    what
        What needs them; the error's line begins with it.
    extra
        A key of :data:`EXTRAS`.

    Raises
    ------
    MissingExtra
        At least one of them is not.
    """
    missing = [
        package for package in EXTRAS[extra] if find_spec(_MODULES.get(package, package)) is None
    ]
    if missing:
        raise MissingExtra(
            f'{what} needs {", ".join(missing)}: pip install "{DISTRIBUTION}[{extra}]"'
        )
