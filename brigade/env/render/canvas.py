"""A drawing surface in logical pixels, drawn larger and scaled down, so that edges are smooth."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from brigade.env.render.palette import Colour
from brigade.extras import require

if TYPE_CHECKING:
    from PIL import Image

OVERSAMPLING = 2

Point = tuple[float, float]


@cache
def _font(size: int) -> Any:
    """Give Pillow's own font at ``size`` real pixels: no file of the system is read."""
    from PIL import ImageFont

    return ImageFont.load_default(size)


class Canvas:
    """Shapes and text on an image.

    Parameters
    ----------
    image
        What to draw on, ``OVERSAMPLING`` times as large as the logical surface; it is drawn over.
    """

    def __init__(self, image: Image.Image) -> None:
        from PIL import ImageDraw

        self._image = image
        self._draw = ImageDraw.Draw(image, "RGBA")

    @staticmethod
    def blank(width: int, height: int) -> Canvas:
        """Give a black surface of ``width`` by ``height`` logical pixels.

        Raises
        ------
        MissingExtra
            The extra ``render`` is not installed.
        """
        require("a picture", "render")
        from PIL import Image

        return Canvas(Image.new("RGB", (width * OVERSAMPLING, height * OVERSAMPLING)))

    def copy(self) -> Canvas:
        """Give a surface with the same picture."""
        return Canvas(self._image.copy())

    def pixels(self) -> NDArray[np.uint8]:
        """Give the picture scaled down, uint8 ``[height, width, 3]``."""
        return np.array(self._image.reduce(OVERSAMPLING), dtype=np.uint8)

    def gradient(self, top: Colour, bottom: Colour) -> None:
        """Fill everything, from ``top`` to ``bottom``."""
        from PIL import Image

        width, height = self._image.size
        share = np.linspace(0.0, 1.0, height)[:, None]
        column = np.array(top) * (1 - share) + np.array(bottom) * share
        rows = np.rint(column).astype(np.uint8)[:, None, :].repeat(width, axis=1)
        self._image.paste(Image.fromarray(np.ascontiguousarray(rows)))

    def polygon(self, points: Iterable[Point], fill: Colour, alpha: int = 255) -> None:
        """Fill a polygon."""
        self._draw.polygon([_scaled(point) for point in points], fill=(*fill, alpha))

    def line(
        self, points: Iterable[Point], colour: Colour, width: float = 1.0, alpha: int = 255
    ) -> None:
        """Draw a line through points."""
        self._draw.line(
            [_scaled(point) for point in points],
            fill=(*colour, alpha),
            width=_pixels(width),
            joint="curve",
        )

    def circle(
        self,
        centre: Point,
        radius: float,
        fill: Colour | None = None,
        alpha: int = 255,
        outline: Colour | None = None,
        width: float = 0.0,
    ) -> None:
        """Draw a disc, a ring, or both."""
        self.oval(centre, radius, radius, fill, alpha, outline, width)

    def oval(
        self,
        centre: Point,
        half_width: float,
        half_height: float,
        fill: Colour | None = None,
        alpha: int = 255,
        outline: Colour | None = None,
        width: float = 0.0,
    ) -> None:
        """Draw an upright ellipse."""
        self._draw.ellipse(
            _box(centre, half_width, half_height),
            fill=None if fill is None else (*fill, alpha),
            outline=None if outline is None else (*outline, 255),
            width=0 if outline is None else _pixels(width),
        )

    def slice(
        self, centre: Point, radius: float, start: float, end: float, fill: Colour, alpha: int = 255
    ) -> None:
        """Fill a slice of a disc between two angles in degrees, clockwise from three o'clock."""
        self._draw.pieslice(_box(centre, radius, radius), start, end, fill=(*fill, alpha))

    def arc(
        self, centre: Point, radius: float, start: float, end: float, colour: Colour, width: float
    ) -> None:
        """Draw a part of a ring between two angles in degrees, clockwise from three o'clock."""
        self._draw.arc(
            _box(centre, radius, radius), start, end, fill=(*colour, 255), width=_pixels(width)
        )

    def card(
        self,
        left_top: Point,
        right_bottom: Point,
        radius: float,
        fill: Colour,
        alpha: int = 255,
        outline: Colour | None = None,
        width: float = 0.0,
    ) -> None:
        """Draw a rectangle with round corners; a tiny one without corners and outline."""
        left, top = map(round, _scaled(left_top))  # whole numbers: Pillow 10 trips over others
        right, bottom = map(round, _scaled(right_bottom))
        largest = min(right - left, bottom - top) // 2 - 2
        if largest < 1:
            self._draw.rectangle([(left, top), (right, bottom)], fill=(*fill, alpha))
            return
        self._draw.rounded_rectangle(
            [(left, top), (right, bottom)],
            radius=min(round(radius * OVERSAMPLING), largest),
            fill=(*fill, alpha),
            outline=None if outline is None else (*outline, 255),
            width=0 if outline is None else _pixels(width),
        )

    def glow(self, centre: Point, radius: float, colour: Colour, alpha: int) -> None:
        """Let light fall off from ``centre`` to ``radius``."""
        rings = max(6, min(24, round(radius / 2)))
        for ring in range(rings):
            self.circle(centre, radius * (1 - ring / rings), colour, max(1, alpha // rings))

    def text(
        self,
        at: Point,
        words: str,
        size: float,
        colour: Colour,
        anchor: str = "mm",
        bold: bool = False,
    ) -> None:
        """Write one line; ``anchor`` as Pillow names it."""
        self._draw.text(
            _scaled(at),
            words,
            fill=(*colour, 255),
            font=_font(_pixels(size)),
            anchor=anchor,
            stroke_width=max(1, _pixels(size) // 24) if bold else 0,
        )

    def text_width(self, words: str, size: float) -> float:
        """Give the width of ``words`` in logical pixels."""
        return float(_font(_pixels(size)).getlength(words)) / OVERSAMPLING


def _scaled(point: Point) -> Point:
    return point[0] * OVERSAMPLING, point[1] * OVERSAMPLING


def _pixels(length: float) -> int:
    return max(1, round(length * OVERSAMPLING))


def _box(centre: Point, half_width: float, half_height: float) -> list[Point]:
    x, y = centre
    return [_scaled((x - half_width, y - half_height)), _scaled((x + half_width, y + half_height))]
