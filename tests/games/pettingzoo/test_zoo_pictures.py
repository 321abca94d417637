"""Pictures among observations: which bytes are kept of them, in this process and in others."""

from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from brigade.games.build import build, described, read
from brigade.games.pettingzoo.errors import BadValue
from brigade.games.pettingzoo.finding import find
from brigade.games.pettingzoo.observations import Observations
from brigade.games.pettingzoo.pictures import Look, Picture
from brigade.games.pettingzoo.vector_game import spec_of
from brigade.games.vector import Pictures, Playing

SIZES = st.integers(1, 20)


def drawn(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def kept(picture, look):
    """What is kept of a picture, ``[height, width, channels]``."""
    writer = Picture(picture.shape, look)
    row = np.zeros(writer.num_bytes, np.uint8)
    writer.write(picture, row)
    return row.reshape(writer.shape)


def box(*shape):
    return spaces.Box(0, 255, shape, np.uint8)


def averaged(picture, height, width):
    """Pixels divided into as many parts as there will be new ones, and those averaged."""
    parts = picture.astype(np.int64).repeat(height, 0).repeat(width, 1)
    rows, columns = picture.shape[:2]
    blocks = parts.reshape(height, rows, width, columns, -1)
    return np.floor(blocks.sum((1, 3)) / (rows * columns) + 0.5)


@settings(max_examples=40, deadline=None)
@given(SIZES, SIZES, st.integers(1, 4), SIZES, SIZES, st.integers(0, 99))
def test_a_new_pixel_is_the_mean_of_the_area_that_it_covers(h, w, channels, new_h, new_w, seed):
    picture = drawn((h, w, channels), seed)
    if h < channels:
        picture = drawn((channels, w, channels), seed)
    found = kept(picture, Look((new_h, new_w)))
    assert np.array_equal(found, averaged(picture, new_h, new_w))


def test_large_pictures_are_averaged_exactly():
    picture = drawn((300, 280, 1))
    assert np.array_equal(kept(picture, Look((7, 9))), averaged(picture, 7, 9))


@pytest.mark.parametrize(
    ("given_", "resize", "size"),
    [
        ((96, 20, 3), (), (96, 20, 3)),
        ((97, 20, 3), (), (84, 17, 3)),
        ((457, 120, 3), (), (84, 22, 3)),
        ((280, 480, 3), (), (49, 84, 3)),
        ((200, 16), (84,), (84, 7, 1)),
        ((60, 50, 1), (84,), (60, 50, 1)),
        ((200, 200), (9999,), (200, 200, 1)),
        ((3, 40, 50), (20, 30), (20, 30, 3)),
    ],
)
def test_sizes(given_, resize, size):
    assert Picture(given_, Look(resize)).shape == size


def test_luma():
    picture = drawn((20, 30, 3))
    red, green, blue = np.moveaxis(picture.astype(np.float64), 2, 0)
    luma = np.floor(0.299 * red + 0.587 * green + 0.114 * blue + 0.5 + 1e-9)
    assert np.array_equal(kept(picture, Look(grey=True))[..., 0], luma)
    # Of other than three channels, all are kept.
    four = drawn((20, 30, 4))
    assert np.array_equal(kept(four, Look(grey=True)), four)


def test_rows_and_pictures_of_a_nested_space():
    space = spaces.Dict(
        {
            "speed": spaces.Box(-1, 1, (2,), np.float32),
            "eyes": spaces.Tuple([box(16, 20, 3), box(2, 18, 16)]),
            "map": box(17, 16),
        }
    )
    value = {
        "speed": np.array([0.25, -1], np.float32),
        "eyes": (drawn((16, 20, 3)), drawn((2, 18, 16), 1)),
        "map": drawn((17, 16), 2),
    }
    sees = Observations(space, "a")
    assert sees.pictures == ((16, 20, 3), (18, 16, 2), (17, 16, 1))
    row, seen = np.zeros(2, np.float32), np.zeros(sees.num_picture_bytes, np.uint8)
    sees.write(value, row, seen)
    assert row.tolist() == [0.25, -1]
    parts = value["eyes"][0], np.moveaxis(value["eyes"][1], 0, 2), value["map"]
    assert np.array_equal(seen, np.concatenate([part.ravel() for part in parts]))
    assert sees.normalised == ()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.zeros((16, 17), np.uint8), r"shape \[16, 17\], not \[16, 16\]"),
        (np.full((16, 16), 0.5), "whole ones from 0 to 255"),
        (np.full((16, 16), np.nan), "whole ones from 0 to 255"),
        (np.full((16, 16), 256), "whole ones from 0 to 255"),
        (np.full((16, 16), -1), "whole ones from 0 to 255"),
        ("x", "not numbers"),
    ],
)
def test_what_is_no_such_picture(value, words):
    sees = Observations(box(16, 16), "a")
    with pytest.raises(BadValue, match=words):
        sees.write(value, np.zeros(0, np.float32), np.zeros(256, np.uint8))


def test_whole_numbers_of_other_types_are_bytes():
    sees, row = Observations(box(16, 16), "a"), np.zeros(256, np.uint8)
    picture = drawn((16, 16))
    sees.write(picture.astype(np.float64), np.zeros(0, np.float32), row)
    assert np.array_equal(row, picture.ravel())


# ---- whole games -------------------------------------------------------------------------

TOY = '''
import copy

import numpy as np
from gymnasium import spaces

SEES = {
    "cat_0": spaces.Box(0, 255, (20, 16, 3), np.uint8),
    "cat_1": spaces.Box(0, 255, (20, 16, 3), np.uint8),
    "dog": spaces.Dict(
        {"eye": spaces.Box(0, 255, (130, 70, 3), np.uint8), "nose": spaces.Box(-1, 1, (2,))}
    ),
    "mole": spaces.Box(-1, 1, (3,)),
}


class Toy:
    """Everything drawn; the first cat dies after two steps, and the others go on for four."""

    possible_agents = list(SEES)

    def __init__(self):
        self.handed_out = []
        self.spaces = copy.deepcopy(SEES)

    def observation_space(self, agent):
        return SEES[agent]

    def action_space(self, agent):
        return spaces.Discrete(2)

    def reset(self, seed=None, options=None):
        for space in self.spaces.values():
            space.seed(seed)
        self.t, self.agents = 0, list(SEES)
        return self.look(), {}

    def look(self):
        seen = {agent: self.spaces[agent].sample() for agent in self.agents}
        self.handed_out.append(seen)
        return seen

    def step(self, actions):
        self.t += 1
        seen, agents = self.look(), self.agents
        ends = {agent: self.t == (2 if agent == "cat_0" else 4) for agent in agents}
        self.agents = [agent for agent in agents if not ends[agent]]
        never = dict.fromkeys(agents, False)
        return seen, dict.fromkeys(agents, 1.0), ends, never, dict.fromkeys(agents, {})
'''


@pytest.fixture
def toy(tmp_path: Path) -> str:
    path = tmp_path / "toy.py"
    path.write_text(TOY)
    return f"{path}:Toy"


def games(toy, num_workers=0, look=None, num_games=2):
    spec, _ = spec_of(find(toy), look=look)
    assert read(described(spec)) == spec
    game = build(spec, num_games, max_turns=None, seed=3, playing=Playing(num_workers))
    assert isinstance(game, Pictures)
    game.reset()
    return game


def actions(game):
    return [np.zeros((len(lanes), 1), np.int32) for lanes in game.spec.lanes(game.num_games)]


def test_games_show_the_environments_own_pictures_to_the_last(toy):
    game = games(toy, num_games=1)
    cats, dog, mole = game.spec.roles
    assert (cats.num_features, cats.pictures) == (0, ((20, 16, 3),))
    assert (dog.num_features, dog.pictures) == (2, ((84, 45, 3),))
    assert (mole.num_features, mole.pictures) == (3, ())
    env = game._games._games[0]._env
    for t in range(1, 5):
        step = game.step(actions(game))
        seen = env.handed_out[t]  # before the next episode's first
        now, last = game.pictures, step.final_pictures
        if t == 2:
            assert np.array_equal(last[0][0], seen["cat_0"].ravel())
        where = last if t == 4 else now
        assert np.array_equal(where[0][1], seen["cat_1"].ravel())
        shrunk = kept(seen["dog"]["eye"], Look())
        assert np.array_equal(where[1][0], shrunk.ravel())
        assert where[2].shape == (1, 0)
    assert step.ended.tolist() == [0]
    first = env.handed_out[-1]
    assert np.array_equal(game.pictures[0], [first[c].ravel() for c in ("cat_0", "cat_1")])
    game.close()


@pytest.mark.parametrize("look", [None, Look((30, 25), grey=True)], ids=["", "grey"])
def test_workers_give_the_same_bytes(toy, look):
    told = []
    for num_workers in (0, 2):
        game, seen = games(toy, num_workers, look), []
        for _ in range(9):
            step = game.step(actions(game))
            arrays = [*game.pictures, *step.final_pictures, *game.observations]
            seen.append([(a.shape, a.tobytes()) for a in arrays])
        game.close()
        told.append(seen)
    assert told[0] == told[1]
