"""The launcher's scratch folder: gone in the end, and never another's."""

from __future__ import annotations

import os
import signal
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from brigade.config import ConfigError
from brigade.run.scratch import remove_leftovers, scratch_folder

from .processes import ENDLESS, SMALL, brigade, descendants, run, wait_for_ends


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files, with a short path for the addresses in it."""
    with tempfile.TemporaryDirectory(prefix="b-") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", None)
        yield Path(folder)


def leftover(folder: Path, name: str = "brigade-abcdef_1") -> Path:
    path = folder / name
    path.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as file:
        file.bind(str(path / "control"))
    for name in ("learn-1.log", "learner.key", "learner.pub", "simulator.key", "simulator.pub"):
        (path / name).write_text("said")
    return path


def test_it_is_removed_with_what_is_in_it(temporary: Path) -> None:
    with scratch_folder() as scratch:
        (scratch.path / "learn-1.log").write_text("said")
        assert scratch.path.parent == temporary
    assert not list(temporary.iterdir())


def test_what_nobody_holds_is_removed_and_what_somebody_holds_is_not(temporary: Path) -> None:
    dead, empty = leftover(temporary), temporary / "brigade-abcdef_2"
    empty.mkdir(mode=0o700)
    with scratch_folder() as scratch:
        assert not dead.exists()
        assert not empty.exists()
        remove_leftovers(temporary)
        assert scratch.path.exists()
        inherited = os.dup(scratch.lock)  # as a child does
        moved = scratch.path.rename(temporary / "brigade-abcdef_3")
    remove_leftovers(temporary)
    assert moved.exists(), "a child still runs"
    os.close(inherited)
    remove_leftovers(temporary)
    assert not list(temporary.iterdir())


@pytest.fixture
def long_path(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, too far down for sockets."""
    folder = temporary / ("deep-" * 11)
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


def test_where_paths_are_too_long_for_sockets_a_shorter_place_is_taken(
    temporary: Path, long_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = temporary / "run"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    left = [leftover(runtime), leftover(long_path)]
    with scratch_folder() as scratch:
        assert scratch.path.parent == runtime
        assert scratch.holds_sockets
        assert not any(path.exists() for path in left), "others' are removed in either place"
    assert not list(runtime.iterdir())
    assert not list(long_path.iterdir())


@pytest.mark.parametrize("mode", [0o777, 0o770, None])
def test_a_place_where_others_could_put_theirs_is_not_taken(
    temporary: Path, long_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int | None
) -> None:
    runtime = temporary / "run"
    if mode is not None:
        runtime.mkdir()
        runtime.chmod(mode)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    with scratch_folder() as scratch:
        assert scratch.path.parent in (Path("/tmp"), Path("/var/tmp"))
        assert stat.S_IMODE(scratch.path.stat().st_mode) == 0o700
        if mode is not None:
            runtime.chmod(mode | stat.S_ISVTX)  # then only owners can move what is theirs
            with scratch_folder() as second:
                assert second.path.parent == runtime


def test_without_a_shorter_place_it_holds_no_sockets(
    long_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr("brigade.run.scratch.SHORTER", ())
    with scratch_folder() as scratch:
        assert scratch.path.parent == long_path
        assert not scratch.holds_sockets


def test_no_folder_for_temporary_files_at_all_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    with pytest.raises(ConfigError, match="set TMPDIR to a folder that can be written"):
        scratch_folder().__enter__()


def test_what_is_not_ours_is_left_alone(temporary: Path) -> None:
    kept = [
        leftover(temporary, "brigade-keep"),
        leftover(temporary, "brigade-abcdef_4"),
        leftover(temporary, "brigade-abcdef_5"),
        leftover(temporary, "brigade-abcdef_6"),
    ]
    (kept[1] / "thesis.txt").write_text("precious")
    kept[2].chmod(0o755)
    (kept[3] / "learn-2.log").symlink_to("/etc/passwd")
    (temporary / "brigade-abcdef_7").symlink_to(kept[0])
    (temporary / "brigade-abcdef_8").write_text("a file")
    before = sorted(temporary.rglob("*"))
    remove_leftovers(temporary)
    assert sorted(temporary.rglob("*")) == before


def test_a_training_that_was_killed_at_one_stroke_is_cleaned_up_by_the_next(
    tmp_path: Path, temporary: Path
) -> None:
    with brigade(tmp_path, "train", *ENDLESS, "--log-interval", "20", "--run-name", "a") as process:
        process.prints("episodes/s")
        everybody = [process.popen.pid, *descendants(process.popen.pid)]
        assert len(everybody) == 3
        for pid in everybody:
            os.kill(pid, signal.SIGSTOP)  # so that none sees another's end
        for pid in everybody:
            os.kill(pid, signal.SIGKILL)
        process.end()
        wait_for_ends(everybody, lambda: process.output)
    assert list(temporary.iterdir()), "nobody was left to remove it"
    run(tmp_path, "train", *SMALL, "--run-name", "b")
    assert not list(temporary.iterdir())
