"""A run's folder: ``config.json``, checkpoints, ``metrics.jsonl`` and TensorBoard events.

One process at a time writes to it, which holds a lock on ``metrics.jsonl`` that ends with it.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter

from brigade.config import ConfigError, RunConfig
from brigade.store import checkpoint
from brigade.store.checkpoint import Checkpoint, CheckpointError

log = logging.getLogger(__name__)

FINAL = "final_checkpoint.pt"
METRICS = "metrics.jsonl"


class RunFolder:
    """Where a run's files lie. Making one makes the folder, which must not exist yet, or be empty.

    Parameters
    ----------
    keep
        Checkpoints to keep besides the final one, the newest; by default all.
    resume
        Whether to go on in the run's folder, which must exist then. What is there stays until
        :meth:`rewind` says where the run goes on.

    Raises
    ------
    ConfigError
        The folder exists, or cannot be made; or another process writes to it.
    """

    def __init__(self, config: RunConfig, *, keep: int | None = None, resume: bool = False) -> None:
        assert config.run_name is not None, "the run has a name by now"
        self.path = Path(config.checkpoint_dir) / config.run_name
        self._keep = keep
        try:
            if not resume:
                self.path.mkdir(parents=True, exist_ok=True)
                if any(self.path.iterdir()):
                    raise FileExistsError
                _write_config(self.path, config)
            self._metrics = (self.path / METRICS).open("a", buffering=1)
        except FileExistsError:
            raise ConfigError(f"run {self.path} exists: choose another --run-name") from None
        except OSError as error:
            raise ConfigError(f"cannot make {self.path}: {error.strerror}") from None
        try:
            fcntl.flock(self._metrics, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._metrics.close()
            raise ConfigError(f"run {self.path} is going on: another process has it") from None
        for left in self.path.glob(".*.part"):
            left.unlink()  # of a process that was killed while it wrote
        self._events: SummaryWriter | None = None

    def newest(self) -> Checkpoint | None:
        """Load the newest checkpoint that is whole; None where there is none."""
        final = _load(self.path / FINAL) if (self.path / FINAL).exists() else None
        least = final.statistics["total_episodes"] if final else -1
        for path in reversed(self._numbered()):
            if _episodes_of(path) <= least:
                break
            content = _load(path)
            if content is not None:
                return content
        return final

    def _numbered(self) -> list[Path]:
        return sorted(self.path.glob("checkpoint_*.pt"), key=_episodes_of)

    def rewind(self, updates: int) -> float:
        """Drop the metrics of all updates but the first so many: they will be made again.

        Returns the seconds that the run had taken until then.
        """
        seconds, kept = 0.0, []
        for line in (self.path / METRICS).read_text(errors="replace").splitlines(keepends=True):
            try:
                row = json.loads(line)
                if row["update"] >= updates or not line.endswith("\n"):
                    break
                seconds = float(row["seconds"])
            except (ValueError, KeyError, TypeError):
                break  # a line that was cut off
            kept.append(line.encode())
        os.truncate(self.path / METRICS, sum(map(len, kept)))
        return seconds

    def write_metrics(self, row: Mapping[str, Any], step: int) -> None:
        """Append one update's metrics: a line of JSON, and each number as a TensorBoard scalar."""
        self._metrics.write(json.dumps(row) + "\n")
        if self._events is None:  # what an earlier process wrote beyond here does not count
            self._events = SummaryWriter(str(self.path), flush_secs=5, purge_step=step)
        for name, value in row.items():
            if isinstance(value, int | float):
                self._events.add_scalar(name, value, step)
            elif isinstance(value, Mapping):
                for inner, part in value.items():
                    if isinstance(part, int | float):
                        self._events.add_scalar(f"{name}/{inner}", part, step)

    def save(self, content: Checkpoint, *, final: bool = False) -> Path:
        """Write ``checkpoint_{episodes}.pt`` or the final checkpoint; see ``checkpoint.save``."""
        episodes = content.statistics["total_episodes"]
        path = self.path / (FINAL if final else f"checkpoint_{episodes}.pt")
        os.fsync(self._metrics.fileno())  # a checkpoint never lasts longer than what led to it
        checkpoint.save(path, content)
        if self._keep is not None:
            numbered = self._numbered()
            for old in numbered[: max(0, len(numbered) - self._keep)]:
                old.unlink(missing_ok=True)
        return path

    def close(self) -> None:
        """Flush and close the files."""
        self._metrics.close()
        if self._events is not None:
            self._events.close()


def _write_config(folder: Path, config: RunConfig) -> None:
    """Write ``config.json``, which only one process can be the first to do."""
    settings = {name: getattr(config, name) for name in config.__struct_fields__}
    with (folder / "config.json").open("x") as file:
        file.write(json.dumps(settings, indent=2) + "\n")


def _load(path: Path) -> Checkpoint | None:
    """Load a checkpoint; None, with a warning, where it is spoilt."""
    try:
        return checkpoint.load(path)
    except CheckpointError as error:
        log.warning("%s; the one before it will do", error)
        return None


def _episodes_of(path: Path) -> int:
    numbered = re.fullmatch(r"checkpoint_(\d+)\.pt", path.name)
    return int(numbered.group(1)) if numbered else -1
