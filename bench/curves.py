"""Learning curves as a picture: an SVG of normalised scores over transitions."""

from __future__ import annotations

from dataclasses import dataclass

WIDTH, HEIGHT = 960, 420
LEFT, RIGHT, TOP, BOTTOM = 64, 190, 28, 52
COLOURS = ("#b91c1c", "#1d4ed8", "#15803d", "#b45309", "#7e22ce", "#0e7490")
INK, PALE = "#0f172a", "#cbd5e1"


@dataclass(frozen=True)
class Curve:
    """One population's way."""

    name: str
    points: list[tuple[float, float]]  # (transitions, share), in order
    reference: float  # the scripted team's share, a dashed line


def draw(curves: list[Curve]) -> str:
    """Draw all curves into one picture."""
    most = max(x for curve in curves for x, _ in curve.points)
    low = min(0.0, *(y for curve in curves for _, y in curve.points))
    bottom = -0.25 if low < 0 else 0.0

    def place(x: float, y: float) -> tuple[float, float]:
        across = LEFT + x / most * (WIDTH - LEFT - RIGHT)
        down = TOP + (1 - max(y, bottom)) / (1 - bottom) * (HEIGHT - TOP - BOTTOM)
        return round(across, 1), round(down, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="14">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
    ]
    for step in range(5):
        y = step / 4
        (x0, down), (x1, _) = place(0, y), place(most, y)
        parts.append(f'<path d="M{x0} {down}H{x1}" stroke="{PALE}"/>')
        parts.append(_text(x0 - 8, down + 5, f"{y:g}", "end"))
    for step in range(5):
        x = most * step / 4
        across, down = place(x, bottom)
        parts.append(_text(across, down + 22, f"{x / 1e6:.3g} M", "middle"))
    parts.append(_text(LEFT, TOP - 10, "normalised score", "start"))
    parts.append(_text(WIDTH - RIGHT, HEIGHT - 8, "agent-transitions, all agents", "end"))
    label_at = float("-inf")
    ordered = sorted(zip(curves, COLOURS * 3, strict=False), key=lambda p: -p[0].points[-1][1])
    for curve, colour in ordered:
        line = " ".join(f"{a},{b}" for a, b in (place(x, y) for x, y in curve.points))
        (x0, down), (x1, _) = place(0, curve.reference), place(most, curve.reference)
        parts.append(
            f'<path d="M{x0} {down}H{x1}" stroke="{colour}" stroke-dasharray="2 6" opacity="0.6"/>'
        )
        script = f"spread-out script on {curve.name} {curve.reference:.2f}"
        parts.append(_text(x1 - 8, down + 16, script, "end"))
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2.5" '
            'stroke-linejoin="round"/>'
        )
        end_x, end_y = place(*curve.points[-1])
        label_at = max(end_y + 5, label_at + 18)
        label = f"{curve.name}  {curve.points[-1][1]:.2f}"
        parts.append(_text(end_x + 10, label_at, label, "start", colour))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _text(x: float, y: float, text: str, anchor: str, colour: str = INK) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{colour}">{text}</text>'
