"""A link is relative to the page, and there is none where the page's server would not open it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from resilience.notebook.links import Links, links_of
from resilience.notebook.serving import ROOT


@pytest.fixture
def served(tmp_path: Path) -> Path:
    for name in ("notebooks", "outputs/a b", ".resilience/outputs"):
        (tmp_path / "repo" / name).mkdir(parents=True)
        (tmp_path / "repo" / name / "report.html").write_text("")
    (tmp_path / "elsewhere.html").write_text("")
    return (tmp_path / "repo").resolve()


def test_a_file_of_the_repository_is_reached_from_the_page_whatever_host_and_base_url(served: Path) -> None:
    links = Links(folder=served / "notebooks", root=served)
    assert links.to(served / "outputs" / "a b" / "report.html") == "../outputs/a%20b/report.html"


def test_there_is_no_link_to_what_is_not_there_not_served_or_hidden(served: Path) -> None:
    links = Links(folder=served / "notebooks", root=served)
    assert links.to(served / "outputs" / "none.html") == ""
    assert links.to(served.parent / "elsewhere.html") == ""
    assert links.to(served / ".resilience" / "outputs" / "report.html") == ""
    ours = Links(folder=served / "notebooks", root=served, hidden=True)
    assert ours.to(served / ".resilience" / "outputs" / "report.html") == "../.resilience/outputs/report.html"
    assert Links().to(served / "outputs") == ""


def test_the_page_and_what_is_served_are_known_from_the_kernels_surroundings(
    served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = str(served / "notebooks" / "00_incident.ipynb")
    folder = served / "notebooks"
    assert links_of({"JPY_SESSION_NAME": page, ROOT: str(served)}) == Links(folder=folder, root=served, hidden=True)
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    assert links_of({"JPY_SESSION_NAME": page}) == Links()
    (tmp_path / f"jpserver-{os.getppid()}.json").write_text(json.dumps({"root_dir": str(served)}))
    assert links_of({"JPY_SESSION_NAME": page}) == Links(folder=folder, root=served)
    assert links_of({}) == Links()
    assert links_of({}, headless=served) == Links(folder=served)
