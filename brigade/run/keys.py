"""``brigade keys``: makes key pairs, and says whose are admitted. No secret is ever printed."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from brigade.config import ConfigError
from brigade.printable import printable
from brigade.run.server_options import at_home
from brigade.store import keys
from brigade.wire.auth import ClientCredentials, Keys, ServerAuth, new_keys

DEFAULT_FOLDER = "~/.brigade/keys"


class KeysConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to do with which key."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("action", "what")
    EPILOG: ClassVar[str] = (
        "A public key is 40 characters, and is its own fingerprint. `new` prints it: a learner "
        "names its simulator's with --server-key, by the .pub file or by these characters, in "
        "quotes."
    )

    action: Annotated[
        Literal["new", "admit", "revoke", "list"],
        Meta(description="make a pair, admit a public key, take one back, or list the admitted"),
    ]
    what: Annotated[str, Meta(description="new, revoke: the key's name; admit: its .pub file")] = ""
    folder: Annotated[str, Meta(description="where keys are kept")] = DEFAULT_FOLDER


def run_keys(config: KeysConfig) -> int:
    """Make, admit, revoke or list keys.

    Raises
    ------
    ConfigError
        There is no such key, or it is one already.
    """
    folder = at_home(config.folder)
    admitted = folder / "admitted"
    if not config.what and config.action != "list":
        wanted = "a .pub file" if config.action == "admit" else "a key's name"
        raise ConfigError(f"keys {config.action}: {wanted} is missing")
    if config.action == "new":
        pair = new_keys()
        private, public = keys.write_pair(folder, config.what, pair.public, pair.secret)
        print(f"private: {printable(private)}\npublic:  {printable(public)}")
        print(f"key:     {pair.public}")
        print(f"If it is a simulator's, learners name it by the file {public.name}, or by the key:")
        print(f"  --server-key={shlex.quote(pair.public)}")
    elif config.action == "admit":
        print(f"{keys.admit(Path(config.what), admitted)} is admitted: {printable(admitted)}")
    elif config.action == "revoke":
        keys.revoke(config.what, admitted)
        print(f"{config.what} is admitted no more; if it is connected, it is turned out in seconds")
    else:
        for known, name in keys.admitted(admitted).items():
            print(f"{name}  {known}")
    return 0


def server_auth(key: str, admitted: str | None, own: Path | None = None) -> ServerAuth:
    """Make a simulator's authentication from its key file and the folder of admitted keys.

    Parameters
    ----------
    own
        A folder with more of them: those of the learners that our launcher started.

    Raises
    ------
    ConfigError
        The file holds no private key.
    """
    path = at_home(key)
    folders = [at_home(admitted) if admitted else path.parent / "admitted"]
    folders += [own] if own else []

    return ServerAuth(Keys(*keys.read_pair(path)), keys.AdmittedKeys(folders))


def client_credentials(key: str | None, server_key: str | None) -> ClientCredentials | None:
    """Make a client's credentials from what the command line said; None without keys.

    Raises
    ------
    ConfigError
        One of the two is missing, or holds no key.
    """
    if key is None and server_key is None:
        return None
    if key is None or server_key is None:
        raise ConfigError("--key and --server-key go together: who we are, and whom we want")
    pair = keys.read_pair(at_home(key))
    return ClientCredentials(Keys(*pair), keys.read_public(str(at_home(server_key))))
