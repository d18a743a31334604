"""resilience.report.mermaid: the diagram holds no text of a service, and Mermaid itself can read it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from resilience.report.mermaid import gantt
from resilience.report.series import Columns
from resilience.report.view import build
from tests.kits import incident_factory as factory
from tests.kits.markup import STORIES


def test_the_diagram_holds_no_text_of_a_service() -> None:
    story = factory.hostile()
    view = build(story.incident, Columns.of(story.samples))
    diagram = gantt(view)
    assert "evil" not in diagram
    assert "devops" not in diagram
    assert len(diagram) < 6_000


PARSE = """
import { JSDOM } from "jsdom"; import fs from "fs";
const dom = new JSDOM("<body></body>"); globalThis.window = dom.window; globalThis.document = dom.window.document;
const mermaid = (await import("mermaid")).default;
for (const file of process.argv.slice(2)) { await mermaid.parse(fs.readFileSync(file, "utf8")); }
console.log("parsed");
"""


@pytest.mark.slow
def test_mermaid_itself_parses_every_diagram(tmp_path: Path) -> None:
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("no npm on this machine")
    install = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(tmp_path), "mermaid", "jsdom"]
    if subprocess.run(install, capture_output=True, timeout=180, check=False).returncode:
        pytest.skip("npm cannot install mermaid here")
    (tmp_path / "parse.mjs").write_text(PARSE)
    files = []
    for tell in STORIES:
        story = tell()
        if text := gantt(build(story.incident, Columns.of(story.samples))):
            files.append(tmp_path / f"{tell.__name__}.mmd")
            files[-1].write_text(text)
    assert len(files) == 4
    done = subprocess.run(
        [node, "parse.mjs", *map(str, files)], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == "parsed\n", done.stderr
