"""What other tools read is opened in these tools: npm `ctrf` and npm `allure`, fetched once by npm itself."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from resilience.report import render
from tests.kits import incident_factory as factory

pytestmark = pytest.mark.slow
PACKAGES = ("ctrf@0.3.0", "allure@3.18.0")


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tools; skipped where npm is not there, or cannot reach its registry."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not there")
    folder = tmp_path_factory.mktemp("npm")
    (folder / "package.json").write_text('{"private": true}')
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", *PACKAGES]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        pytest.skip(f"npm install failed: {done.stderr[-200:]}")
    return folder


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    story = factory.drill()
    render(story.incident, story.samples, folder, redactor=None, charts=False)
    return folder


def test_ctrf_validates_strictly_and_counts_the_same(tools: Path, written: Path) -> None:
    script = (
        "import { validateStrict } from 'ctrf';"
        "const r = JSON.parse((await import('fs')).readFileSync(process.argv[2], 'utf8'));"
        "validateStrict(r);"
        "console.log(JSON.stringify(r.results.summary));"
    )
    (tools / "read.mjs").write_text(script)
    done = subprocess.run(
        ["node", "read.mjs", str(written / "ctrf.json")],
        cwd=tools,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (
        summary["tests"]
        == summary["passed"] + summary["failed"] + summary["skipped"] + summary["pending"] + summary["other"]
    )
    assert summary["other"] > 0


def test_allure_makes_a_report_that_holds_every_test_in_its_category(tools: Path, written: Path) -> None:
    out = written / "allure-report"
    command = [
        str(tools / "node_modules" / ".bin" / "allure"),
        "generate",
        str(written / "allure-results"),
        "-o",
        str(out),
    ]
    done = subprocess.run(command, cwd=tools, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    results = list((written / "allure-results").glob("*-result.json"))
    shown = [json.loads(path.read_text()) for path in out.rglob("data/test-results/*.json")]
    assert len(shown) == len(results)
    assert Counter(one["status"] for one in shown) == Counter(
        json.loads(path.read_text())["status"] for path in results
    )
