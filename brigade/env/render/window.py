"""The window of ``render_mode="human"``: pygame's where it is installed, else tkinter's."""

from __future__ import annotations

import time
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from brigade.env.render.picture import picture
from brigade.env.render.snapshot import Snapshot

__all__ = ["Window"]


class _Backend(Protocol):
    """What shows an image: drawn by :meth:`show`, gone after :meth:`close`."""

    def show(self, image: NDArray[np.uint8]) -> None: ...

    def close(self) -> None: ...


class Window:
    """A window that shows one moment after the other, no faster than asked.

    Parameters
    ----------
    title
        Title of the window.

    Raises
    ------
    ValueError
        If this machine has no display, or neither pygame nor tkinter.
    """

    def __init__(self, title: str) -> None:
        self._backend = _open(title)
        self._shown: Snapshot | None = None
        self._when = 0.0

    def show(self, snapshot: Snapshot, fps: float) -> None:
        """Show a snapshot, at most ``fps`` of them in a second; one that is shown costs nothing."""
        if snapshot == self._shown:
            return
        image = picture(snapshot)
        time.sleep(max(0.0, self._when + 1 / fps - time.monotonic()))
        self._backend.show(image)
        self._shown, self._when = snapshot, time.monotonic()

    def close(self) -> None:
        """Close the window."""
        self._backend.close()


def _open(title: str) -> _Backend:
    """Open a window with the first toolkit that can."""
    faults = []
    for name, backend in (("pygame", _Pygame), ("tkinter", _Tkinter)):
        if find_spec(name) is None:
            faults.append(f"{name}: not installed")
            continue
        try:
            return backend(title)
        except Exception as error:  # each toolkit has errors of its own for a missing display
            faults.append(f"{name}: {str(error).strip() or type(error).__name__}")
    raise ValueError(
        f"render_mode='human' found no window to open ({'; '.join(faults)}): "
        "run it where there is a display, or use render_mode='rgb_array' or 'ansi'"
    )


class _Pygame:
    """A pygame window."""

    def __init__(self, title: str) -> None:
        self._pygame: Any = import_module("pygame")
        self._pygame.display.init()
        if self._pygame.display.get_driver() in ("dummy", "offscreen"):
            self._pygame.display.quit()
            raise RuntimeError("no display")
        self._pygame.display.set_caption(title)
        self._screen: Any = None

    def show(self, image: NDArray[np.uint8]) -> None:
        height, width = image.shape[:2]
        if self._screen is None:
            self._screen = self._pygame.display.set_mode((width, height))
        frame = self._pygame.image.frombuffer(image.tobytes(), (width, height), "RGB")
        self._screen.blit(frame, (0, 0))
        self._pygame.event.pump()
        self._pygame.display.flip()

    def close(self) -> None:
        self._pygame.display.quit()


class _Tkinter:
    """A tkinter window."""

    def __init__(self, title: str) -> None:
        tkinter: Any = import_module("tkinter")
        self._root: Any = tkinter.Tk()
        self._root.title(title)
        self._root.resizable(False, False)
        self._photo: Any = None
        self._label: Any = tkinter.Label(self._root, borderwidth=0)
        self._label.pack()
        self._gone = tkinter.TclError

    def show(self, image: NDArray[np.uint8]) -> None:
        height, width = image.shape[:2]
        data = b"P6 %d %d 255 " % (width, height) + image.tobytes()
        tkinter: Any = import_module("tkinter")
        try:
            self._photo = tkinter.PhotoImage(master=self._root, data=data, format="PPM")
            self._label.configure(image=self._photo)
            self._root.update()
        except self._gone:
            return  # the person closed the window: the game goes on unseen

    def close(self) -> None:
        try:
            self._root.destroy()
        except self._gone:
            return
