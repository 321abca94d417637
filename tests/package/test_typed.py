"""The public names are typed: what mypy says of a user's code, and that the marker is there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import brigade

HERE = Path(__file__).parent
PACKAGE = Path(brigade.__file__).parent
CACHE = HERE.parents[1] / ".mypy_cache" / "package"


def test_a_users_code_is_checked():
    assert (PACKAGE / "py.typed").exists()
    options = ["--config-file", str(HERE / "mypy.ini"), "--cache-dir", str(CACHE)]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, str(HERE / "typed.py")],
        cwd=HERE,
        env=os.environ | {"MYPYPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_dir_is_what_is_meant_to_be_used():
    public = set(dir(brigade))
    assert public == set(brigade.__all__)
    assert not {name for name in public if name.startswith("_")} - {"__version__"}
