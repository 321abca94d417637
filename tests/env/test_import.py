"""What `import brigade` loads, and what it offers."""

import math
import subprocess
import sys

import pytest

import brigade

PROBE = """
import sys, time
start = time.process_time()
import brigade
from brigade import parallel_env, env, raw_env, BatchedEnv, load_scenario
took = time.process_time() - start
parallel_env().reset(seed=1)
BatchedEnv(2).reset(seed=1)
heavy = {"torch", "zmq", "msgpack", "rich", "tensorboardX"} & set(sys.modules)
assert not heavy, heavy
print(took)
"""


# What others' libraries take that brigade's environments are made of.
LIBRARIES = """
import time
start = time.process_time()
import numpy
from gymnasium import spaces
from pettingzoo import AECEnv, ParallelEnv
print(time.process_time() - start)
"""


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout


def test_the_environment_loads_neither_torch_nor_zmq_and_is_quick():
    # In the processes' own time, for the machine may be busy; and beside each other, for it may be
    # slow. What disturbs them only adds to it: the least of several is the truest.
    took = libraries = math.inf
    for repeat in range(12):
        took, libraries = min(took, float(run(PROBE))), min(libraries, float(run(LIBRARIES)))
        if repeat >= 2 and took < 1.3 * libraries:
            break
    assert took < 1.3 * libraries


def test_import_brigade_alone_loads_nothing_heavy():
    heavy = run(
        "import sys; before = set(sys.modules); import brigade;"
        "print(sorted({m.split('.')[0] for m in set(sys.modules) - before}))"
    )
    assert "numpy" not in heavy
    assert "gymnasium" not in heavy


@pytest.mark.parametrize("name", brigade.__all__)
def test_every_public_name_is_there(name):
    assert getattr(brigade, name) is not None
    assert name in dir(brigade)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'parallel_environment'"):
        brigade.parallel_environment  # noqa: B018


def test_the_version_is_the_cores():
    assert brigade.__version__ == brigade._core.__version__


@pytest.mark.parametrize(
    "code",
    [
        "import brigade; e = brigade.env()",
        "from brigade import env; e = env()",
        "import brigade.env.batched; import brigade; e = brigade.env()",
        "import brigade; brigade.parallel_env(); e = brigade.env()",
    ],
)
def test_brigade_env_makes_an_environment_however_it_is_reached(code):
    assert run(f"{code}; e.reset(seed=1); print(e.agent_selection)") == "agent_0\n"
