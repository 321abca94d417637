"""Games as films: .gif with Pillow, .mp4 with ffmpeg where there is one."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["find_ffmpeg", "write_gif", "write_mp4"]

Frame = NDArray[np.uint8]

HOLD = 3.0
"""Seconds for which the last frame stays longer than the others."""


def write_gif(path: Path, frames: Iterable[Frame], fps: float) -> None:
    """Write frames ``[height, width, 3]`` as an endless .gif; the last one is held."""
    images = _with_one_palette(frames)
    first = next(images)
    rest = list(images)
    duration = max(20, round(1000 / fps))
    first.save(
        path,
        format="GIF",
        save_all=True,
        append_images=rest,
        duration=[duration] * len(rest) + [duration + round(1000 * HOLD)],
        loop=0,
        optimize=False,
    )


def _with_one_palette(frames: Iterable[Frame]) -> Iterator[Image.Image]:
    """Give frames the colours of a few of them, so that what stands still does not flicker."""
    from PIL import Image

    images = [Image.fromarray(frame) for frame in frames]
    some = images[:: max(1, len(images) // 4)]
    sheet = Image.new("RGB", (some[0].width, some[0].height * len(some)))
    for index, image in enumerate(some):
        sheet.paste(image, (0, index * image.height))
    palette = sheet.quantize(colors=255, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    for image in images:
        yield image.quantize(palette=palette, dither=Image.Dither.NONE)


def find_ffmpeg() -> str:
    """Give the path of an ffmpeg: imageio's, or the system's."""
    if find_spec("imageio_ffmpeg") is not None:
        path: str = import_module("imageio_ffmpeg").get_ffmpeg_exe()
        return path
    found = shutil.which("ffmpeg")
    if found is None:
        raise ValueError(
            "a .mp4 needs ffmpeg, which is not here: pip install imageio-ffmpeg, or record a .gif"
        )
    return found


def write_mp4(path: Path, frames: Iterable[Frame], fps: float) -> None:
    """Write frames ``[height, width, 3]``, of even sides, as .mp4; the last one is held."""
    program = find_ffmpeg()
    frames = iter(frames)
    first = next(frames)
    height, width = first.shape[:2]
    command = [program, "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{width}x{height}", "-r", f"{fps:g}", "-i", "-", "-an"]
    command += ["-vcodec", "libx264", "-pix_fmt", "yuv420p", "-f", "mp4", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        try:
            last = first
            for last in chain([first], frames):
                process.stdin.write(last.tobytes())
            for _ in range(round(HOLD * fps)):
                process.stdin.write(last.tobytes())
        except BrokenPipeError:
            pass  # its own words follow
        _, words = process.communicate()
    if process.returncode != 0:
        fault = words.decode(errors="replace").strip().splitlines()[-1:]
        raise ValueError(f"ffmpeg could not write {str(path)!r}: {''.join(fault)}")
