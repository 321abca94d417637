"""Server options: who may connect to a run. Imports neither torch nor zmq."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from brigade.config import ConfigError
from brigade.run.options import RuntimeOptions
from brigade.wire.endpoints import Endpoint


class ServerOptions(RuntimeOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run, and who may connect to its simulator."""

    key: Annotated[
        str | None, Meta(description="private key file: only admitted learners may connect")
    ] = None
    admitted: Annotated[
        str | None, Meta(description="folder of admitted public keys; `admitted` beside the key")
    ] = None
    insecure: Annotated[
        bool, Meta(description="bind beyond this machine without keys: anyone may connect")
    ] = False


def check_server_options(config: ServerOptions, endpoint: Endpoint | None) -> None:
    """Check that an address (None: a private one) is closed to strangers, or meant to be open.

    Raises
    ------
    ConfigError
        Other machines can reach it, and nothing was said of who may connect; or what was said is
        not enough.
    """
    if config.admitted is not None and config.key is None:
        raise ConfigError(f"--admitted {config.admitted} goes with --key: there are no keys yet")
    if endpoint is None or endpoint.is_loopback or config.key is not None or config.insecure:
        return
    raise ConfigError(
        f"--bind {endpoint.control} can be reached from other machines, which needs --key "
        "(see `brigade keys --help`), or --insecure where all who can reach it are trusted"
    )


def at_home(path: str) -> Path:
    """Read a path, in which ``~`` is somebody's home.

    Raises
    ------
    ConfigError
        Nobody has that name.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ConfigError(f"{path}: there is no such home") from None
