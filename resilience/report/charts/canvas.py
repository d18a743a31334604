"""Lay a figure out in inches from the top left, in the colours that every chart shares.

Every chart is drawn wide, for desks, print and PNG, and narrow, for phones. Colours are Okabe and Ito's; ink, grid and paper
are colours that stand for CSS variables where the SVG goes into a page. Figures are made without pyplot, ticks are fixed and
the layout is by hand: log minor ticks under a constrained layout cost 2.4 s, these 0.1 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

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
