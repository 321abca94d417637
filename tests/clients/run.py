"""Install every library of clients.toml into an environment of its own and run its tests there.

    python tests/clients/run.py [CLIENT ...] [--keep]

Builds brigade's wheel once, installs it without its dependencies (the environment alone needs
NumPy, Gymnasium and PettingZoo; its tests want the extras `render` and `cli`, too) beside the
newest release of each library, one library at a time, and ends with a table. Needs uv and maturin,
which `make setup` installs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORK = ROOT / "target" / "clients"
ELSEWHERE = WORK / "elsewhere"
TOOLS = ["pillow", "rich", "msgspec", "pytest", "pytest-timeout", "hypothesis"]
SUITE = ["tests/env", "tests/agents", "tests/play"]


def tool(name: str) -> str:
    """Find a program beside this Python, or on the path."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        sys.exit(f"{name} is missing: run make setup, and this with .venv/bin/python")
    return found


def build_wheel() -> Path:
    """Build brigade's wheel."""
    wheels = WORK / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    command = [tool("maturin"), "build", "--release", "--quiet", "--out", str(wheels)]
    subprocess.run(command, cwd=ROOT, check=True)
    (wheel,) = wheels.glob("*.whl")
    return wheel


def install(client: dict[str, Any], venv: Path, wheel: Path) -> None:
    """Make a client's environment."""
    uv = tool("uv")
    environment = {**os.environ, "VIRTUAL_ENV": str(venv)}
    subprocess.run(
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(venv)], check=True
    )
    pip = [uv, "pip", "install", "--quiet"]
    pinned = [package.split("==")[0] for package in client["packages"]]
    extra = [package for package in TOOLS if package not in pinned]
    subprocess.run([*pip, *client["packages"], *extra], env=environment, check=True)
    subprocess.run([*pip, "--no-deps", str(wheel)], env=environment, check=True)


def run_tests(name: str, client: dict[str, Any], venv: Path) -> int:
    """Run a client's example and, for some, the environment's own tests."""
    example = "pettingzoo" if name == "lowest" else name
    python = str(venv / "bin" / "python")
    options = ["--noconftest", "-q", "-o", "cache_dir=" + str(WORK / "pytest")]
    # pytest is started from an empty folder, so that what is installed is tested.
    pytest = [python, "-m", "pytest", "--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml")]
    examples = str(HERE / "test_examples.py")
    worst = subprocess.run(
        [*pytest, *options, examples, "-k", f"[{example}]"], cwd=ELSEWHERE, check=False
    )
    codes = [worst.returncode]
    libraries = [str(HERE / "test_libraries.py"), "-o", "filterwarnings=default"]
    codes.append(
        subprocess.run([*pytest, *options, *libraries], cwd=ELSEWHERE, check=False).returncode
    )
    if client.get("suite"):
        suite = [str(ROOT / folder) for folder in SUITE]
        codes.append(
            subprocess.run([*pytest, *options, *suite], cwd=ELSEWHERE, check=False).returncode
        )
    return next((code for code in codes if code != 0), 0)


def versions(venv: Path, client: dict[str, Any]) -> str:
    """Name what was installed."""
    names = {package.split("==")[0].split("[")[0] for package in client["packages"]}
    code = (
        "from importlib.metadata import version\n"
        f"print(', '.join(f'{{n}} {{version(n)}}' for n in {sorted(names)!r}))"
    )
    done = subprocess.run(
        [str(venv / "bin" / "python"), "-c", code], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def main() -> None:
    clients = tomllib.loads((HERE / "clients.toml").read_text())
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("clients", nargs="*", metavar="CLIENT", help=", ".join(clients))
    parser.add_argument("--keep", action="store_true", help="keep the environments")
    options = parser.parse_args()
    unknown = [name for name in options.clients if name not in clients]
    if unknown:
        parser.error(f"no client {unknown[0]!r}: there are {', '.join(clients)}")
    ELSEWHERE.mkdir(parents=True, exist_ok=True)
    wheel = build_wheel()
    rows = []
    for name in options.clients or clients:
        venv = WORK / "venvs" / name
        start = time.monotonic()
        print(f"\n== {name}: {' '.join(clients[name]['packages'])}", flush=True)
        try:
            install(clients[name], venv, wheel)
            code = run_tests(name, clients[name], venv)
            installed = versions(venv, clients[name])
            result = "passed" if code == 0 else f"FAILED ({code})"
        except subprocess.CalledProcessError as error:
            installed, result = "", f"FAILED: {error.cmd[0]} gave {error.returncode}"
        rows.append((name, result, time.monotonic() - start, installed))
        if not options.keep:
            shutil.rmtree(venv, ignore_errors=True)
    print()
    for name, result, seconds, installed in rows:
        print(f"{name:<12} {result:<12} {seconds:5.0f} s  {installed}")
    failed = sum(result != "passed" for _, result, _, _ in rows)
    print(f"\n{len(rows) - failed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
