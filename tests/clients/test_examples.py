"""The examples of docs/clients.md run as they stand, each where its library is installed."""

import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CLIENTS = tomllib.loads((HERE / "clients.toml").read_text())
GUIDE = HERE.parent.parent / "docs" / "clients.md"
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n\n```python\n(.*?)^```", GUIDE.read_text(), re.M | re.S))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("client", [name for name in CLIENTS if name != "lowest"])
def test_the_example_runs(client, tmp_path):
    module = CLIENTS[client]["module"]
    if find_spec(module) is None:
        pytest.skip(f"{module} is not installed: make test-clients installs and runs it")
    program = tmp_path / "example.py"
    program.write_text(SECTIONS[CLIENTS[client]["section"]])
    done = subprocess.run(
        [sys.executable, str(program)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]


def test_every_example_has_a_client_and_every_client_an_example():
    assert {client["section"] for client in CLIENTS.values()} == set(SECTIONS)
