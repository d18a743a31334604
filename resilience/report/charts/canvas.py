"""Lay a figure out in inches from the top left, in the colours that every chart shares.

Every chart is drawn wide, for desks, print and PNG, and narrow, for phones. Colours are Okabe and Ito's; ink, grid and paper
are colours that stand for CSS variables where the SVG goes into a page. Figures are made without pyplot, ticks are fixed and
the layout is by hand: log minor ticks under a constrained layout cost 2.4 s, these 0.1 s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from resilience.core.marks import Mark

INK, SOFT, GRID, PAPER, BLUE = "#1b1f24", "#57606a", "#d9dee3", "#ffffff", "#0072b2"


@dataclass(frozen=True, slots=True)
class Frame:
    """The sizes of one drawing. Lengths in inches, fonts in points."""

    narrow: bool

    @property
    def width(self) -> float:
        return 4.1 if self.narrow else 9.6

    @property
    def font(self) -> float:
        return 8.6 if self.narrow else 8.8

    @property
    def small(self) -> float:
        return self.font - 1.0


def figure_of(frame: Frame, height: float) -> Figure:
    return Figure(figsize=(frame.width, height), dpi=100, facecolor=PAPER)


class Sheet:
    """A figure laid out in inches from the top left, as one reads."""

    def __init__(self, frame: Frame, height: float) -> None:
        self.frame, self.height = frame, height
        self.figure = figure_of(frame, height)

    def axes(self, left: float, top: float, width: float, height: float) -> Any:
        """Return axes at this place, in inches from the top left, without a frame at the top and the right."""
        axes = self.figure.add_axes(
            (left / self.frame.width, 1 - (top + height) / self.height, width / self.frame.width, height / self.height)
        )
        axes.set_facecolor("none")
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axes.spines[side].set_color(INK)
            axes.spines[side].set_linewidth(0.8)
        axes.tick_params(colors=INK, labelsize=self.frame.small, width=0.8, length=3, which="major")
        axes.tick_params(which="minor", length=0)
        return axes

    def text(self, left: float, top: float, text: str, **style: Any) -> None:
        style = {"fontsize": self.frame.small, "color": SOFT, "va": "top", "ha": "left", **style}
        self.figure.text(left / self.frame.width, 1 - top / self.height, text, **style)


def short(name: str, limit: int = 22) -> str:
    return name if len(name) <= limit else name[: limit - 1] + "…"


_HOVER: WeakKeyDictionary[Figure, dict[str, str]] = WeakKeyDictionary()


def hover(artist: Any, text: str) -> None:
    """Give a drawn thing a text that a browser shows where the pointer rests; see `titles`."""
    texts = _HOVER.setdefault(artist.axes.figure, {})
    name = f"hover-{len(texts)}"
    texts[name] = text
    artist.set_gid(name)


def titles(figure: Figure) -> Mapping[str, str]:
    """Return the texts of `hover` by the id that their things have in the SVG."""
    return _HOVER.get(figure, {})


def hover_area(axes: Any, at: tuple[float, float], width: float, height: float, text: str) -> None:
    """Add an area that nobody sees, and that has a text where the pointer rests; what has no area at all gets none."""
    area = Rectangle(at, width, height, facecolor=PAPER, alpha=0.004, linewidth=0, zorder=5)
    axes.add_patch(area)
    hover(area, text)


def bar(
    axes: Any, at: tuple[float, float], width: float, height: float, mark: Mark, *, edge: float = 0, says: str = ""
) -> None:
    """Add a bar in the fill and the hatch of a mark; `edge` is the width of the line around it, in points.

    `says` is what a browser shows where the pointer rests on it.
    """
    shape = Rectangle(at, width, height, facecolor=mark.fill, hatch=mark.hatch, edgecolor=PAPER, linewidth=edge)
    axes.add_patch(shape)
    if says:
        hover(shape, says)


def legend(sheet: Sheet, marks: Sequence[Mark], left: float, height: float) -> None:
    """Name the marks in a row at the top of the sheet, from `left` on; what does not fit goes on below.

    Widths of words are estimated by their letters: to measure text would mean to draw it twice.
    """
    axes = sheet.axes(0, 0, sheet.frame.width, height)
    axes.set_axis_off()
    axes.set_xlim(0, sheet.frame.width)
    axes.set_ylim(height, 0)
    at, line = left, 0.13
    for mark in marks:
        size = 0.30 + 0.066 * len(mark.word) + 0.16
        if at + size > sheet.frame.width and at > left:
            at, line = left, line + 0.2
        bar(axes, (at, line - 0.055), 0.24, 0.12, mark)
        axes.text(at + 0.30, line, mark.word, fontsize=sheet.frame.small, color=INK, va="center")
        at += size
