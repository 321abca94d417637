"""A run's folder: all that a run is. Nothing outside it is needed to go on with it.

``run.json`` says what the run is and ``config.json`` its settings; beside them lie its checkpoints,
their index ``checkpoints.json``, ``metrics.jsonl`` and TensorBoard events. One process at a time
writes to it, which holds a lock on ``metrics.jsonl`` that ends with it.
"""

from __future__ import annotations

import fcntl
import json
import logging
import math
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from tensorboardX import SummaryWriter

from brigade.config import DEFAULT_CHECKPOINT_DIR, ConfigError, RunConfig
from brigade.policy.population import Population
from brigade.store import checkpoint
from brigade.store.checkpoint import Checkpoint, CheckpointError
from brigade.store.identity import (
    CONFIG,
    IDENTITY,
    Identity,
    Keep,
    read_keep,
    write_config,
    write_identity,
    write_keep,
    write_whole,
)

log = logging.getLogger(__name__)

FINAL = "final_checkpoint.pt"
INDEX = "checkpoints.json"
METRICS = "metrics.jsonl"
NEWEST_KEPT = 3
# Besides, by default, the first checkpoint at or after each of these shares of the run is kept.
SERIES = (0.1, 0.2, 0.4, 0.8)
BLOCK_BYTES = 1 << 16
DETAILED_BYTES = 1 << 26
OF_EACH_AGENT = ("agents", "agent_returns", "lag")
MOST_SERIES = 64  # of one metric


class RunFolder:
    """Where a run's files lie. Making one makes the folder, which must not exist yet, or be empty.

    Parameters
    ----------
    identity
        What the run is; None to go on in the run's folder, which must exist then. What is there
        stays until :meth:`rewind` says where the run goes on.
    keep
        Checkpoints to keep besides the final one, the newest; or ``"all"``. With None the newest
        :data:`NEWEST_KEPT`, and a thinning series of older ones (:data:`SERIES`). Not set: as the
        run was begun or last gone on with, which is written down in its folder.

    Raises
    ------
    ConfigError
        The folder exists, or cannot be made; or another process writes to it.
    """

    def __init__(
        self,
        config: RunConfig,
        identity: Identity | None = None,
        *,
        keep: Keep | msgspec.UnsetType = msgspec.UNSET,
    ) -> None:
        assert config.run_name is not None, "the run has a name by now"
        self.path = Path(config.checkpoint_dir) / config.run_name
        self._config = config
        made: list[Path] = []
        try:
            if identity is not None:
                self.path.mkdir(parents=True, exist_ok=True)
                if any(self.path.iterdir()):
                    raise FileExistsError
                self.keep = None if keep is msgspec.UNSET else keep
                write_config(self.path, config, first=True)
                made = [self.path / name for name in (CONFIG, IDENTITY, METRICS)]
                write_identity(self.path, identity, self.keep)
            else:
                self.keep = read_keep(self.path) if keep is msgspec.UNSET else keep
            self._metrics = (self.path / METRICS).open("a", buffering=1)
        except FileExistsError:
            raise ConfigError(f"run {self.path} exists: choose another --run-name") from None
        except OSError as error:
            for path in made:  # so that the same command can be given again
                path.unlink(missing_ok=True)
            raise ConfigError(f"cannot make {self.path}: {error.strerror}") from None
        try:
            fcntl.flock(self._metrics, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._metrics.close()
            raise ConfigError(f"run {self.path} is going on: another process has it") from None
        for left in self.path.glob(".*.part"):
            left.unlink()  # of a process that was killed while it wrote
        self._events: SummaryWriter | None = None

    # ---- what the run is -----------------------------------------------------------------

    def change(self, config: RunConfig) -> None:
        """Give the run other settings."""
        self._config = config
        write_config(self.path, config)
        write_keep(self.path, self.keep)

    # ---- checkpoints ---------------------------------------------------------------------

    def checkpoints(self) -> Iterator[tuple[Path, Checkpoint]]:
        """Load the checkpoints that are whole, the newest first."""
        yield from whole_checkpoints(self.path)

    def save(
        self,
        content: Checkpoint,
        *,
        final: bool = False,
        check: Callable[[Checkpoint], None] = lambda found: None,
    ) -> Path:
        """Write ``checkpoint_{episodes}.pt`` or the final checkpoint; see ``checkpoint.save``."""
        episodes = content.statistics["total_episodes"]
        path = self.path / (FINAL if final else f"checkpoint_{episodes}.pt")
        os.fsync(self._metrics.fileno())  # a checkpoint never lasts longer than what led to it
        checkpoint.save(path, content, check)
        self._note(path, content)
        for name in self._superfluous():
            (self.path / name).unlink(missing_ok=True)
        return path

    def newest_path(self) -> Path | None:
        """Name the newest checkpoint without looking into it."""
        numbered = numbered_checkpoints(self.path)
        final = self.path / FINAL
        paths = [*numbered[-1:], *([final] if final.exists() else [])]
        return max(paths, key=lambda path: path.stat().st_mtime_ns, default=None)

    def _note(self, path: Path, content: Checkpoint) -> None:
        """Enter a checkpoint into the index, and drop from it what is no more."""
        entry = {n: content.statistics[n] for n in ("total_episodes", "total_transitions")}
        entries = {n: e for n, e in self._index().items() if (self.path / n).exists()}
        write_whole(self.path / INDEX, json.dumps(entries | {path.name: entry}, indent=1) + "\n")

    def _index(self) -> dict[str, dict[str, int]]:
        try:
            content = json.loads((self.path / INDEX).read_text())
            return {
                str(name): {str(n): int(count) for n, count in entry.items()}
                for name, entry in content.items()
            }
        except (OSError, ValueError, AttributeError, TypeError):
            return {}  # it only helps to choose what to keep

    def _superfluous(self) -> list[str]:
        """Names of numbered checkpoints that need not be kept."""
        if self.keep == "all":
            return []
        index = self._index()
        shares = {}
        for path in numbered_checkpoints(self.path):
            entry = index.get(path.name, {"total_episodes": episodes_of(path)})
            episodes, transitions = entry["total_episodes"], entry.get("total_transitions", 0)
            shares[path.name] = self._config.share(episodes, transitions)
        names = list(shares)
        kept = set(names[-(self.keep or NEWEST_KEPT) :])
        for least in SERIES if self.keep is None else ():
            kept |= set([name for name in names if shares[name] >= least][:1])
        return [name for name in names if name not in kept]

    # ---- metrics -------------------------------------------------------------------------

    def rewind(self, updates: int) -> float:
        """Drop the metrics of all updates but the first so many: they will be made again.

        Returns the seconds that the run had taken until then. The file is read from its end.
        """
        path = self.path / METRICS
        end = 0
        seconds = 0.0
        with path.open("rb") as file:
            for start, line in _lines_from_the_end(file):
                try:
                    row = json.loads(line)
                    if line.endswith(b"\n") and int(row["update"]) < updates:
                        end, seconds = start + len(line), float(row["seconds"])
                        break
                except (ValueError, KeyError, TypeError):
                    pass  # a line that was cut off
        os.truncate(path, end)
        return seconds

    def write_metrics(self, row: Mapping[str, Any], step: int) -> None:
        """Append one update's metrics: a line of JSON, and each number as a TensorBoard scalar.

        What is not a finite number is written as null. What each agent has of its own (``agents``,
        ``agent_returns``, ``lag``) is left out now and then where the file has grown large: of
        every second update once there are :data:`DETAILED_BYTES`, of three in four at twice that,
        and so on. TensorBoard gets a series for each agent where there are not too many.
        """
        every = 2 ** (self._metrics.tell() // DETAILED_BYTES)
        detailed = int(row.get("update", 0)) % every == 0
        stamped = {"time": datetime.now(UTC).isoformat(timespec="seconds")} | _finite(row)
        if not detailed:
            stamped = {name: stamped[name] for name in stamped if name not in OF_EACH_AGENT}
        self._metrics.write(json.dumps(stamped, allow_nan=False) + "\n")
        if self._events is None:  # what an earlier process wrote beyond here does not count
            self._events = SummaryWriter(str(self.path), flush_secs=5, purge_step=step)
        for tag, value in _scalars(stamped):
            self._events.add_scalar(tag, value, step)

    def close(self) -> None:
        """Flush and close the files."""
        self._metrics.close()
        if self._events is not None:
            self._events.close()


def _finite(value: Any) -> Any:
    """Replace numbers that are not finite by None, which JSON has."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(part) for name, part in value.items()}
    return [_finite(part) for part in value] if isinstance(value, list | tuple) else value


def _scalars(row: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, float]]:
    """Yield a row's numbers with their tags; of a list, an agent's number is the last part."""
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _scalars(value, f"{above}{name}/")
        elif isinstance(value, list) and len(value) <= MOST_SERIES:
            yield from _scalars({str(i): part for i, part in enumerate(value)}, f"{above}{name}/")
        elif isinstance(value, int | float):
            yield f"{above}{name}", value


def find_checkpoint(text: str, place: str = DEFAULT_CHECKPOINT_DIR) -> Path:
    """Find the checkpoint that a person means: a file, or the newest whole one of a run.

    Parameters
    ----------
    text
        A checkpoint, a run's folder, or the run's name.
    place
        Where runs of that name lie.

    Raises
    ------
    CheckpointError
        There is none.
    """
    path = Path(text)
    if path.is_file():
        return path
    for folder in (path, Path(place) / text):
        if folder.is_dir():
            found = next((path for path, _ in whole_checkpoints(folder)), None)
            if found is None:
                raise CheckpointError(f"{folder} is a folder without a whole checkpoint")
            return found
    raise CheckpointError(f"{text}: no such file, and no run in {place}")


def numbered_checkpoints(folder: Path) -> list[Path]:
    """List the checkpoints on the way, the earliest first."""
    return sorted(folder.glob("checkpoint_*.pt"), key=episodes_of)


def episodes_of(path: Path) -> int:
    """Read from a checkpoint's name after how many episodes it was written."""
    numbered = re.fullmatch(r"checkpoint_(\d+)\.pt", path.name)
    return int(numbered.group(1)) if numbered else -1


def whole_checkpoints(folder: Path) -> Iterator[tuple[Path, Checkpoint]]:
    """Load the checkpoints in a run's folder that are whole, the newest first."""
    final_path = folder / FINAL
    final = _load(final_path) if final_path.exists() else None
    least = final.statistics["total_episodes"] if final else -1
    for path in reversed(numbered_checkpoints(folder)):
        if final is not None and episodes_of(path) <= least:
            yield final_path, final
            final = None
        content = _load(path)
        if content is not None:
            yield path, content
    if final is not None:
        yield final_path, final


def _load(path: Path) -> Checkpoint | None:
    """Load a checkpoint; None, with a warning, where it is spoilt."""
    try:
        return checkpoint.load(path)
    except CheckpointError as error:
        log.warning("%s; the one before it will do", error)
        return None


def disk_use(config: RunConfig, population: Population, keep: Keep) -> int:
    """Estimate the bytes that a run's checkpoints will take, one in the making included."""
    each = 4 * 4 * population.num_parameters  # parameters, two moments, what plays on
    at_most = config.num_episodes // config.checkpoint_interval + 1
    kept = at_most if keep == "all" else keep or NEWEST_KEPT + len(SERIES)
    return each * (min(kept, at_most) + 2)


def free_bytes(folder: Path) -> float:
    """Bytes that are free where a folder lies; infinitely many where nobody can tell."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return math.inf


def _lines_from_the_end(file: Any) -> Iterator[tuple[int, bytes]]:
    """Yield a file's lines, the last one first, each with the place where it starts."""
    end = file.seek(0, os.SEEK_END)
    rest, at = b"", end
    while at > 0:
        size = min(BLOCK_BYTES, at)
        at -= size
        file.seek(at)
        rest = file.read(size) + rest
        *lines, _ = [*_starts(rest)]
        for start in reversed(lines[1:] if at > 0 else lines):
            yield at + start, rest[start:]
            rest = rest[:start]


def _starts(data: bytes) -> list[int]:
    """Where lines start in data, and its end."""
    found = [0]
    at = data.find(b"\n")
    while 0 <= at < len(data) - 1:
        found.append(at + 1)
        at = data.find(b"\n", at + 1)
    return [*found, len(data)]
