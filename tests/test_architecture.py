"""The table of docs/architecture.md, held against the code's own imports."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "brigade"

TEXT = {"printable", "tables", "nearest"}
PURE = TEXT | {"config", "values", "seeds", "agent_numbers", "intervals"}
ALLOWED: dict[str, set[str]] = {
    "env": TEXT | {"extras", "_core"},
    "agents": TEXT | {"_core", "env"},
    "optimum": TEXT | {"extras", "interrupt", "_core", "env"},
    "play": TEXT | {"extras", "interrupt", "_core", "env", "agents"},
    "printable": set(),
    "nearest": set(),
    "intervals": set(),
    "typed": set(),
    "tables": set(),
    "config": {"nearest", "values"},
    "values": set(),
    "seeds": set(),
    "agent_numbers": set(),
    "games": TEXT | {"seeds", "_core", "env"},
    "policy": {"games"},
    "ppo": PURE | {"policy"},
    "wire": TEXT,
    "store": PURE | {"games", "policy", "ppo"},
    "sim": PURE | {"games", "policy", "ppo", "wire", "store"},
    "learn": PURE | {"policy", "ppo", "wire"},
    "run": PURE
    | {"_core", "env", "agents", "optimum", "play", "games", "policy", "ppo", "wire", "store"}
    | {"sim", "learn", "interrupt", "extras", "typed"},
    "interrupt": set(),
    "streams": set(),
    "extras": set(),
    "flags": PURE | {"typed"},
    "cli": PURE | {"interrupt", "streams", "extras", "flags", "typed"},
}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            # `from brigade import seeds` is an import of brigade.seeds.
            names = {f"brigade.{alias.name}" for alias in node.names}
            found |= names if module == "brigade" else {module}
    return found


SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE) + [
    PACKAGE / f"{name}.py"
    for name in sorted(PURE | {"cli", "flags", "extras", "interrupt", "streams", "typed"})
]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_only_downwards(path: Path) -> None:
    here = room(path)
    ours = {name.split(".")[1] for name in imports(path) if name.startswith("brigade.")}
    assert ours - {here, "__version__"} <= ALLOWED[here]


@pytest.mark.parametrize("library", ["zmq"])
def test_one_file_knows_zeromq(library: str) -> None:
    users = [
        p for p in PACKAGE.rglob("*.py") if any(i.split(".")[0] == library for i in imports(p))
    ]
    assert sorted(path.name for path in users) == ["auth.py", "transport.py"]


# Words of brigade's own game, which is one among those that can be trained on. What is left of them
# are files of earlier versions, and what other programs look for in a checkpoint.
GAMES_OWN = re.compile(r"house|night|fire|bucket|scenario", re.IGNORECASE)
GENERAL = ("sim", "learn", "ppo", "policy", "wire", "store")
LEFT = {
    "store/checkpoint.py": {"scenario_name"},
    "store/formats.py": {"scenario", "scenario_name", "total_nights", "bucket_brigade"}
    | {"houses", "bucket", "nights"},
    "store/identity.py": {"scenario", "scenario_name", "bucket_brigade"},
}


def test_what_trains_does_not_know_brigades_own_game() -> None:
    found: dict[str, set[str]] = {}
    for package in GENERAL:
        for path in (PACKAGE / package).rglob("*.py"):
            words = {w for w in re.findall(r"\w+", path.read_text()) if GAMES_OWN.search(w)}
            if words:
                found[path.relative_to(PACKAGE).as_posix()] = words
    assert found == LEFT


def test_nothing_unpickles_or_evaluates() -> None:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                banned = {
                    "eval",
                    "exec",
                    "pickle.load",
                    "pickle.loads",
                    "recv_pyobj",
                    "marshal.loads",
                }
                assert name.rpartition(".")[2] not in {"recv_pyobj"}, path
                assert name not in banned, f"{path}: {name}"
                if name == "torch.load":
                    flags = {k.arg: ast.unparse(k.value) for k in node.keywords}
                    assert flags.get("weights_only") == "True", path
                if name == "np.load":
                    assert not any(k.arg == "allow_pickle" for k in node.keywords), path


@pytest.mark.parametrize(
    "statement",
    [
        "import brigade; brigade.parallel_env; brigade.BatchedEnv; brigade.load_scenario",
        "import brigade.optimum",
        "import brigade.play",
        "import brigade.run.train",
    ],
)
def test_the_environment_and_the_launcher_load_neither_torch_nor_zmq(statement: str) -> None:
    code = f"{statement}\nimport sys; print(*sorted({{'torch', 'zmq'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_asking_a_run_how_it_is_doing_does_not_load_torch() -> None:
    code = "import sys, brigade.run.status; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
