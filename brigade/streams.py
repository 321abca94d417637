"""Standard streams that may lack letters, or go away while a command goes on."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from typing import Any, TextIO, cast

# How a stream without these letters writes them; ``tests/run/test_letters.py`` sees that all that
# are printed are here.
IN_ASCII = {"±": "+-", "λ": "lambda", "…": "...", "✓": "+", "·": "-", "▀": "#"}


def prepare() -> None:
    """See that the standard streams are open, and that no letter is one too many for them."""
    fill_gaps()
    codecs.register_error("brigade-ascii", _spell)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="brigade-ascii")


def _spell(error: UnicodeError) -> tuple[str, int]:
    r"""Write what an encoding lacks in ASCII (``+-``, ``\xe9``), as a codec's error handler.

    Raises
    ------
    UnicodeError
        The error is none of encoding.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    spelled = (IN_ASCII.get(c) or c.encode("ascii", "backslashreplace").decode() for c in lacking)
    return "".join(spelled), error.end


def fill_gaps() -> None:
    """See that descriptors 0 to 2 are open, so that no file or socket of ours becomes one of them.

    They may have been closed by whoever started us (``2>&-``).
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)


class Lasting:
    """A text stream that does not fail: once it cannot be written to, what is written is dropped.

    The reader of a pipe may leave (``| head``), and the disk behind a file fill up. What a person
    was to see is lost then, and the work goes on.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = open(os.devnull, "w") if stream is None else stream  # noqa: PTH123, SIM115

    def write(self, text: str) -> int:
        """Write, if that is possible."""
        try:
            return self._stream.write(text)
        except (OSError, ValueError):
            self._lose()
            return len(text)

    def flush(self) -> None:
        """Flush, if that is possible."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self._lose()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _lose(self) -> None:
        """Let what is still in the buffer, and all that follows, go nowhere."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


def outlast() -> None:
    """Let this process go on whatever becomes of its output."""
    sys.stdout = cast(TextIO, Lasting(sys.stdout))
    sys.stderr = cast(TextIO, Lasting(sys.stderr))


def give_up(error: OSError) -> int:
    """End a command whose output cannot be written, without a word to a pipe that nobody reads.

    Returns the exit code.
    """
    if not isinstance(error, BrokenPipeError):
        with contextlib.suppress(OSError, ValueError):
            print(f"brigade: cannot write the output: {error.strerror}", file=sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            Lasting(stream)._lose()
    return 1
