"""Games shown in a terminal and written into files."""

import io
import shutil
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import brigade
from brigade.env.game import Game
from brigade.env.render import Snapshot, text
from brigade.play import GameRecord, play, replay
from brigade.play.film import write_gif
from brigade.play.view import view


def console(width=100, terminal=False):
    return Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)


def shown(console):
    return console.file.getvalue()


def test_without_a_terminal_the_last_night_and_a_summary_are_printed():
    out = console()
    play("chain_reaction", "hero,hero,liar,random", seed=3, max_cycles=5, console=out)
    words = shown(out)
    assert "chain_reaction, night 5" in words
    assert "hero" in words
    assert words.splitlines()[-1].endswith("seed 3")


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("commitment", ["simultaneous", "two_phase"])
def test_in_a_terminal_every_night_is_shown(width, commitment):
    out = console(width, terminal=True)
    scenario = brigade.load_scenario("hard", commitment_mode=commitment)
    play(scenario, "hero,liar,random", seed=3, max_cycles=3, fps=1000, console=out)
    for night in range(4):
        assert f"night {night}" in shown(out)


@pytest.mark.parametrize("width", [40, 60, 80, 81, 100, 129, 130, 200])
@pytest.mark.parametrize("commitment", ["simultaneous", "two_phase"])
@pytest.mark.parametrize("houses", [3, 10, 40])
def test_nothing_but_sentences_wraps_in_a_terminal_of_any_width(width, commitment, houses):
    """Every line of the last frame is one of the text's, and no shorter for the terminal."""
    scenario = brigade.load_scenario("hard", commitment_mode=commitment, num_houses=houses)
    game = Game(scenario, 4, 3)
    game.reset(1)
    names = ["a-run-of-a-long-name:12", "hero", "spread", "x" * 40]
    for _ in range(2 if commitment == "two_phase" else 1):
        game.step(np.tile([2, 1, 0], (1, 4, 1)).astype(np.int32))
    snapshot = Snapshot.of_game(game, names)
    lines = text(snapshot, width).splitlines()[1:]  # the first is a sentence
    assert max(map(len, lines)) <= width
    numbers = [line.split()[1] for line in lines[-4:]]
    assert numbers[0].startswith("a-run")
    assert numbers[0].endswith(":12"), "the agent's number is what tells it from its peers"
    out = console(width)
    out.print(view(snapshot, width))
    assert max(map(len, shown(out).splitlines())) <= width
    if width < 130:
        assert shown(out).rstrip("\n").splitlines()[-len(lines) :] == lines


def test_a_team_may_be_given_as_agents():
    scenario = brigade.load_scenario("hard")
    team = brigade.parse_team("hero,liar", scenario)
    by_name = play(scenario, "hero,liar", seed=3, max_cycles=5, console=console())
    assert play(scenario, team, seed=3, max_cycles=5, console=console()) == by_name


def test_large_games_are_shown_too():
    out = console(140, terminal=True)
    scenario = brigade.load_scenario("hard", num_houses=40)
    play(scenario, ",".join(["hero"] * 30), seed=3, max_cycles=2, fps=1000, console=out)
    assert "night 2" in shown(out)


def test_without_a_seed_one_is_drawn_and_said():
    out = console()
    record = play(max_cycles=2, console=out)
    assert str(record.seed) in shown(out)
    again = play(seed=record.seed, max_cycles=2, console=console())
    assert again == record


def test_a_json_can_be_replayed(tmp_path):
    path = tmp_path / "game.json"
    out = console()
    record = play("hard", "spread,liar", seed=5, record=path, max_cycles=6, console=out)
    assert GameRecord.load(path) == record
    assert "game.json" in shown(out).replace("\n", "")
    again = console()
    assert replay(path, console=again) == record
    assert "hard, night 6" in shown(again)


def test_a_gif_has_a_frame_for_every_step(tmp_path):
    play("hard", "hero,liar", seed=5, record=tmp_path / "a.gif", max_cycles=4, console=console())
    with Image.open(tmp_path / "a.gif") as film:
        assert film.n_frames == 5
        assert min(film.size) >= 480
        film.seek(4)
        last = film.convert("RGB").tobytes()
        film.seek(0)
        assert film.convert("RGB").tobytes() != last


def test_a_record_becomes_the_same_gif_twice(tmp_path):
    path = tmp_path / "game.json"
    play("hard", "hero,liar", seed=5, record=path, max_cycles=3, console=console())
    for name in ("a.gif", "b.gif"):
        replay(path, record=tmp_path / name, console=console())
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()


@pytest.mark.parametrize("fps", [0.25, 2.0, 20.0])
@pytest.mark.parametrize("still", [False, True])
def test_the_last_frame_of_a_gif_is_held_for_seconds(tmp_path, fps, still):
    shades = (0, 100, 100 if still else 200)
    frames = [np.full((8, 8, 3), shade, dtype=np.uint8) for shade in shades]
    write_gif(tmp_path / "a.gif", frames, fps)
    durations = []
    with Image.open(tmp_path / "a.gif") as film:
        for index in range(film.n_frames):
            film.seek(index)
            durations.append(film.info["duration"] / 1000)
    assert durations[0] == pytest.approx(1 / fps)
    assert durations[-1] >= 1 / fps + 3
    assert sum(durations) == pytest.approx(3 / fps + 3)


has_ffmpeg = find_spec("imageio_ffmpeg") is not None or shutil.which("ffmpeg") is not None


@pytest.mark.skipif(has_ffmpeg, reason="there is an ffmpeg")
def test_without_ffmpeg_a_film_is_refused_before_anything_is_played(tmp_path):
    with pytest.raises(ValueError, match="imageio-ffmpeg"):
        play(record=tmp_path / "a.mp4", max_cycles=10**6, console=console())
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not has_ffmpeg, reason="no ffmpeg")
def test_with_ffmpeg_a_film_is_written(tmp_path):
    play(record=tmp_path / "a.mp4", max_cycles=3, seed=1, console=console())
    assert (tmp_path / "a.mp4").read_bytes()[4:8] == b"ftyp"


def test_nothing_is_overwritten_and_other_faults_are_one_line(tmp_path):
    there = tmp_path / "a.gif"
    there.write_text("mine")
    for record, words in [
        (there, "exists"),
        (tmp_path / "a.avi", "recorded as"),
        (tmp_path / "none" / "a.gif", "folder"),
    ]:
        with pytest.raises(ValueError, match=words):
            play(record=record, console=console())
    assert there.read_text() == "mine"
    for change, words in [
        ({"team": "nobody"}, "nobody"),
        ({"scenario": "nothing"}, "nothing"),
        ({"seed": -1}, "seed"),
        ({"fps": 0}, "fps"),
        ({"max_cycles": 0}, "max_cycles"),
        ({"scenario": "positional_default", "team": "hero"}, "agent_home_positions"),
    ]:
        with pytest.raises(ValueError, match=words):
            play(**change, console=console())
