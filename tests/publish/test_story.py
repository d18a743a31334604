"""One outage as a user types it, each verb a process of its own: one comment, three notices, a label, one alert and its resolve."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from resilience.publish.markers import mark_in
from tests.kits.markup import Tags, gfm
from tests.kits.run_kit import change, staging, team
from tests.kits.servers.github import FakeGitHub
from tests.kits.servers.receiver import Receiver
from tests.kits.small_staging import SmallStaging
from tests.report.test_html import FLAGS, browser

__all__ = ["staging", "team"]
pytestmark = pytest.mark.slow
CONFIG = """\
[publish]
repository = "octo/shop"
wait_s = 5

[escalation]
suite_failures = 2
mention = "@shop-oncall"

[watch]
interval_s = 0.05
confirm_s = 0.05

[alerts]
webhook_url = "{receiver}/hook"

[runbook]
issue = "1278"
"""
DRAWN = """
<script src="{mermaid}"></script><script>
for (const code of document.querySelectorAll("pre[lang=mermaid] code")) {{
  const drawn = document.createElement("pre");
  drawn.className = "mermaid"; drawn.textContent = code.textContent; code.closest("pre").replaceWith(drawn);
}}
mermaid.initialize({{ startOnLoad: false }});
mermaid.run().then(() => {{ document.title = "drawn"; }}, (error) => {{ document.title = "failed: " + error; }});
</script>
"""


class Typing:
    """A shell in the team's repository."""

    def __init__(self, team: Path, double: FakeGitHub) -> None:
        self.team = team
        self.environ = {**os.environ, "GITHUB_API_URL": double.url, "GITHUB_TOKEN": "t-bot"}
        for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID"):
            self.environ.pop(name, None)

    def __call__(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "resilience.cli", *words],
            cwd=self.team,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout


def kinds(double: FakeGitHub) -> list[str]:
    marks = [mark_in(one["body"]) for one in double.on()]
    return [mark.kind.value for mark in marks if mark is not None]


def test_an_outage_from_its_first_run_to_its_end(team: Path, staging: SmallStaging, tmp_path: Path) -> None:
    """Published twice, escalated, acknowledged and recovered; what stands on the issue is read as GitHub shows it."""
    with FakeGitHub() as double, Receiver() as receiver:
        change(team, "[runbook]\n", CONFIG.format(receiver=receiver.url))
        type_in = Typing(team, double)
        staging.status = 503
        type_in("run", "-p", "publish=true", code=20)
        assert kinds(double) == ["sticky", "opened"]
        assert double.issues[1278]["labels"] == [{"name": "infrastructure"}]
        first = double.on()[0]["body"]
        type_in("test", code=20)
        type_in("publish")
        assert kinds(double) == ["sticky", "opened"]
        assert double.on()[0]["body"] != first
        type_in("test", code=20)
        type_in("note", "called the provider")
        escalated = type_in("publish")
        assert 'Published the notice "escalated"' in escalated
        assert kinds(double) == ["sticky", "opened", "escalated"]
        assert ["@shop-oncall" in Tags(gfm(one["body"])).loose for one in double.on()] == [False, False, True]
        assert "OPENED" in type_in("watch", "--rounds", "3")
        assert "OPENED" not in type_in("watch", "--rounds", "2")
        type_in("ack", "on it", "--for", "60")
        assert "NOT ESCALATED (acknowledged by" in type_in("assess", code=20)
        staging.status = 200
        assert 'Published the notice "recovered"' not in type_in("publish")
        type_in("run", "--apply", "-p", "publish=true")
        type_in("publish")
        type_in("watch", "--rounds", "5")
        assert kinds(double) == ["sticky", "opened", "escalated", "recovered"]
        assert "called the provider" in type_in("say", "--hand-over")
        assert [one["action"] for one in receiver.bodies].count("resolve") == 1
        assert len({one["key"] for one in receiver.bodies}) == 1
        sticky = double.on()[0]["body"]
    assert "STAGING: UP" in sticky
    shown = seen(sticky, tmp_path)
    assert shown.count('class="mermaid"') == shown.count("<svg") == 1
    assert "<table>" in shown


def seen(markdown: str, folder: Path) -> str:
    """Return the page that Chromium made of a comment, with its diagram drawn by Mermaid itself."""
    npm, chromium = shutil.which("npm"), browser(os.environ)
    if npm is None or chromium is None:
        pytest.skip("no npm or no Chromium on this machine")
    install = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), "mermaid@11"]
    if subprocess.run(install, capture_output=True, timeout=180, check=False).returncode:
        pytest.skip("npm cannot install mermaid here")
    script = folder / "node_modules" / "mermaid" / "dist" / "mermaid.min.js"
    page = folder / "comment.html"
    opened = re.sub("<details>", "<details open>", gfm(markdown))
    page.write_text(f'<meta charset="utf-8">{opened}{DRAWN.format(mermaid=json.dumps(script.as_uri())[1:-1])}')
    flags = [*FLAGS, f"--user-data-dir={folder / 'profile'}", "--allow-file-access-from-files"]
    words = [chromium, *flags, "--virtual-time-budget=20000", "--dump-dom", page.as_uri()]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert "<title>drawn</title>" in done.stdout, done.stdout[-2000:] + done.stderr[-500:]
    return done.stdout
