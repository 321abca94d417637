"""Pictures and text of a game."""

import dataclasses
import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import brigade
from brigade.env.game import Game
from brigade.env.render import Snapshot, picture, text

BASE = Snapshot(
    scenario="default",
    night=12,
    houses=(0, 0, 1, 0, 2, 0, 0, 1, 0, 0),
    fire_progress=(0.0,) * 10,
    homes=(0, 1, 2, 3),
    positions=(2, 7, 7, 3),
    working=(True, True, False, False),
    signals=(True, False, False, True),
    rewards=(-100.5, 20.25, 19.5, 0.0),
    returns=(1200.0, -350.0, 88.0, 0.0),
    names=("hero", "hero", "liar", "random"),
)


def grey(image):
    return image.astype(np.int64).sum(axis=2)


def test_a_picture_is_large_and_repeatable():
    one, two = picture(BASE), picture(BASE)
    assert one.dtype == np.uint8
    assert one.shape[2] == 3
    assert min(one.shape[:2]) >= 480
    assert np.array_equal(one, two)
    one.fill(0)
    assert np.array_equal(picture(BASE), two)


@pytest.mark.parametrize(
    "change",
    [
        {"night": 13},
        {"houses": (0,) * 10},
        {"houses": (0, 0, 2, 0, 2, 0, 0, 1, 0, 0)},
        {"positions": (3, 7, 7, 3)},
        {"working": (False, True, False, False)},
        {"signals": (False, False, False, True)},
        {"rewards": (100.5, 20.25, 19.5, 0.0)},
        {"returns": (0.0, -350.0, 88.0, 0.0)},
        {"names": ("liar", "hero", "liar", "random")},
        {"promises": (True,) * 4},
        {"promises": (True,) * 4, "promised_now": True},
        {"fire_progress": (0.0, 0.0, 0.5) + (0.0,) * 7},
        {"ending": "truncated"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_everything_shown_is_seen_without_colours_and_in_text(change):
    other = dataclasses.replace(BASE, **change)
    assert (grey(picture(BASE)) != grey(picture(other))).any()
    assert text(BASE) != text(other)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 64), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_any_ring_and_team_fits(num_houses, num_agents, seed):
    rng = np.random.default_rng(seed)

    def draws(high, size):
        return tuple(int(value) for value in rng.integers(0, high, size))

    snapshot = Snapshot(
        scenario="a scenario with a rather long name, as people give them",
        night=10_000,
        houses=draws(3, num_houses),
        fire_progress=tuple(float(value) for value in rng.random(num_houses)),
        homes=draws(num_houses, num_agents),
        positions=(0,) * num_agents if seed % 2 else draws(num_houses, num_agents),
        working=tuple(map(bool, draws(2, num_agents))),
        signals=tuple(map(bool, draws(2, num_agents))),
        rewards=(-1e6,) * num_agents,
        returns=(1e9,) * num_agents,
    )
    assert picture(snapshot).shape == picture(BASE).shape
    lines = text(snapshot).splitlines()
    assert len(lines) >= num_agents + 3
    assert max(map(len, lines)) <= 110


def test_text_tells_the_whole_state():
    words = text(BASE)
    assert "night 12: 7 safe, 2 burning, 1 ruined" in words
    rows = {line.split()[0]: line.split() for line in words.splitlines()[-4:]}
    assert rows["0"] == ["0", "hero", "2", "work", "work", "honest", "-100.50", "+1200.00"]
    assert rows["1"] == ["1", "hero", "7", "work", "rest", "LIE", "+20.25", "-350.00"]
    assert words.count("{*}") == 2
    assert words.count("[^]") == 7
    assert not any("\x1b" in line for line in words)


@pytest.mark.parametrize("commitment", ["simultaneous", "two_phase"])
@pytest.mark.parametrize("extinguish", ["bernoulli", "continuous"])
def test_a_snapshot_shows_the_engines_state(commitment, extinguish):
    scenario = brigade.load_scenario("hard", commitment_mode=commitment, extinguish_mode=extinguish)
    game, engine = Game(scenario, 4, 12), brigade.Engine(scenario, 4, 9)
    game.reset(9)
    rng = np.random.default_rng(0)
    returns = np.zeros(4)
    while game.ending is None:
        actions = rng.integers(0, [10, 2, 2], (1, 4, 3)).astype(np.int32)
        signals = None
        if game.phase:
            game.step(actions)
            signals = actions[0, :, 2]
            between = Snapshot.of_game(game)
            assert between.promised_now
            assert between.promises == tuple(map(bool, signals))
            assert between.night == engine.night
        game.step(actions)
        rewards, _ = engine.step(actions[0], signals)
        returns += rewards
        shown = Snapshot.of_game(game, ["a", "b", "c", "d"])
        assert shown.houses == tuple(engine.houses)
        assert shown.positions == tuple(engine.positions)
        assert shown.working == tuple(map(bool, engine.last_actions[:, 1]))
        assert shown.signals == tuple(map(bool, engine.signals))
        assert shown.night == engine.night
        np.testing.assert_allclose(shown.fire_progress, engine.fire_progress, rtol=1e-6)
        np.testing.assert_allclose(shown.rewards, rewards)
        np.testing.assert_allclose(shown.returns, returns, rtol=1e-6)
        assert shown.promises == (None if signals is None else tuple(map(bool, signals)))
        for seat in range(4):
            assert shown.honest(seat) == (actions[0, seat, 1] == actions[0, seat, 2])


@pytest.mark.parametrize("mode", ["rgb_array", "ansi"])
def test_environments_render_from_reset_to_the_end_and_the_end_is_the_last_night(mode):
    env = brigade.parallel_env("trivial_cooperation", render_mode=mode)
    with pytest.raises(ValueError, match="reset"):
        env.render()
    env.reset(seed=1)
    shown = [env.render()]
    while env.agents:
        env.step(dict.fromkeys(env.agents, (1, 0, 1)))
        shown.append(env.render())
    env.close()
    env.close()
    if mode == "ansi":
        assert "night 13: 10 safe, 0 burning, 0 ruined (the game is over)" in shown[-1]
        assert len(set(shown)) == len(shown)
    else:
        assert all(image.dtype == np.uint8 for image in shown)
        assert len({image.tobytes() for image in shown}) == len(shown)


def test_rendering_draws_nothing_from_the_games_stream():
    one, two = brigade.parallel_env(render_mode="rgb_array"), brigade.parallel_env()
    one.reset(seed=1)
    two.reset(seed=1)
    for _ in range(5):
        one.render()
        actions = dict.fromkeys(one.agents, (1, 1, 1))
        assert one.step(actions)[1] == two.step(actions)[1]


def test_without_a_render_mode_render_says_so():
    env = brigade.parallel_env()
    env.reset(seed=1)
    with pytest.raises(ValueError, match="render_mode"):
        env.render()


def test_without_a_display_a_window_is_refused_in_one_line():
    code = (
        "import brigade\n"
        "env = brigade.parallel_env(render_mode='human')\n"
        "try:\n"
        "    env.reset(seed=1)\n"
        "except ValueError as error:\n"
        "    print(error)\n"
    )
    clean = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=clean, check=True
    )
    (line,) = [line for line in done.stdout.splitlines() if not line.startswith("pygame")]
    assert "display" in line
    assert "rgb_array" in line


@pytest.mark.skipif("DISPLAY" not in os.environ, reason="no display")
@pytest.mark.skipif(find_spec("tkinter") is None, reason="no tkinter")
def test_a_window_shows_the_game():
    env = brigade.parallel_env("hard", render_mode="human", max_cycles=2)
    env.metadata = {**env.metadata, "render_fps": 50}
    env.reset(seed=1)
    while env.agents:
        env.step(dict.fromkeys(env.agents, (1, 1, 1)))
        assert env.render() is None
    env.close()
