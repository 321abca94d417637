"""A run's folder: its files, and that no run writes over another's."""

import errno
import itertools
import json
import math
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_checkpoint import example

from brigade.config import ConfigError, RunConfig, convert
from brigade.env.scenarios import load_scenario
from brigade.games.bucket_brigade import describe
from brigade.store import folder as folder_module
from brigade.store.checkpoint import Checkpoint, CheckpointError, load, save
from brigade.store.folder import RunFolder, find_checkpoint
from brigade.store.identity import (
    Identity,
    find_run,
    read_config,
    read_identity,
    write_config,
)

GAME = describe(load_scenario("easy", min_nights=3), 4)


def config(folder: Path, name: str = "a-run", **changes) -> RunConfig:
    return RunConfig(run_name=name, checkpoint_dir=str(folder), seed=3, **changes)


def begin(config: RunConfig, **settings: Any) -> RunFolder:
    return RunFolder(config, Identity("an-id", GAME), **settings)


def newest(folder: RunFolder) -> Checkpoint | None:
    return next((content for _, content in folder.checkpoints()), None)


def test_the_config_is_kept_as_it_was_given(tmp_path):
    given = config(tmp_path, gamma=0.5, num_transitions=10**6, sync="async")
    folder = begin(given)
    folder.close()
    assert folder.path == tmp_path / "a-run"
    assert convert(RunConfig, json.loads((folder.path / "config.json").read_text())) == given


def test_a_run_that_exists_is_not_written_over(tmp_path):
    begin(config(tmp_path)).close()
    before = {path: path.read_bytes() for path in (tmp_path / "a-run").iterdir()}
    with pytest.raises(ConfigError, match="exists: choose another --run-name"):
        begin(config(tmp_path, gamma=0.1))
    assert {path: path.read_bytes() for path in (tmp_path / "a-run").iterdir()} == before


def test_folders_above_are_made(tmp_path):
    begin(config(tmp_path / "some" / "where")).close()
    assert (tmp_path / "some" / "where" / "a-run" / "config.json").exists()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot make") as refused:
        begin(config(tmp_path / "file"))
    assert "\n" not in str(refused.value)


def test_metrics_are_on_disk_as_soon_as_they_are_written(tmp_path):
    folder = begin(config(tmp_path))
    rows = [
        {"update": i, "episode_return": None if i else -2.5, "learning": {"kl": 0.1 * i}}
        for i in range(3)
    ]
    for i, row in enumerate(rows):
        folder.write_metrics(row, step=i)
        lines = (folder.path / "metrics.jsonl").read_text().splitlines()
        found = [json.loads(line) for line in lines]
        assert all(line.pop("time") for line in found)
        assert found == rows[: i + 1]
    folder.close()


def test_metrics_are_tensorboard_events_too(tmp_path):
    folder = begin(config(tmp_path))
    folder.write_metrics({"update": 1, "learning": {"entropy": 2.5}, "lag": [1, 1]}, step=64)
    folder.close()
    [events] = folder.path.glob("events.out.tfevents.*")
    content = events.read_bytes()
    assert b"update" in content
    assert b"learning/entropy" in content


def test_checkpoints_are_named_after_the_episodes_played(tmp_path):
    folder = begin(config(tmp_path))
    whole, _ = example()
    episodes = whole.statistics["total_episodes"]
    path = folder.save(whole)
    assert path == folder.path / f"checkpoint_{episodes}.pt"
    final = folder.save(whole, final=True)
    assert final == folder.path / "final_checkpoint.pt"
    assert load(path).statistics == load(final).statistics == whole.statistics
    assert torch.load(final, weights_only=True)["total_episodes"] == episodes
    folder.close()


# ---- going on with a run -----------------------------------------------------------------


def saved_at(folder: RunFolder, episodes: int, *, final: bool = False) -> Path:
    whole, _ = example()
    statistics = whole.statistics | {"total_episodes": episodes}
    return folder.save(replace(whole, statistics=statistics), final=final)


def test_a_run_that_goes_on_keeps_what_is_there(tmp_path):
    folder = begin(config(tmp_path))
    folder.write_metrics({"update": 0, "seconds": 1.0}, step=1)
    folder.close()
    settings = (folder.path / "config.json").read_bytes()
    again = RunFolder(config(tmp_path))
    again.write_metrics({"update": 1, "seconds": 2.0}, step=2)
    again.close()
    assert (folder.path / "config.json").read_bytes() == settings
    lines = (folder.path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["update"] for line in lines] == [0, 1]


def test_a_run_that_is_not_there_does_not_go_on(tmp_path):
    with pytest.raises(ConfigError):
        RunFolder(config(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_one_process_at_a_time_has_a_run(tmp_path):
    first = begin(config(tmp_path))
    with pytest.raises(ConfigError, match="another process has it"):
        RunFolder(config(tmp_path))
    first.write_metrics({"update": 0}, step=0)
    first.close()
    RunFolder(config(tmp_path)).close()


def test_what_a_killed_process_left_half_written_is_removed(tmp_path):
    folder = begin(config(tmp_path))
    folder.close()
    (folder.path / ".checkpoint_7.pt.part").write_bytes(b"half")
    RunFolder(config(tmp_path)).close()
    assert not list(folder.path.glob(".*"))


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from brigade.config import RunConfig
from brigade.store.checkpoint import load
from brigade.store.folder import RunFolder

content = load(Path(sys.argv[1]))
folder = RunFolder(RunConfig(run_name="a-run", checkpoint_dir=sys.argv[2], seed=3))
for episodes in range(1, 10**6):
    folder.save(replace(content, statistics=content.statistics | {"total_episodes": episodes}))
"""


def test_a_kill_in_the_middle_of_writing_leaves_the_checkpoint_before(tmp_path):
    begin(config(tmp_path)).close()
    content, _ = example()
    save(tmp_path / "example.pt", content)
    command = [sys.executable, "-c", WRITER, str(tmp_path / "example.pt"), str(tmp_path)]
    deadline, halves, written_so_far = time.monotonic() + 240, 0, 0
    while not halves:
        assert time.monotonic() < deadline, "never killed in the middle"
        with subprocess.Popen(command) as writer:
            while not (parts := list(tmp_path.glob("a-run/.*.part"))) or not written_so_far:
                written_so_far = max(written_so_far, len(list(tmp_path.glob("a-run/*.pt"))))
                assert writer.poll() is None
                assert time.monotonic() < deadline, "never seen in the middle"
            writer.kill()
        halves = sum(path.exists() for path in parts)
        written = {int(path.stem[11:]) for path in tmp_path.glob("a-run/*.pt")}
        folder = RunFolder(config(tmp_path))
        found = newest(folder)
        folder.close()
        assert found.statistics["total_episodes"] == max(written)
        assert not list(tmp_path.glob("a-run/.*"))


def test_the_newest_whole_checkpoint_is_found(tmp_path, caplog):
    folder = begin(config(tmp_path))
    assert newest(folder) is None
    for episodes in (90, 100, 1000):
        path = saved_at(folder, episodes)
    assert newest(folder).statistics["total_episodes"] == 1000
    path.write_bytes(path.read_bytes()[:-100])
    assert newest(folder).statistics["total_episodes"] == 100
    assert str(path) in caplog.text
    saved_at(folder, 150, final=True)
    assert newest(folder).statistics["total_episodes"] == 150
    saved_at(folder, 200)  # a run that went on beyond its end
    assert newest(folder).statistics["total_episodes"] == 200
    folder.close()


@pytest.mark.parametrize(
    ("updates", "left", "seconds"), [(0, [], 0.0), (2, [0, 1], 1.5), (9, [0, 1, 2], 2.5)]
)
@pytest.mark.parametrize("cut", ["", '{"update": 3, "sec'])
def test_metrics_of_what_is_played_again_are_dropped(tmp_path, updates, left, seconds, cut):
    folder = begin(config(tmp_path))
    for update in range(3):
        folder.write_metrics({"update": update, "seconds": update + 0.5}, step=update)
    folder.close()
    with (folder.path / "metrics.jsonl").open("a") as file:
        file.write(cut)
    again = RunFolder(config(tmp_path))
    assert again.rewind(updates) == seconds
    again.write_metrics({"update": 77}, step=77)
    again.close()
    lines = (folder.path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["update"] for line in lines] == [*left, 77]


def test_only_so_many_checkpoints_are_kept_and_the_newest(tmp_path):
    folder = begin(config(tmp_path), keep=2)
    for episodes in (9, 10, 100, 20):
        saved_at(folder, episodes)
    saved_at(folder, 100, final=True)
    folder.close()
    assert {path.name for path in folder.path.glob("*.pt")} == {
        "checkpoint_20.pt",
        "checkpoint_100.pt",
        "final_checkpoint.pt",
    }


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        (None, [10, 20, 40, 80, 85, 90, 95]),
        (1, [95]),
        (4, [80, 85, 90, 95]),
        ("all", list(range(5, 100, 5))),
    ],
)
def test_old_checkpoints_thin_out(tmp_path, keep, left):
    """By default the newest three stay, and one at each of 1, 2, 4 and 8 tenths of the run."""
    folder = begin(config(tmp_path, num_episodes=100), keep=keep)
    for episodes in range(5, 100, 5):
        saved_at(folder, episodes)
    saved_at(folder, 100, final=True)
    folder.close()
    found = sorted(folder_module.episodes_of(path) for path in folder.path.glob("checkpoint_*.pt"))
    assert found == left
    index = json.loads((folder.path / "checkpoints.json").read_text())
    assert set(index) == {path.name for path in folder.path.glob("*.pt")}


def test_what_is_kept_of_a_run_that_ends_by_its_transitions_is_told_by_those(tmp_path):
    whole, _ = example()
    folder = begin(config(tmp_path, num_episodes=10**9, num_transitions=1000))
    for number in range(1, 11):
        counts = {"total_episodes": number**2, "total_transitions": 100 * number - 1}
        folder.save(replace(whole, statistics=whole.statistics | counts))
    folder.close()
    # A tenth is reached with the second, two with the third, four with the fifth ...
    kept = {folder_module.episodes_of(path) for path in folder.path.glob("*.pt")}
    assert kept == {n**2 for n in (2, 3, 5, 8, 9, 10)}
    # A process that goes on knows it too, and more is to come now.
    longer = config(tmp_path, num_episodes=10**9, num_transitions=10_000)
    again = RunFolder(longer)
    again.change(longer)
    counts = {"total_episodes": 121, "total_transitions": 1200}
    again.save(replace(whole, statistics=whole.statistics | counts))
    again.close()
    kept = {folder_module.episodes_of(path) for path in folder.path.glob("*.pt")}
    assert kept == {81, 100, 121}


def test_a_checkpoint_that_does_not_read_as_it_should_takes_nothings_place(tmp_path):
    folder = begin(config(tmp_path))
    before = saved_at(folder, 100)
    content = before.read_bytes()

    def refuse(found: Checkpoint) -> None:
        raise ValueError("version 4 of agent 0 is missing")

    whole, _ = example()
    again = replace(whole, statistics=whole.statistics | {"total_episodes": 100})
    with pytest.raises(CheckpointError, match="could not be gone on from: version 4 of agent 0"):
        folder.save(again, check=refuse)
    assert before.read_bytes() == content
    assert not list(folder.path.glob(".*"))
    folder.close()


def test_a_run_is_found_by_its_name_its_folder_or_a_checkpoint(tmp_path):
    folder = begin(config(tmp_path))
    early, late = saved_at(folder, 10), saved_at(folder, 20)
    folder.close()
    for text in ("a-run", str(folder.path), f"{folder.path}/", str(early)):
        assert find_run(text, tmp_path) == folder.path
    for text in ("a-run", str(folder.path)):
        assert find_checkpoint(text, str(tmp_path)) == late
    assert find_checkpoint(str(early), str(tmp_path)) == early
    for text in ("b-run", str(tmp_path), str(tmp_path / "no.pt")):
        with pytest.raises(ConfigError, match=r"no config|no such file") as refused:
            find_run(text, tmp_path)
        assert text in str(refused.value)
    with pytest.raises(CheckpointError, match="no such file, and no run in"):
        find_checkpoint("b-run", str(tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="without a whole checkpoint"):
        find_checkpoint("empty", str(tmp_path))


def test_a_run_knows_what_it_is_wherever_it_lies(tmp_path):
    folder = begin(config(tmp_path, gamma=0.5))
    folder.close()
    moved = tmp_path / "else where" / "another-name"
    moved.parent.mkdir()
    folder.path.rename(moved)
    identity = read_identity(moved)
    assert identity.run == "an-id"
    assert identity.game == GAME
    assert identity.game.name == "easy (changed)"
    found = read_config(moved)
    assert found == config(moved.parent, moved.name, gamma=0.5)


def test_a_run_that_an_earlier_version_began_is_known(tmp_path):
    folder = begin(config(tmp_path))
    folder.close()
    path = folder.path / "run.json"
    content = json.loads(path.read_text())
    game = content.pop("game")
    content |= {"scenario": game["arguments"]["scenario"], "scenario_name": game["name"]}
    path.write_text(json.dumps(content))
    identity = read_identity(folder.path)
    assert identity.game == GAME
    assert identity.run == "an-id"
    (folder.path / "config.json").write_text('{"num_agents_per_game": "x"}')
    with pytest.raises(ConfigError, match=r"config\.json: --num-agents-per-game 'x'"):
        read_identity(folder.path)


def test_metrics_are_strict_json_with_the_time_and_thin_out(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_module, "DETAILED_BYTES", 2000)
    folder = begin(config(tmp_path))
    for update in range(100):
        agents = {"kl": [0.1, math.nan, 0.3]}
        row = {"update": update, "seconds": 1.0, "learning": {"kl": math.inf}, "agents": agents}
        row |= {"agent_returns": [1.0, 2.0, 3.0], "lag": [1, 1, 1], "episode_return": 2.0}
        folder.write_metrics(row, step=update)
    folder.close()

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    lines = (folder.path / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line, parse_constant=refuse) for line in lines]
    assert [row["update"] for row in rows] == list(range(100))
    assert all(datetime.fromisoformat(row["time"]).utcoffset() == timedelta(0) for row in rows)
    assert rows[0]["agents"] == {"kl": [0.1, None, 0.3]}
    assert rows[0]["learning"] == {"kl": None}
    detailed = [row["update"] for row in rows if "agents" in row]
    for row in rows:
        assert row["episode_return"] == 2.0
        assert len({name in row for name in ("agents", "agent_returns", "lag")}) == 1
    gaps = [after - before for before, after in itertools.pairwise(detailed)]
    assert gaps == sorted(gaps)
    assert set(gaps) >= {1, 2, 4}
    [events] = folder.path.glob("events.out.tfevents.*")
    assert b"agents/kl/2" in events.read_bytes()
    assert b"agents/kl/1" not in events.read_bytes(), "nothing was known of it"


@given(
    rows=st.lists(st.integers(0, 40), max_size=30),
    block=st.integers(1, 200),
    updates=st.integers(0, 40),
    cut=st.binary(max_size=20),
)
def test_the_metrics_are_gone_back_in_from_their_end(rows, block, updates, cut):
    lines = [b'{"update": %d, "seconds": %d.5}\n' % (n, n) for n in sorted(set(rows))]
    with (
        tempfile.TemporaryDirectory() as place,
        mock.patch.object(folder_module, "BLOCK_BYTES", block),
    ):
        folder = begin(config(Path(place)))
        folder.close()
        path = folder.path / "metrics.jsonl"
        path.write_bytes(b"".join(lines) + cut.replace(b"\n", b""))
        again = RunFolder(config(Path(place)))
        seconds = again.rewind(updates)
        again.close()
        kept = [n for n in sorted(set(rows)) if n < updates]
        assert path.read_bytes() == b"".join(lines[: len(kept)])
        assert seconds == (kept[-1] + 0.5 if kept else 0.0)


def test_what_is_kept_is_the_runs_until_it_is_given_anew(tmp_path):
    begin(config(tmp_path), keep="all").close()
    again = RunFolder(config(tmp_path))
    assert again.keep == "all"
    again.close()
    anew = RunFolder(config(tmp_path), keep=2)
    anew.change(config(tmp_path))
    anew.close()
    again = RunFolder(config(tmp_path))
    assert again.keep == 2
    again.close()
    # One of an earlier version, which kept them all.
    (tmp_path / "a-run" / "run.json").unlink()
    earlier = RunFolder(config(tmp_path))
    assert earlier.keep == "all"
    earlier.close()


def test_a_folder_that_could_not_be_made_can_be_made_again(tmp_path, monkeypatch):
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(folder_module, "write_identity", full)
        with pytest.raises(ConfigError, match="No space left on device"):
            begin(config(tmp_path))
    begin(config(tmp_path)).close()


def test_settings_under_the_names_of_earlier_versions_are_read(tmp_path):
    config = RunConfig(
        advantages="difference_rewards", exploring_starts=0.25, popart_rate=0.5, seed=1
    )
    write_config(tmp_path, config)
    path = tmp_path / "config.json"
    text = path.read_text()
    for new, old in {
        '"difference_rewards"': '"counterfactual"',
        '"exploring_starts"': '"random_starts"',
        '"popart_rate"': '"normaliser_rate"',
    }.items():
        assert text.count(new) == 1
        text = text.replace(new, old)
    path.write_text(text)
    read = read_config(tmp_path)
    assert (read.advantages, read.exploring_starts, read.popart_rate) == (
        "difference_rewards", 0.25, 0.5,
    )  # fmt: skip
