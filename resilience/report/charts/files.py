"""Turn a figure into the files that stand beside the page and the drawing that goes into it."""

from __future__ import annotations

import io
import re
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from PIL import Image

from resilience.report.charts.canvas import BLUE, GRID, INK, PAPER, SOFT, titles

VARIABLES = {
    INK: "var(--chart-ink)",
    SOFT: "var(--chart-soft)",
    GRID: "var(--chart-grid)",
    PAPER: "var(--chart-bg)",
    BLUE: "var(--chart-line)",
}
RC: dict[str, Any] = {
    "svg.fonttype": "none",  # text stays text: a third of the size, can be searched and read aloud
    "text.parse_math": False,  # a $ in a name is a $
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # the widest of the usual ones: what fits in it fits in the reader's
    "hatch.linewidth": 0.9,
    "axes.formatter.use_mathtext": False,
    "path.simplify": True,
}


def svg(figure: Figure) -> str:
    """Return a figure as SVG without metadata, its text as text, its numbers to a hundredth of a point."""
    FigureCanvasSVG(figure)
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", out.getvalue(), flags=re.DOTALL)
    for name, said in titles(figure).items():
        text = text.replace(f'<g id="{name}">', f'<g id="{name}"><title>{escape(said)}</title>', 1)
    # A hundredth of a point is finer than any screen; six digits make the page three times as large.
    return re.sub(r"(\d\.\d\d)\d+", r"\1", text)


def png(figure: Figure, *, any_ground: bool = False) -> bytes:
    """Return a figure as PNG at 160 dpi, with a palette of 96 colours to keep it small.

    `any_ground`: without paper, and with ink that can be read on white and on black, as a notebook's theme may be either and
    what is saved is opened in both. The figure is changed by it.
    """
    canvas: Any = FigureCanvasAgg(figure)
    figure.set_dpi(160)
    if any_ground:
        _recolour(figure)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba()))
    out = io.BytesIO()
    if any_ground:
        image.quantize(colors=128, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(
            out, "PNG", optimize=True, dpi=(160, 160)
        )
        return out.getvalue()
    image = image.convert("RGB")
    image.quantize(colors=96, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
        out, "PNG", optimize=True, dpi=(160, 160)
    )
    return out.getvalue()


_ANY_GROUND = {INK: "#767b82", SOFT: "#767b82", GRID: "#80808055", PAPER: "#00000000", BLUE: "#1f87d0"}
"""Colour → what takes its place where the ground may be white or black: contrast of 4:1 and more on either."""


def _recolour(figure: Figure) -> None:
    """Put the colours of `_ANY_GROUND` into the place of those that stand for the page's."""
    figure.set_facecolor(_ANY_GROUND[PAPER])
    for artist in figure.findobj():
        for part in ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor"):
            read, write = getattr(artist, f"get_{part}", None), getattr(artist, f"set_{part}", None)
            if read is None or write is None:
                continue
            try:
                found = to_hex(read())
            except (TypeError, ValueError):
                continue  # of many things at once, or none
            if found in _ANY_GROUND and to_rgba(read())[3]:
                write(_ANY_GROUND[found])


def inline(svg: str, prefix: str) -> str:
    """Return the drawing for a page: its ids its own, its ink and paper the page's."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = svg.replace("url(#", f"url(#{prefix}-").replace('href="#', f'href="#{prefix}-')
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = svg.replace("<svg", '<svg aria-hidden="true" focusable="false"', 1)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, variable)
    return re.sub(r"\n\s*", "\n", svg)
