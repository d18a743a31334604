"""Glue of the CI: today's selection of tests, and who is told that a session ended."""

import json
import os
import pathlib
import time
import uuid

import pytest

SELECTION = json.loads(pathlib.Path(os.environ["CI_SELECTION"]).read_text()) if "CI_SELECTION" in os.environ else None


def tell(**words):
    name = pathlib.Path(SELECTION["asked"]) / uuid.uuid4().hex
    name.with_suffix(".tmp").write_text(json.dumps(words))
    name.with_suffix(".tmp").rename(name.with_suffix(".ask"))
    deadline = time.monotonic() + 15
    while not name.with_suffix(".done").exists() and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    if SELECTION is None:
        return
    wanted = set(SELECTION["ids"])
    dropped = [item for item in items if item.nodeid not in wanted]
    if dropped:
        items[:] = [item for item in items if item.nodeid in wanted]
        config.hook.pytest_deselected(items=dropped)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    if SELECTION is None or not SELECTION["events"]:
        return
    tell(what="settle")
    if item.nodeid in SELECTION["events"]:
        tell(what="restart", service=SELECTION["events"][item.nodeid])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if "CI_REPORTS" not in os.environ:
        return
    report = outcome.get_result()
    if report.when == "call" or report.outcome != "passed":
        error = call.excinfo
        line = {
            "id": item.nodeid,
            "outcome": report.outcome,
            "type": error.typename if error else "",
            "text": str(error.value) if error else "",
        }
        with open(os.environ["CI_REPORTS"], "a") as sink:
            sink.write(json.dumps(line) + "\n")


def pytest_sessionfinish(session):
    if SELECTION is not None and not hasattr(session.config, "workerinput"):
        tell(what="finished")
