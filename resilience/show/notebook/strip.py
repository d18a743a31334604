"""Show how things stand in one line of fields that stays at the top of the page, with the next step behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from resilience.core.marks import Mark, Tone
from resilience.core.moments import clock
from resilience.show.notebook.blocks import marked, page

_STYLE = """<style>
.jp-Notebook .jp-Cell:has(.rb-strip){position:sticky;top:0;z-index:9;background:var(--jp-layout-color0,#fff)!important;
border-bottom:1px solid var(--jp-border-color1,rgba(128,128,128,.5));padding-top:2px;padding-bottom:4px}
.rb.rb .rb-strip table{width:100%;margin:0}
.rb.rb .rb-strip td{border:0;padding:0 1.2em 0 0;max-width:none;line-height:1.35}
.rb .rb-strip .below{font-size:12px}
body:has(.rb-live) .rb-saved{display:none}
.jp-Notebook .jupyter-widgets.jp-OutputArea-output:not(:has(*)){display:none}
.jp-Notebook .rb-gone{display:none}
.jp-Notebook:not(:has(.widget-html)):not(:has(.jp-CodeMirrorEditor .highlight)) .rb-gone{display:block}
.jp-Notebook .jp-CodeCell .jp-Cell-inputWrapper:has(.highlight){display:none}
.jp-Notebook .rb-here{outline:none!important;box-shadow:none!important;height:1px;min-height:0;margin:0;padding:0;border:0;
opacity:0;scroll-margin-top:20rem;scroll-margin-bottom:75vh}
.jp-Notebook .jp-OutputArea-child:has(.rb-here){height:0;overflow:visible}
.jp-Notebook .jp-Cell:has(.rb-strip) :is(.jp-Cell-inputWrapper,.jp-OutputArea-promptOverlay){display:none}
.jp-Notebook .jp-OutputArea-child:has(.rb-run){display:none}
.jp-Notebook .jp-Cell:has(.rb-strip) .jp-OutputPrompt{visibility:hidden}
.jp-Notebook .jp-Cell .jp-InputPlaceholder{font-size:10px;line-height:1;min-height:0;padding:0;border:0;
background:none;opacity:.5}
.jp-Notebook .jp-Cell .jp-InputPlaceholder *{font-size:10px;line-height:1;padding:0;border:0;background:none}
</style>"""
"""Stays at the top where JupyterLab scrolls. What is shown by a widget replaces what is saved of it while its kernel lives, and
a widget whose kernel is gone says nothing; the code, which nbconvert does not hide by itself, is hidden there too. What stands for
hidden code keeps its height in the active cell: a click makes its cell the active one, and missed what moved below it."""

GONE = "The buttons went with the kernel: Run, then Run All Cells brings them back and changes nothing."


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One field of the strip: what it is about, the word for it, what stands below, and how good it is."""

    about: str
    word: str
    below: str = ""
    tone: Tone = Tone.QUIET


def strip_view(facts: Sequence[Fact], then: str, *, at: datetime, live: bool) -> str:
    """Return the strip: a field a fact, then what comes next. `live` is the one that follows the kernel, else what is saved."""
    fields = "".join(
        f'<td><span class="dim">{escape(fact.about.upper())}</span> {marked(Mark(word=fact.word, tone=fact.tone))}'
        f'<br><span class="dim below">{escape(fact.below)}</span></td>'
        for fact in facts
    )
    table = f"<table><tr>{fields}</tr></table>"
    if live:
        return page(f'<div class="rb-strip rb-live">{table}</div>')
    next_step = f"<div>{then}</div>" if then else ""
    gone = f'<div class="rb-gone dim">{escape(GONE)}</div>'
    stamp = f'<div class="dim">as of {at:%Y-%m-%d} {clock(at, now=at)}</div>'
    return _STYLE + page(f'<div class="rb-strip rb-saved">{table}{next_step}{stamp}{gone}</div>')


def strip_text(facts: Sequence[Fact], then: str, *, at: datetime) -> str:
    """Return the strip as one line a field, for papermill's log and a page without HTML."""
    stamp = f"as of {at:%Y-%m-%d} {clock(at, now=at)}"
    lines = [f"{fact.about.upper()}: {fact.word}" + (f" ({fact.below})" if fact.below else "") for fact in facts]
    return "\n".join([stamp, *lines, *([then] if then else [])])


def step_text(label: str, why: str, notebook: str = "") -> str:
    """Return the next step as a line: what to click, why, and in which notebook where it is not this one."""
    said = f"Next: {label.rstrip('…')}" if label else ""
    said += f" ({notebook}.ipynb)" if label and notebook else ""
    return " · ".join(filter(None, (said, why)))


def step_view(label: str, why: str, notebook: str = "") -> str:
    """Return the next step as a line that is read where nothing can be clicked, with a link to the other notebook."""
    said = f"Next: <b>{escape(label.rstrip('…'))}</b>" if label else ""
    said += f' in <a href="{escape(notebook)}.ipynb">{escape(notebook)}</a>' if label and notebook else ""
    return " · ".join(filter(None, (said, escape(why))))
