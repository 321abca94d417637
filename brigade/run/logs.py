"""Logs: warnings as lines on stderr, and every event as a line of JSON in ``--log-file``."""

from __future__ import annotations

import json
import logging
import os
import sys
import time

from brigade.config import ConfigError
from brigade.printable import printable

events = logging.getLogger("brigade.events")


class _Plain(logging.Formatter):
    """A record for people; what it quotes is others', and shows as what it is."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return printable(super().formatMessage(record))


class _Stderr(logging.Handler):
    """Writes to whatever stderr is at the moment: a live view stands in for it while it shows."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr, flush=True)


class _File(logging.FileHandler):
    """Appends to a file, until that fails: which is said once."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        logging.getLogger().removeHandler(self)
        print(
            f"--log-file {printable(self.baseFilename)}: {error.strerror}; nothing more is logged",
            file=sys.stderr,
        )


class _Line(logging.Formatter):
    """A record as one line of JSON: time, level, component, process, event, and its fields.

    What is not an event of ours is the event ``warning`` (or ``error``), with its text.
    """

    def __init__(self, component: str) -> None:
        super().__init__()
        self._component = component

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "component": self._component,
            "process": os.getpid(),
        }
        if record.name == events.name:
            line |= {"event": record.getMessage(), **getattr(record, "fields", {})}
        else:
            line |= {"event": line["level"], "text": record.getMessage(), "source": record.name}
        return json.dumps(line)


def start_logs(component: str, log_file: str | None) -> None:
    """Begin to log.

    Parameters
    ----------
    component
        Who we are: ``sim``, or ``learn`` and the learner's name.
    log_file
        Appended to; several processes may share one.

    Raises
    ------
    ConfigError
        The file cannot be written.
    """
    stderr = _Stderr()
    stderr.setLevel(logging.WARNING)
    stderr.setFormatter(_Plain("%(asctime)s %(name)s: %(message)s"))
    handlers: list[logging.Handler] = [stderr]
    if log_file is not None:
        try:
            file = _File(log_file, delay=False)
        except OSError as error:
            raise ConfigError(f"--log-file {log_file}: {error.strerror}") from None
        file.setFormatter(_Line(component))
        handlers.append(file)
    logging.basicConfig(level=logging.WARNING, handlers=handlers, force=True)
    logging.getLogger("brigade").setLevel(logging.INFO)


def note(event: str, **fields: object) -> None:
    """Log an event with its fields."""
    events.info(event, extra={"fields": fields})
