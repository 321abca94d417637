"""Episodes of environments, shown to people."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brigade.cli import main
from brigade.run.play_env import half_blocks

from .processes import brigade, run

BROKEN = f"{Path(__file__).with_name('toy_environments.py')}:Broken"

ENVIRONMENT = """
import numpy as np
from gymnasium.spaces import Box, Discrete


class Game:
    metadata = {"name": "game", "render_modes": ["rgb_array"]}
    possible_agents = ["a_0", "a_1", "b_0"]

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def observation_space(self, agent):
        return Box(-1, 1, (2,), np.float32)

    def action_space(self, agent):
        return Discrete(3)

    def seen(self):
        return {agent: np.zeros(2, np.float32) for agent in self.possible_agents}

    def reset(self, seed=None, options=None):
        self.agents, self.time = list(self.possible_agents), 0
        return self.seen(), {}

    def step(self, actions):
        self.time += 1
        over = dict.fromkeys(self.agents, self.time == 4)
        rewards = {agent: float(agent[0] == "a") for agent in self.agents}
        if self.time == 4:
            self.agents = []
        return self.seen(), rewards, over, dict.fromkeys(over, False), {}

    def render(self):
        return np.full((11, 21, 3), 50 * self.time, np.uint8)


class Blind(Game):
    metadata = {"name": "blind"}

    def __init__(self):
        pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "game.py").write_text(ENVIRONMENT)
    return tmp_path


def test_each_step_is_told_with_who_acted_and_what_it_brought(folder: Path) -> None:
    said = run(folder, "play", "random", "--env", "game.py:Game", "--seed", "2")
    steps = [line.split() for line in said.splitlines() if "rewards" in line]
    assert [int(words[0]) for words in steps] == [1, 2, 3, 4]
    assert all(words[1::2][:3] == ["a_0", "a_1", "b_0"] for words in steps)
    assert all(words[-3:] == ["1.00", "1.00", "0.00"] for words in steps)
    assert "4 steps; returns: a 4.00, 4.00; b 0.00" in said
    assert said == run(folder, "play", "random", "--env", "game.py:Game", "--seed", "2")


def test_a_film_has_a_picture_of_each_state_of_one_episode(folder: Path) -> None:
    run(folder, "play", "random", "--env", "game.py:Game", "--record", "game.gif")
    with Image.open(folder / "game.gif") as film:
        assert film.n_frames == 5  # after the reset, and after each of four steps
        colours = []
        for number in range(film.n_frames):
            film.seek(number)
            assert film.size == (20, 10)  # even, as films must be
            colours.append(film.convert("RGB").getpixel((3, 3))[0])
    assert np.allclose(colours, [0, 50, 100, 150, 200], atol=8)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("random", "--env", "game.py:Blind", "--record", "g.gif"), "renders no pictures"),
        (("random", "--env", "game.py:Game", "--record", "g.txt"), ".gif or .mp4"),
        (("--env", "game.py:Game"), "say who plays"),
        (("random", "--env", "game.py:Gone"), "has no Gone"),
        (("random", "--env", "game.py:Game", "--max-cycles", "3"), "--max-steps cuts its episodes"),
        (("random", "--env", "game.py:Game", "--scenario", "hard"), "give one of them"),
        (("random", "--max-steps", "3"), "--max-steps is for environments"),
    ],
)
def test_mistakes_are_one_line(folder: Path, words: tuple[str, ...], why: str) -> None:
    with brigade(folder, "play", *words) as playing:
        assert playing.end() == 2
        assert why in playing.output.splitlines()[-1]
        assert "Traceback" not in playing.output
    assert not list(folder.glob("g.*"))


@pytest.mark.parametrize("command", ["play", "evaluate"])
def test_an_environment_that_fails_is_named_in_one_line(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "random", "--env", BROKEN, "--env-arg", "how=raise"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith(":Broken, game 0, step 1: RuntimeError: out of paper")


@pytest.mark.parametrize("command", ["play", "evaluate"])
def test_what_is_for_environments_is_refused_without_one(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "firefighter", "--max-steps", "3"]) == 2
    assert "--max-steps is for environments" in capsys.readouterr().err


@pytest.mark.parametrize(("tall", "wide"), [(1, 1), (7, 300), (400, 30), (64, 64)])
def test_pictures_fit_the_terminal_and_keep_their_colours(tall: int, wide: int) -> None:
    frame = np.random.default_rng(1).integers(0, 256, (tall, wide, 3)).astype(np.uint8)
    lines = list(half_blocks(frame, 40, 12))
    assert 1 <= len(lines) <= 12
    assert all(1 <= len(line) <= 40 for line in lines)
    if (tall, wide) == (64, 64):
        r, g, b = frame[0, 0]
        assert f"#{r:02x}{g:02x}{b:02x} on #" in str(lines[0].spans[0].style)


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (("--max-nights", "9"), "--max-nights is for scenarios, and --env game.py:Game is none"),
        (("--num-agents-per-game", "3"), "it says itself how many agents it has"),
        (("--scenario", "hard"), "give one of them"),
    ],
)
def test_what_is_for_scenarios_alone_is_not_ignored(folder: Path, flags, why: str) -> None:
    with brigade(folder, "evaluate", "random", "--env", "game.py:Game", *flags) as evaluating:
        assert evaluating.end() == 2
        assert why in evaluating.output
