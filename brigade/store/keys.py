"""Key files: ``NAME.key`` (private, mode 0600), ``NAME.pub``, and a folder of admitted ones.

A key is 40 characters of Z85 text. A key file is JSON; nothing in it is run.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from brigade.config import ConfigError

Z85 = re.compile(r"[0-9A-Za-z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
NAME = re.compile(r"[\w.-]{1,64}")


def write_pair(folder: Path, name: str, public: str, secret: str) -> tuple[Path, Path]:
    """Write a new key pair; return the private and the public file.

    Raises
    ------
    ConfigError
        The name is no file name, or there is such a key already.
    """
    _check_name(name)
    private, open_ = folder / f"{name}.key", folder / f"{name}.pub"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path, mode, secrets in ((private, 0o600, {"secret": secret}), (open_, 0o644, {})):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(descriptor, "w") as file:
                file.write(json.dumps({"name": name, "public": public} | secrets) + "\n")
    except FileExistsError as error:
        raise ConfigError(f"{error.filename} exists: choose another name") from None
    except OSError as error:
        raise ConfigError(f"cannot write a key to {folder}: {error.strerror}") from None
    return private, open_


def read_pair(path: Path) -> tuple[str, str]:
    """Read a private key file: public key, secret key.

    Raises
    ------
    ConfigError
        It is none, or others can read it.
    """
    content = _read(path)
    if path.stat().st_mode & 0o077:
        raise ConfigError(f"{path} can be read by others: chmod 600 {path}")
    if not Z85.fullmatch(content.get("secret", "")):
        raise ConfigError(f"{path} holds no secret key; name the .key file")
    return content["public"], content["secret"]


def read_public(text: str) -> str:
    """Read a public key: the key itself, or the name of a file that holds it.

    Raises
    ------
    ConfigError
        It is neither.
    """
    return text if Z85.fullmatch(text) else _read(Path(text))["public"]


def admit(path: Path, folder: Path) -> str:
    """Put a public key among the admitted ones; return its name.

    Raises
    ------
    ConfigError
        It is no key, or another one of that name is admitted.
    """
    content = _read(path)
    target = folder / f"{content['name']}.pub"
    if target.exists() and _read(target)["public"] != content["public"]:
        raise ConfigError(f"{target} is another key: revoke {content['name']} first")
    # At once, for a simulator that looks meanwhile.
    part = folder / f".{target.name}.part"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part.write_text(json.dumps({k: content[k] for k in ("name", "public")}) + "\n")
        part.replace(target)
    except OSError as error:
        raise ConfigError(f"cannot write {target}: {error.strerror}") from None
    return content["name"]


def revoke(name: str, folder: Path) -> None:
    """Take a key out of the admitted ones.

    Raises
    ------
    ConfigError
        It is not among them.
    """
    _check_name(name)
    try:
        (folder / f"{name}.pub").unlink()
    except FileNotFoundError:
        raise ConfigError(f"{name} is not admitted in {folder}") from None
    except OSError as error:
        raise ConfigError(f"cannot remove {error.filename}: {error.strerror}") from None


def admitted(folder: Path) -> dict[str, str]:
    """Names of the admitted keys, by public key; files that are no keys are passed over."""
    found = {}
    for path in sorted(folder.glob("*.pub")):
        try:
            content = _read(path)
        except ConfigError:
            continue
        found[content["public"]] = content["name"]
    return found


class AdmittedKeys:
    """The keys admitted in some folders, read again only where a folder has changed."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = list(folders)
        self._seen: dict[Path, _State] = {}
        self._found: dict[Path, dict[str, str]] = {}

    def __call__(self) -> dict[str, str]:
        """Look up names by public key."""
        for folder in self._folders:
            state = _state_of(folder)
            if self._seen.get(folder) != state:
                self._found[folder] = admitted(folder)
                self._seen[folder] = state
        return {key: name for folder in self._folders for key, name in self._found[folder].items()}


_State = frozenset[tuple[str, int, int, int]]


def _state_of(folder: Path) -> _State:
    """What tells of a change of any key file, without reading one."""
    found = set()
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".pub"):
                with contextlib.suppress(OSError):  # it was removed just now
                    status = entry.stat()
                    identity = (status.st_ino, status.st_mtime_ns, status.st_size)
                    found.add((entry.name, *identity))
    return frozenset(found)


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name) or name.startswith("."):
        raise ConfigError(f"{name!r} must consist of letters, digits and ._-")


def _read(path: Path) -> dict[str, str]:
    try:
        content = json.loads(path.read_bytes()[:10_000])
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise ConfigError(f"{path} is not a key file") from None
    if (
        not isinstance(content, dict)
        or not all(isinstance(value, str) for value in content.values())
        or not Z85.fullmatch(content.get("public", ""))
        or not NAME.fullmatch(content.get("name", ""))
    ):
        raise ConfigError(f"{path} is not a key file")
    return content
