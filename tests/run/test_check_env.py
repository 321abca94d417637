"""``brigade check-env`` as a person runs it."""

import json

import numpy as np
import pytest
from rich.console import Console

from brigade import cli
from brigade.flags import Settings
from brigade.games.pettingzoo.findings import Check, Episodes, Rate, Repeat, RoleCheck
from brigade.games.pettingzoo.watching import Difference
from brigade.run.check_env import CheckEnvConfig, describe

pytestmark = pytest.mark.filterwarnings("ignore:The old environment creation API")

CODE = """
import warnings
import numpy as np
from gymnasium import spaces

class Env:
    possible_agents = ["a_0", "a_1"]
    def __init__(self, length=3, fails=False):
        print("made one")
        self.length, self.fails = length, fails
    def observation_space(self, agent):
        return spaces.Box(0, 1, (2,), np.float32)
    def action_space(self, agent):
        return spaces.Discrete(2)
    def reset(self, seed=None, options=None):
        warnings.warn("it is cold")
        self.agents, self.t = list(self.possible_agents), 0
        self.chance = np.random.default_rng(seed)
        return {agent: self.chance.random(2, np.float32) for agent in self.agents}, {}
    def step(self, actions):
        self.t += 1
        if self.fails:
            raise RuntimeError("no luck")
        seen = {agent: self.chance.random(2, np.float32) for agent in self.agents}
        ended = dict.fromkeys(self.agents, self.t == self.length)
        if self.t == self.length:
            self.agents = []
        return seen, dict.fromkeys(ended, 0.0), dict.fromkeys(ended, False), ended, {}
"""


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    (tmp_path / "game.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)

    def run(*words):
        code = cli.main(["check-env", *words])
        return code, *capsys.readouterr()

    return run


def test_what_is_found_is_one_line_of_json_whatever_the_environment_prints(run):
    code, out, err = run("game.py:Env", "--env-arg", "length=5", "--seconds", "0.3", "--json")
    assert code == 0
    assert set(err.splitlines()) == {"made one"}
    found = json.loads(out)
    assert found["episodes"]["lengths"] == [5, 5, 5]
    assert found["episodes"]["ends"] == {"truncated": found["episodes"]["ended"]}
    assert [repeat["difference"] for repeat in found["repeats"]] == [None] * 3
    assert found["findings"] == []


def test_people_read_what_it_is_like(run):
    code, out, _ = run("game.py:Env", "--seconds", "0.3")
    assert code == 0
    assert "game.py:Env  parallel, 2 agents, 1 role" in out
    assert "fresh yes, reused yes, interleaved yes (a whole episode)" in out
    assert out.rstrip().endswith("nothing to remark")


def test_an_environment_that_fails_ends_with_1(run):
    code, out, _ = run("game.py:Env", "--env-arg", "fails=True", "--seconds", "0.3")
    assert code == 1
    line = 1 + next(i for i, line in enumerate(CODE.splitlines()) if "no luck" in line)
    assert f"step 0: RuntimeError: no luck (game.py:{line})" in " ".join(out.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("no_such_module",), "there is no module no_such_module; is it installed?"),
        (("game.py:Env", "--env-arg", "length"), "--env-arg 'length' is not KEY=VALUE"),
        (("game.py:Env", "--env-arg", "lenght=3"), "did you mean length?"),
        (("game.py:Env", "--seconds", "0"), "--seconds"),
        (("game.py:Env", "--reward-weights", "x"), "--reward-weights 'x' must be numbers"),
        ((), "the following arguments are required: env"),
    ],
)
def test_mistakes_are_one_line(run, words, said):
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    lines = [line for line in err.splitlines() if line != "made one"]
    assert len(lines) == 1
    assert said in lines[0]


def test_a_flag_of_several_values_is_given_once_for_each():
    words = ["game", "--env-arg", "a=1", "--env-arg", "b=2 3"]
    settings = Settings.read("check-env", "", CheckEnvConfig, words)
    assert settings.config(CheckEnvConfig).env_arg == {"a": 1, "b": "2 3"}
    settings = Settings.read("check-env", "", CheckEnvConfig, ["game"])
    assert settings.config(CheckEnvConfig).env_arg == {}


@pytest.mark.parametrize("width", [60, 80, 120])
def test_lines_fit_and_letters_of_others_are_harmless(width):
    role = RoleCheck("a\x1b[31m", ("agent_\x07",) * 30, "27x5 float64, -1 to 1", 135, (), "", True)
    found = Check(
        "game",
        "title\n",
        False,
        (),
        1.0,
        (role,),
        rate=Rate(1.0, 0.5, 0.5, 4),
        episodes=Episodes(9, 1, (9, 9.0, 9), {"mixed": 1}, {"a\x1b": -np.inf}, 1, 2),
        repeats=(Repeat("fresh", 9, True, Difference(3, "a\x1b", "reward")),),
        oddities=(("gives None in place of infos", 3, "game 0, step 0"),),
    )
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(describe(found))
    out = capture.get()
    assert max(map(len, out.splitlines())) <= width
    assert not set(out) & {"\x1b", "\x07"}
