"""Write the blocks that every view of a notebook is made of: boxes, pills, tables, lists and folded parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape

from resilience.core.errors import ResilienceError
from resilience.core.marks import LOOKS, Mark, Tone
from resilience.core.moments import clock

GOOD, WARN, BAD, DIM = (LOOKS[tone].ink for tone in (Tone.GOOD, Tone.PARTIAL, Tone.BAD, Tone.QUIET))

# Theme colours come from JupyterLab's variables where there are any, else from the page around.
_STYLE = """<style>
.rb{font-family:var(--jp-ui-font-family,system-ui,sans-serif);font-size:14px;line-height:1.45;max-width:72rem;
color:var(--jp-ui-font-color1,inherit)}
.rb .head{font-size:16px;font-weight:600;margin:.2em 0 .5em}
.rb.rb table{border-collapse:collapse;margin:.3em 0 .8em;width:auto}
.rb.rb th,.rb.rb td{text-align:left;vertical-align:top;padding:.25em .9em .25em 0;border:0;background:none;
border-bottom:1px solid var(--jp-border-color2,rgba(128,128,128,.35));white-space:normal;max-width:34rem;
overflow-wrap:anywhere}
.rb.rb th{font-weight:600;color:var(--jp-ui-font-color2,inherit);white-space:nowrap}
.rb.rb td.num{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.rb.rb td.line{white-space:nowrap}
.rb.rb td.place{min-width:13.5em}
.rb .pill{display:inline-block;border-radius:1em;padding:0 .65em;color:#fff;font-weight:600;white-space:nowrap}
.rb .dim{color:var(--jp-ui-font-color2,inherit);opacity:.9}
.rb ul,.rb ol{margin:.2em 0 .8em;padding-left:1.4em}
.rb.rb code,.rb.rb pre{font-family:var(--jp-code-font-family,ui-monospace,monospace);font-size:13px;background:none;
color:inherit;white-space:pre-wrap;overflow-wrap:anywhere}
.rb.rb pre{border:1px solid var(--jp-border-color2,rgba(128,128,128,.35));border-radius:4px;
padding:.5em .8em;margin:.3em 0}
.rb .box{border-left:4px solid;padding:.4em .8em;margin:.4em 0}
.rb .bar{display:flex;height:14px;border-radius:7px;overflow:hidden;max-width:40rem;
background:var(--jp-border-color2,rgba(128,128,128,.35))}
.rb .bar i{display:block;height:100%}
.rb .cell{display:inline-block;width:1.5em;height:1.5em;line-height:1.5em;text-align:center;border-radius:3px;
color:#fff;margin-right:3px;font-weight:600}
.rb .cell.todo{border:1px dashed var(--jp-ui-font-color2,currentColor);color:inherit;box-sizing:border-box}
.rb summary{cursor:pointer}
.rb.rb tr{background:none}
.rb details{margin:.3em 0}
.rb svg{vertical-align:middle}
.rb img.chart{max-width:100%;background:#fff;margin:.3em 0}
[data-jp-theme-light=false] .rb img.chart,.vscode-dark .rb img.chart{filter:invert(.92) hue-rotate(180deg)}
</style>"""


def page(*parts: str) -> str:
    """Wrap fragments into one with our style, and keep MathJax from reading a shell's `$(…)` as a formula."""
    return f'{_STYLE}<div class="rb tex2jax_ignore mathjax_ignore">{"".join(parts)}</div>'


def as_of(at: datetime) -> str:
    """Return 'as of 03:14 UTC', beside what the clock on the wall shows where that differs."""
    return f"as of {clock(at, now=at)}"


def stamp(at: datetime) -> str:
    """Return the time that what follows is true of: the page is read later, and beside newer results."""
    return f'<div class="dim">{escape(as_of(at))}</div>'


def head(line: str) -> str:
    return f'<div class="head">{escape(line)}</div>'


BOXES = {"bad": Tone.BAD, "warn": Tone.PARTIAL, "good": Tone.GOOD, "unknown": Tone.UNKNOWN}


def box(message: str, *, kind: str = "note", hint: str = "") -> str:
    """Return a box that cannot be overlooked: a note, or one whose `kind` is good, warn, bad or unknown."""
    tone = BOXES.get(kind)
    colour, sign = (LOOKS[tone].ink, f"{LOOKS[tone].sign} ") if tone else (DIM, "")
    after = f'<br><span class="dim">What to do: </span><code>{escape(hint)}</code>' if hint else ""
    return f'<div class="box" style="border-color:{colour}"><b>{sign}{escape(message)}</b>{after}</div>'


def error(exc: BaseException) -> str:
    """Return an error as a box: what happened, and what to do."""
    if isinstance(exc, ResilienceError):
        return box(f"{type(exc).__name__}: {exc.message}", kind="bad", hint=exc.hint)
    return box(f"{type(exc).__name__}: {str(exc) or 'no message'}", kind="bad", hint="see the run's logs/ folder")


def busy(what: str, lines: Sequence[str] = ()) -> str:
    """Return what is being done, and its latest steps."""
    steps = "".join(f"<li>{escape(line)}</li>" for line in lines[-8:])
    return head(f"{what} …") + (f"<ul>{steps}</ul>" if steps else "")


def yes_or_no(well: bool, word: str, other: str) -> str:
    return marked(Mark(word=word, tone=Tone.GOOD) if well else Mark(word=other, tone=Tone.BAD))


def marked(mark: Mark) -> str:
    return pill_of(mark.look.ink, mark.signed)


def pill_of(colour: str, words: str) -> str:
    return f'<span class="pill" style="background:{colour}">{escape(words)}</span>'


def table(columns: Sequence[str], rows: Iterable[Sequence[tuple[str, str]]]) -> str:
    top = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(
        "<tr>"
        + "".join(f'<td class="{kind}">{cell}</td>' if kind else f"<td>{cell}</td>" for kind, cell in row)
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def listed(lines: Iterable[str], *, code: bool = False) -> str:
    items = "".join(f"<li><code>{escape(x)}</code></li>" if code else f"<li>{escape(x)}</li>" for x in lines)
    return f"<ul>{items}</ul>" if items else ""


def links_view(links: Mapping[str, str]) -> str:
    """Return the files that can be opened from the page, by name; nothing for those without a link."""
    found = [f'<a href="{escape(href)}">{escape(name)}</a>' for name, href in links.items() if href]
    return f"<div>Open: {' · '.join(found)}</div>" if found else ""


def folded(title: str, body: str, *, is_open: bool = False) -> str:
    return f"<details{' open' if is_open else ''}><summary>{escape(title)}</summary>{body}</details>" if body else ""


def by_hand_view(lines: Sequence[str]) -> str:
    if not lines:
        return ""
    return folded("The same by hand", f"<pre>{escape(chr(10).join(lines))}</pre>")
