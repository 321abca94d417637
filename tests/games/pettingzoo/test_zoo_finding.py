"""What a person may type for an environment, and the one line for each mistake."""

import subprocess
import sys
import types

import pettingzoo
import pytest
from scripted_lives import LIVES_OF_ONE, ParallelLives

from brigade.games.pettingzoo.description import describe
from brigade.games.pettingzoo.errors import CannotFind, UnsupportedSpace
from brigade.games.pettingzoo.finding import find, is_turn_based

# PettingZoo would rather have its modules named as its registry does.
pytestmark = pytest.mark.filterwarnings("ignore:The old environment creation API")

CODE = '''
from beside_it import SIZE
from gymnasium import spaces

class Plain:
    """Whole numbers for agents, and no base class."""
    possible_agents = [0, 1]
    def __init__(self, size=SIZE, *, wrong=False):
        if wrong:
            raise RuntimeError("a wrong\\nsize")
        self.size = size
    def observation_space(self, agent):
        return spaces.Discrete(self.size)
    def action_space(self, agent):
        return spaces.Discrete(2)
    def reset(self, seed=None, options=None):
        self.agents = [0, 1]
        return {0: 0, 1: 0}, {}
    def step(self, actions):
        raise NotImplementedError

def make(size, **more):
    return Plain(size, **more)

def seven():
    return 7

NUMBER = 7
'''


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))  # what files append to it goes again
    (tmp_path / "beside_it.py").write_text("SIZE = 4\n")
    (tmp_path / "game_of_mine.py").write_text(CODE)
    (tmp_path / "usual.py").write_text(CODE + "\nparallel_env = Plain\nenv = None\n")
    (tmp_path / "needs.py").write_text("import no_such_thing_at_all\n")
    (tmp_path / "broken.py").write_text("1 / 0\n")
    yield tmp_path
    for name in [name for name in sys.modules if str(tmp_path) in name or name == "beside_it"]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("text", "turn_based"),
    [
        ("mpe2.simple_spread_v3", False),
        ("mpe2.simple_spread_v3:env", True),
        ("pettingzoo.classic.tictactoe_v3", True),
        ("pettingzoo.classic.rps_v2", False),
        ("pettingzoo.classic.rps_v2:raw_env", True),
    ],
)
def test_modules_and_their_functions(text, turn_based):
    assert is_turn_based(find(text)()) == turn_based


@pytest.mark.skipif(not hasattr(pettingzoo, "make"), reason="this PettingZoo has no registry")
def test_names_of_the_registry():
    assert is_turn_based(find("classic/tictactoe-v3")())
    assert not is_turn_based(find("classic/rps-v2", {"num_actions": 5})())
    with pytest.raises(CannotFind, match=r"no classic/tictacto-v3; did you mean classic/tictactoe"):
        find("classic/tictacto-v3")
    with pytest.raises(CannotFind, match="takes no argument pieces"):
        find("classic/tictactoe-v3", {"pieces": 3})()


def test_files_and_what_lies_beside_them(here):
    for text in ("game_of_mine.py:Plain", f"{here}/game_of_mine.py:Plain", "usual.py"):
        assert find(text)().size == 4
    assert find("game_of_mine.py:make", {"size": 9})().size == 9
    # What has the name of a file is not taken for the file, nor the file for it.
    (here / "json.py").write_text(CODE)
    assert find("json.py:Plain")().size == 4
    assert hasattr(__import__("json"), "loads")


def test_functions_and_classes():
    maker = find(ParallelLives, {"lives": LIVES_OF_ONE, "rewards": {}})
    assert maker.name == "ParallelLives"
    assert maker().possible_agents == list(LIVES_OF_ONE)


@pytest.mark.parametrize(
    ("text", "arguments", "words"),
    [
        ("", {}, "names no environment"),
        ("game:", {}, "names no environment"),
        ("a..b", {}, "names no environment"),
        ("no-such-thing:make", {}, "names no environment"),
        (".b", {}, "names no environment"),
        ("no_such_thing", {}, "there is no module no_such_thing; is it installed"),
        ("game_of_mine", {}, "no module game_of_mine; for the file here, give game_of_mine.py"),
        (
            "mpe2.simple_spred_v3",
            {},
            "no module mpe2.simple_spred_v3; did you mean mpe2.simple_spr",
        ),
        ("pettingzoo.mpe.simple_v3", {}, "cannot be imported: ImportError: MPE has been moved"),
        ("needs.py", {}, "needs.py needs the module no_such_thing_at_all, which is not installed"),
        ("broken.py", {}, "broken.py cannot be imported: ZeroDivisionError"),
        ("absent.py:make", {}, "no file absent.py"),
        ("game_of_mine.py", {}, "neither parallel_env nor env; give game_of_mine.py:FUNCTION"),
        ("game_of_mine.py:mak", {}, "game_of_mine.py has no mak; did you mean make?"),
        ("game_of_mine.py:other", {}, "has no other; it has Plain, make, seven"),
        ("game_of_mine.py:NUMBER", {}, "game_of_mine.py:NUMBER is 7, not a function"),
        ("game_of_mine.py:Plain", {"sise": 3}, "takes no argument sise; did you mean size?"),
        ("game_of_mine.py:seven", {"sise": 3}, "takes no argument sise; it takes none"),
        ("game_of_mine.py:make", {}, "needs the argument size: --env-arg size=VALUE"),
        ("game_of_mine.py:make", {"size": 1, "hue": 2}, "takes no argument hue"),
        (
            "game_of_mine.py:Plain",
            {"wrong": True},
            r"made with wrong=True: RuntimeError: a wrong\\n",
        ),
        ("game_of_mine.py:seven", {}, r"makes 7 \(int\), which is no environment: it has no reset"),
        ("gymnasium:make", {"id": "CartPole-v1"}, "is an environment of one agent"),
    ],
)
def test_each_mistake_has_its_line(here, text, arguments, words):
    with pytest.raises(CannotFind, match=words) as caught:
        find(text, arguments)()
    assert "\n" not in str(caught.value)


def test_something_that_is_no_text():
    with pytest.raises(CannotFind, match="not by 5"):
        find(5)


def test_a_module_on_the_path_that_needs_another(here, monkeypatch):
    monkeypatch.syspath_prepend(str(here))
    with pytest.raises(CannotFind, match="needs needs the module no_such_thing_at_all"):
        find("needs:make")
    (here / "wrong_value.py").write_text("int('x')")
    with pytest.raises(CannotFind, match="wrong_value cannot be imported: ValueError: invalid lit"):
        find("wrong_value:make")


# ---- descriptions ------------------------------------------------------------------------


def test_agents_without_possible_agents_are_those_at_reset():
    def make():
        env = ParallelLives(LIVES_OF_ONE | {"late": ".aa"}, {})
        env.lives = LIVES_OF_ONE
        del env.possible_agents
        env.begin = lambda seed: list(LIVES_OF_ONE)
        env.sees = lambda agent: ParallelLives.observation_space(env, agent).sample()
        return env

    found = describe(find(make))
    assert [seat.agent for seat in found.seating.seats] == list(LIVES_OF_ONE)
    assert "has no possible_agents; its agents are taken to be the 1" in found.notes[0]
    assert describe(find(ParallelLives, {"lives": LIVES_OF_ONE, "rewards": {}})).notes == ()


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"observation_space": lambda agent: None}, UnsupportedSpace, "is None .* not one of Gymn"),
        (
            {"observation_space": lambda agent: 1 / 0},
            CannotFind,
            "no observation_space for agent a",
        ),
        ({"possible_agents": 5}, CannotFind, "fails at possible_agents: TypeError"),
        ({"possible_agents": [], "agents": []}, CannotFind, "has no agents"),
        ({"possible_agents": None, "reset": lambda seed: 1 / 0}, CannotFind, "fails at reset"),
    ],
)
def test_environments_that_cannot_be_described(change, error, words):
    def make():
        env = ParallelLives({"a": "aa"}, {})
        env.begin = lambda seed: []
        for name, value in change.items():
            setattr(env, name, value)
        return env

    with pytest.raises(error, match=words):
        describe(find(make))


def test_brigade_loads_nothing_of_it():
    code = (
        "import brigade, brigade.games.build, sys; "
        "print([name for name in sys.modules if name.startswith('brigade.games.pettingzoo')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_packages_name_hides_no_other():
    import brigade.games.pettingzoo as ours

    assert isinstance(ours, types.ModuleType)
    assert pettingzoo.__name__ == "pettingzoo"
    assert "site-packages" in pettingzoo.__file__ or "games" not in pettingzoo.__file__
