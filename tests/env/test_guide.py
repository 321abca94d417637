"""The examples of docs/environment.md and of the docstrings run as they stand."""

import doctest
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import brigade
from brigade.env.state import state_layout

GUIDE = (Path(__file__).parent.parent.parent / "docs" / "environment.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```", GUIDE, re.M | re.S)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_guides_examples_run(number, tmp_path):
    command = [sys.executable, "-W", "error", "-c", EXAMPLES[number]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_guides_scenario_file_loads(tmp_path):
    (content,) = re.findall(r"^```toml\n(.*?)^```", GUIDE, re.M | re.S)
    path = tmp_path / "little_town.toml"
    path.write_text(content)
    scenario = brigade.load_scenario(path)
    assert scenario.name == "little_town"
    assert brigade.parallel_env(scenario, num_agents=3).reset(seed=1)


def test_the_guides_table_is_the_layout():
    layout = brigade.observation_layout("default", 4)
    table = GUIDE[GUIDE.index("| part | entries |") : GUIDE.index("Parameters: probabilities")]
    rows = re.findall(r"^\| `(\w+)` \| ([\dNA ]+) \|", table, re.M)
    assert [name for name, _ in rows] == list(layout)
    for name, entries in rows:
        count = 1
        for factor in entries.split():
            count *= {"N": 10, "A": 4}.get(factor) or int(factor)
        assert layout[name].stop - layout[name].start == count
    total = int(re.search(r"4 agents has (\d+) entries", GUIDE)[1])
    assert total == max(part.stop for part in layout.values())
    assert "ownership" in state_layout(brigade.load_scenario("default"), 4)


def test_the_guides_parameters_are_all_of_them():
    table = GUIDE[GUIDE.index("| parameter | default |") : GUIDE.index("House i is owned")]
    named = re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (.*?) \|", table, re.M)))
    assert named == list(brigade.Scenario.PARAMETERS)


def test_links_within_the_guide_lead_somewhere():
    headings = {
        re.sub(r"[^\w -]", "", line[3:]).lower().replace(" ", "-")
        for line in GUIDE.splitlines()
        if line.startswith("## ")
    }
    assert set(re.findall(r"\]\(#([\w-]+)\)", GUIDE)) <= headings


@pytest.mark.parametrize(
    "module",
    [
        "brigade.env.actions",
        "brigade.env.batched",
        "brigade.env.vector",
        "brigade.env.parallel",
        "brigade.env.scenarios",
        "brigade.agents.agent",
        "brigade.agents.team",
    ],
)
def test_docstrings_examples_hold(module):
    results = doctest.testmod(import_module(module), extraglobs={"np": import_module("numpy")})
    assert results.attempted > 0
    assert results.failed == 0
