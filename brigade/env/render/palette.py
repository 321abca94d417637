"""Colours of the pictures. None of them carries a meaning alone: shapes and numbers say it too."""

from __future__ import annotations

Colour = tuple[int, int, int]

SKY_TOP: Colour = (10, 14, 38)
SKY_BOTTOM: Colour = (38, 44, 92)
STAR: Colour = (226, 232, 255)
MOON: Colour = (250, 240, 205)
MEADOW: Colour = (34, 66, 58)
MEADOW_EDGE: Colour = (24, 50, 48)
PATH: Colour = (88, 84, 92)
PATH_LIGHT: Colour = (120, 114, 118)

INK: Colour = (236, 240, 255)
INK_SOFT: Colour = (160, 170, 208)
INK_DARK: Colour = (24, 26, 44)
PANEL: Colour = (18, 22, 50)
PANEL_LINE: Colour = (52, 60, 108)

WALL: Colour = (246, 231, 203)
WALL_SHADE: Colour = (222, 200, 166)
WINDOW: Colour = (255, 208, 84)
DOOR: Colour = (118, 76, 52)
WALL_BURNT: Colour = (122, 70, 52)
FLAME_OUTER: Colour = (240, 82, 30)
FLAME_MIDDLE: Colour = (255, 152, 32)
FLAME_INNER: Colour = (255, 232, 132)
RUIN: Colour = (104, 106, 118)
RUIN_DARK: Colour = (62, 64, 78)
SMOKE: Colour = (150, 152, 168)
WATER: Colour = (120, 196, 255)

SKIN: Colour = (250, 214, 178)
HELMET: Colour = (222, 52, 44)
HELMET_BAND: Colour = (255, 214, 72)
NIGHTCAP: Colour = (112, 132, 220)
POMPON: Colour = (250, 250, 255)
HONEST: Colour = (255, 255, 255)
LIE: Colour = (232, 52, 92)
GAIN: Colour = (108, 208, 156)
LOSS: Colour = (244, 122, 108)

# After Okabe and Ito, "Color Universal Design" (2008), lighter where theirs are dark: told apart
# with any colour vision. Further seats repeat them with another shape.
SEATS: tuple[Colour, ...] = (
    (86, 180, 233),
    (230, 159, 0),
    (0, 158, 115),
    (240, 228, 66),
    (214, 135, 180),
    (213, 94, 0),
    (56, 122, 208),
    (228, 228, 234),
)


def seat_colour(seat: int) -> Colour:
    """Give the colour of a seat."""
    return SEATS[seat % len(SEATS)]


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """Give ``one`` with ``share`` of ``other`` in it."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue
