"""Small line and bar charts as SVG: no library, the same bytes for the same figures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WIDTH, HEIGHT = 760, 340
LEFT, RIGHT, TOP, BOTTOM = 90, 20, 40, 50
COLOURS = ("#1f5fa8", "#c2571a", "#2b8a4b", "#8a4fa3", "#6b6b6b", "#b8860b")
INK, GRID = "#24292f", "#d8dee4"
BAR, SPACE = 18, 8
LABELS = 270

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """One line of a chart."""

    label: str
    points: Sequence[Point]
    dashed: bool = False


def lines(
    title: str, x: str, y: str, drawn: Sequence[Line], text: Callable[[float], str], *, log_x: bool = False
) -> str:
    """A line chart with a logarithmic y axis.

    Args:
        title: Above it.
        x: What the x axis is.
        y: What the y axis is.
        drawn: The lines.
        text: How a value of the y axis is written.
        log_x: Whether the x axis is logarithmic too, its values written as those of the y axis.
    """
    points = [point for line in drawn for point in line.points]
    across = _scale([p[0] for p in points], (LEFT, WIDTH - RIGHT), log=log_x)
    heights = _decades([p[1] for p in points], around=True)
    up = _scale(heights, (HEIGHT - BOTTOM, TOP), log=True)
    parts = [_text(LEFT, 20, title, weight="bold"), _text(WIDTH / 2, HEIGHT - 10, x, anchor="middle")]
    parts.append(_text(14, 34, y, size=11))
    for value in heights:
        parts.append(_rule(LEFT, up(value), WIDTH - RIGHT, up(value)))
        parts.append(_text(LEFT - 8, up(value) + 4, text(value), anchor="end", size=11))
    for value in _decades([p[0] for p in points]) if log_x else _steps([p[0] for p in points]):
        name = text(value) if log_x else f"{value:g}"
        parts.append(_text(across(value), HEIGHT - BOTTOM + 18, name, anchor="middle", size=11))
    for number, line in enumerate(drawn):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{across(a):.1f},{up(b):.1f}" for a, b in line.points)
        dash = ' stroke-dasharray="5 4"' if line.dashed else ""
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        a, b = line.points[-1]
        parts.append(_text(across(a), up(b) - 7, line.label, anchor="end", fill=colour, size=12))
    return _svg(parts, HEIGHT)


def bars(title: str, rows: Sequence[tuple[str, float, bool]], text: Callable[[float], str]) -> str:
    """Horizontal bars from zero: (label, value, whether it is ours)."""
    height = TOP + len(rows) * (BAR + SPACE) + SPACE
    most = max((value for _, value, _ in rows), default=1.0)
    parts = [_text(12, 22, title, weight="bold")]
    for number, (label, value, ours) in enumerate(rows):
        top = TOP + number * (BAR + SPACE)
        length = max(1.0, value / most * (WIDTH - LABELS - 90))
        parts.append(_text(LABELS - 8, top + 13, label, anchor="end", size=12))
        fill = COLOURS[0] if ours else COLOURS[4]
        parts.append(f'<rect x="{LABELS}" y="{top}" width="{length:.1f}" height="{BAR}" fill="{fill}"/>')
        parts.append(_text(LABELS + length + 6, top + 13, text(value), size=12))
    return _svg(parts, height)


def _scale(values: Sequence[float], span: tuple[float, float], *, log: bool) -> Callable[[float], float]:
    of: Callable[[float], float] = math.log10 if log else float
    low, high = of(min(values)), of(max(values))
    width = (high - low) or 1.0
    return lambda value: span[0] + (of(value) - low) / width * (span[1] - span[0])


def _decades(values: Sequence[float], *, around: bool = False) -> list[float]:
    """The powers of ten among the values; or with those just below and above them."""
    ends = math.log10(min(values)), math.log10(max(values))
    low, high = (
        (math.floor(ends[0]), math.ceil(ends[1])) if around else (math.ceil(ends[0]), math.floor(ends[1]))
    )
    return [10.0**power for power in range(low, high + 1)]


def _steps(values: Sequence[float]) -> list[float]:
    high = max(values)
    step = 10.0 ** math.floor(math.log10(high or 1.0))
    step = next(s for s in (step / 5, step / 2, step, 2 * step) if high / s <= 12)
    return [step * n for n in range(math.ceil(min(values) / step), int(high / step) + 1)]


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{GRID}"/>'


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", size: int = 13, weight: str = "normal",
    fill: str = INK,
) -> str:  # fmt: skip
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
        f'fill="{fill}">{escape(text)}</text>'
    )


def _svg(parts: Sequence[str], height: float) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
        'font-family="system-ui, sans-serif">'
    )
    return (
        "\n".join([head, f'<rect width="{WIDTH}" height="{height:.0f}" fill="#ffffff"/>', *parts, "</svg>"])
        + "\n"
    )
