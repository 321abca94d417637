"""A run's folder: ``config.json``, checkpoints, ``metrics.jsonl`` and TensorBoard events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter

from brigade.config import ConfigError, RunConfig
from brigade.store import checkpoint
from brigade.store.checkpoint import Checkpoint

FINAL = "final_checkpoint.pt"


class RunFolder:
    """Where a run's files lie. Making one makes the folder, which must not exist yet.

    Raises
    ------
    ConfigError
        The folder exists, or cannot be made.
    """

    def __init__(self, config: RunConfig) -> None:
        assert config.run_name is not None, "the run has a name by now"
        self.path = Path(config.checkpoint_dir) / config.run_name
        try:
            self.path.mkdir(parents=True)
        except FileExistsError:
            raise ConfigError(f"run {self.path} exists: choose another --run-name") from None
        except OSError as error:
            raise ConfigError(f"cannot make {self.path}: {error.strerror}") from None
        settings = {name: getattr(config, name) for name in config.__struct_fields__}
        (self.path / "config.json").write_text(json.dumps(settings, indent=2) + "\n")
        self._metrics = (self.path / "metrics.jsonl").open("a", buffering=1)
        self._events = SummaryWriter(str(self.path), flush_secs=5)

    def write_metrics(self, row: Mapping[str, Any], step: int) -> None:
        """Append one update's metrics: a line of JSON, and each number as a TensorBoard scalar."""
        self._metrics.write(json.dumps(row) + "\n")
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
        checkpoint.save(path, content)
        return path

    def close(self) -> None:
        """Flush and close the files."""
        self._metrics.close()
        self._events.close()
