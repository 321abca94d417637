"""A run's folder: its files, and that no run writes over another's."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_checkpoint import example

from brigade.config import ConfigError, RunConfig, convert
from brigade.store.checkpoint import load, save
from brigade.store.folder import RunFolder


def config(folder: Path, name: str = "a-run", **changes) -> RunConfig:
    return RunConfig(run_name=name, checkpoint_dir=str(folder), seed=3, **changes)


def test_the_config_is_kept_as_it_was_given(tmp_path):
    given = config(tmp_path, gamma=0.5, num_transitions=10**6, sync="async")
    folder = RunFolder(given)
    folder.close()
    assert folder.path == tmp_path / "a-run"
    assert convert(RunConfig, json.loads((folder.path / "config.json").read_text())) == given


def test_a_run_that_exists_is_not_written_over(tmp_path):
    RunFolder(config(tmp_path)).close()
    before = {path: path.read_bytes() for path in (tmp_path / "a-run").iterdir()}
    with pytest.raises(ConfigError, match="exists: choose another --run-name"):
        RunFolder(config(tmp_path, gamma=0.1))
    assert {path: path.read_bytes() for path in (tmp_path / "a-run").iterdir()} == before


def test_folders_above_are_made(tmp_path):
    RunFolder(config(tmp_path / "some" / "where")).close()
    assert (tmp_path / "some" / "where" / "a-run" / "config.json").exists()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot make") as refused:
        RunFolder(config(tmp_path / "file"))
    assert "\n" not in str(refused.value)


def test_metrics_are_on_disk_as_soon_as_they_are_written(tmp_path):
    folder = RunFolder(config(tmp_path))
    rows = [
        {"update": i, "episode_return": None if i else -2.5, "learning": {"kl": 0.1 * i}}
        for i in range(3)
    ]
    for i, row in enumerate(rows):
        folder.write_metrics(row, step=i)
        lines = (folder.path / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(line) for line in lines] == rows[: i + 1]
    folder.close()


def test_metrics_are_tensorboard_events_too(tmp_path):
    folder = RunFolder(config(tmp_path))
    folder.write_metrics({"update": 1, "learning": {"entropy": 2.5}, "lag": [1, 1]}, step=64)
    folder.close()
    [events] = folder.path.glob("events.out.tfevents.*")
    content = events.read_bytes()
    assert b"update" in content
    assert b"learning/entropy" in content


def test_checkpoints_are_named_after_the_episodes_played(tmp_path):
    folder = RunFolder(config(tmp_path))
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
    folder = RunFolder(config(tmp_path))
    folder.write_metrics({"update": 0, "seconds": 1.0}, step=1)
    folder.close()
    settings = (folder.path / "config.json").read_bytes()
    again = RunFolder(config(tmp_path), resume=True)
    again.write_metrics({"update": 1, "seconds": 2.0}, step=2)
    again.close()
    assert (folder.path / "config.json").read_bytes() == settings
    lines = (folder.path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["update"] for line in lines] == [0, 1]


def test_a_run_that_is_not_there_does_not_go_on(tmp_path):
    with pytest.raises(ConfigError):
        RunFolder(config(tmp_path), resume=True)
    assert list(tmp_path.iterdir()) == []


def test_one_process_at_a_time_has_a_run(tmp_path):
    first = RunFolder(config(tmp_path))
    with pytest.raises(ConfigError, match="another process has it"):
        RunFolder(config(tmp_path), resume=True)
    first.write_metrics({"update": 0}, step=0)
    first.close()
    RunFolder(config(tmp_path), resume=True).close()


def test_what_a_killed_process_left_half_written_is_removed(tmp_path):
    folder = RunFolder(config(tmp_path))
    folder.close()
    (folder.path / ".checkpoint_7.pt.part").write_bytes(b"half")
    RunFolder(config(tmp_path), resume=True).close()
    assert not list(folder.path.glob(".*"))


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from brigade.config import RunConfig
from brigade.store.checkpoint import load
from brigade.store.folder import RunFolder

content = load(Path(sys.argv[1]))
folder = RunFolder(RunConfig(run_name="a-run", checkpoint_dir=sys.argv[2], seed=3), resume=True)
for episodes in range(1, 10**6):
    folder.save(replace(content, statistics=content.statistics | {"total_episodes": episodes}))
"""


def test_a_kill_in_the_middle_of_writing_leaves_the_checkpoint_before(tmp_path):
    RunFolder(config(tmp_path)).close()
    content, _ = example()
    save(tmp_path / "example.pt", content)
    command = [sys.executable, "-c", WRITER, str(tmp_path / "example.pt"), str(tmp_path)]
    deadline, halves, newest = time.monotonic() + 50, 0, 0
    while not halves:
        assert time.monotonic() < deadline, "never killed in the middle"
        with subprocess.Popen(command) as writer:
            while not (parts := list(tmp_path.glob("a-run/.*.part"))) or newest == 0:
                newest = max(newest, len(list(tmp_path.glob("a-run/*.pt"))))
                assert writer.poll() is None
                assert time.monotonic() < deadline, "never seen in the middle"
            writer.kill()
        halves = sum(path.exists() for path in parts)
        written = {int(path.stem[11:]) for path in tmp_path.glob("a-run/*.pt")}
        folder = RunFolder(config(tmp_path), resume=True)
        found = folder.newest()
        folder.close()
        assert found.statistics["total_episodes"] == max(written)
        assert not list(tmp_path.glob("a-run/.*"))


def test_the_newest_whole_checkpoint_is_found(tmp_path, caplog):
    folder = RunFolder(config(tmp_path))
    assert folder.newest() is None
    for episodes in (90, 100, 1000):
        path = saved_at(folder, episodes)
    assert folder.newest().statistics["total_episodes"] == 1000
    path.write_bytes(path.read_bytes()[:-100])
    assert folder.newest().statistics["total_episodes"] == 100
    assert str(path) in caplog.text
    saved_at(folder, 150, final=True)
    assert folder.newest().statistics["total_episodes"] == 150
    saved_at(folder, 200)  # a run that went on beyond its end
    assert folder.newest().statistics["total_episodes"] == 200
    folder.close()


@pytest.mark.parametrize(
    ("updates", "left", "seconds"), [(0, [], 0.0), (2, [0, 1], 1.5), (9, [0, 1, 2], 2.5)]
)
@pytest.mark.parametrize("cut", ["", '{"update": 3, "sec'])
def test_metrics_of_what_is_played_again_are_dropped(tmp_path, updates, left, seconds, cut):
    folder = RunFolder(config(tmp_path))
    for update in range(3):
        folder.write_metrics({"update": update, "seconds": update + 0.5}, step=update)
    folder.close()
    with (folder.path / "metrics.jsonl").open("a") as file:
        file.write(cut)
    again = RunFolder(config(tmp_path), resume=True)
    assert again.rewind(updates) == seconds
    again.write_metrics({"update": 77}, step=77)
    again.close()
    lines = (folder.path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["update"] for line in lines] == [*left, 77]


def test_only_so_many_checkpoints_are_kept_and_the_newest(tmp_path):
    folder = RunFolder(config(tmp_path), keep=2)
    for episodes in (9, 10, 100, 20):
        saved_at(folder, episodes)
    saved_at(folder, 100, final=True)
    folder.close()
    assert {path.name for path in folder.path.glob("*.pt")} == {
        "checkpoint_20.pt",
        "checkpoint_100.pt",
        "final_checkpoint.pt",
    }
