"""Plain `pytest` with pytest-resilience installed: what it does in an outage, in a blip, after it, and where nothing is ours."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kits.interpreters import environment_of
from tests.kits.light_kit import SUITE, Backend, Team, team_python

BLIP = """
import pathlib
from test_shop import get

def test_blip():
    pathlib.Path("asked.txt").touch()
    get("/blip")
"""


@contextmanager
def coming_back(team: Team, backend: Backend) -> Iterator[None]:
    """Bring the backend up once the first process has come to its end; nobody waits longer than the block."""
    team.put({"tests/test_shop.py": SUITE, "tests/test_zz_blip.py": BLIP})
    stop = threading.Event()

    def bring_up() -> None:
        while not (team.root / "asked.txt").exists() and not stop.wait(0.02):
            pass
        stop.wait(0.6)
        backend.up()

    thread = threading.Thread(target=bring_up)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_in_an_outage_each_failure_is_told_apart_and_the_end_says_not_a_full_pass(team: Team) -> None:
    team.put({"tests/test_bug.py": "def test_bug():\n    assert 1 == 2\n"})
    done = team.pytest()
    assert done.returncode == 1, done.stdout + done.stderr
    *_, staging, tests, counts, whose = done.stdout.rstrip().splitlines()
    assert staging.startswith("STAGING: DOWN (backend_api: connection refused)")
    assert tests == "TESTS: PRODUCT FAILURES (mode degraded); and NOT A FULL RUN"
    assert counts.strip() == "1 passed, 1 failed (product), 1 held back or lost"
    assert "the product's" in whose


def test_where_only_the_outage_failed_tests_the_end_says_blocked_and_pytests_code_stays(team: Team) -> None:
    done = team.pytest()
    assert done.returncode == 1, done.stdout + done.stderr
    assert "TESTS: BLOCKED by infrastructure: NOT A FULL PASS (mode degraded)" in done.stdout
    assert team.pytest("--resilience-exit-code").returncode == 20


def test_a_marked_test_is_held_back_with_the_reason_and_everything_held_back_ends_with_5(team: Team) -> None:
    team.put(
        {
            "tests/test_shop.py": "import pytest\n@pytest.mark.needs_backend\ndef test_it():\n    assert 0\n"
            "@pytest.mark.staging\ndef test_other():\n    assert 0\n"
        }
    )
    done = team.pytest("-rs", "--strict-markers", "-W", "error")
    assert done.returncode == 5, done.stdout + done.stderr
    assert "2 skipped" in done.stdout
    assert "infrastructure unavailable: backend_api is unavailable" in done.stdout.replace("\n", " ")
    assert "BLOCKED by infrastructure: NOT A FULL PASS" in done.stdout


def test_a_test_that_only_a_blip_failed_runs_again_in_a_second_process_and_pytest_ends_with_0(
    team: Team, backend: Backend
) -> None:
    """The service is down for the first run only, and somebody else brings it back while the runbook waits for it."""
    with coming_back(team, backend):
        done = team.pytest("tests", TEST_RETRY_ATTEMPTS="20", TEST_RETRY_DELAY="0.5")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 failed, 1 passed" in done.stdout, "pytest's own account of the first run stays"
    assert "resilience: running 2 tests again in a process of its own" in done.stdout
    assert "2 passed, 1 deselected" in done.stdout
    assert "\nSTAGING: UP (1 of 1 checked)\nTESTS: NOT A FULL PASS" in done.stdout, (
        "the mode was chosen while it was down"
    )
    assert "2 run again, 2 of them passed" in done.stdout


def test_when_staging_is_well_the_pass_is_said_with_how_many_tests_spoke_to_it(team: Team, backend: Backend) -> None:
    backend.up()
    done = team.pytest()
    assert done.returncode == 0, done.stdout + done.stderr
    *_, staging, tests, counts = done.stdout.rstrip().splitlines()
    assert staging == "STAGING: UP (1 of 1 checked)"
    assert tests == "TESTS: PASSED on real staging (mode full): 1 of 2 tests spoke to it"
    assert counts.strip() == "2 passed"
    assert "resilience:" not in done.stdout, "nothing is said before the tests where all is well"


def test_a_look_of_the_last_minute_serves_the_next_pytest_as_well(team: Team, backend: Backend) -> None:
    backend.up()
    team.put({"tests/test_shop.py": "def test_pure():\n    pass\n"})
    team.pytest()
    first = (team.root / ".resilience/state/snapshot.json").read_bytes()
    team.pytest()
    assert (team.root / ".resilience/state/snapshot.json").read_bytes() == first


TIMES = re.compile(r"in \d+\.\d+s|[ =]+$|^[ =]+", re.M)


def same(text: str) -> str:
    return TIMES.sub("", text)


@pytest.mark.parametrize("words", [("-v",), ("-q", "-rA"), ("--markers",), ("--fixtures",)], ids=" ".join)
def test_without_a_configuration_nothing_changes_at_all(team: Team, words: tuple[str, ...]) -> None:
    """Byte by byte the output of an environment that never had this package, but for times and its interpreter's path."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    without = Team(team.root, environment_of(version, ["pytest"]), team.backend)
    (team.root / "resilience.toml").unlink()
    team.put({"tests/test_shop.py": "def test_pure():\n    pass\ndef test_bug():\n    assert 0\n"})
    ours, plain = team.pytest(*words), without.pytest(*words)
    places = ((team, ours), (without, plain))
    shown = [same(done.stdout.replace(str(one.python.parent.parent), "ENVIRONMENT")) for one, done in places]
    assert shown[0] == shown[1]
    assert (ours.stderr, ours.returncode) == (plain.stderr, plain.returncode)
    assert not (team.root / ".resilience").exists()


def test_it_is_switched_off_by_its_name(team: Team) -> None:
    done = team.pytest("-p", "no:resilience")
    assert "STAGING" not in done.stdout
    assert done.returncode == 1


def test_without_the_tool_nothing_runs_again_and_the_end_says_so_with_what_to_type(team: Team, tmp_path: Path) -> None:
    done = team.pytest(RESILIENCE_EXE=str(tmp_path / "none"))
    assert done.returncode == 1, done.stdout + done.stderr
    last = done.stdout.rstrip().splitlines()[-1]
    assert last.startswith("resilience: nobody judged these results, and nothing was run again: ")
    assert last.endswith("Hint: uv tool install resilience-runbook")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'resilience: resilience judge: no such verb.' >&2; exit 2", "too old for this package"),
        ("""read line; echo '{"begin": {"schema": 2}}'; sleep 1""", "is newer than this package"),
        ("echo hello; sleep 1", "is not the runbook"),
        ("exit 0", "ended without a word"),
    ],
)
def test_a_tool_that_is_too_old_too_new_or_something_else_ends_in_a_line_and_not_in_a_failure(
    team: Team, tmp_path: Path, script: str, said: str
) -> None:
    exe = tmp_path / "resilience"
    exe.write_text(f"#!/bin/sh\n{script}\n")
    exe.chmod(0o755)
    done = team.pytest("tests/test_shop.py::test_pure", RESILIENCE_EXE=str(exe))
    assert done.returncode == 0, done.stdout + done.stderr
    assert said in done.stdout.rstrip().splitlines()[-1], done.stdout


def test_a_configuration_that_cannot_be_used_is_named_and_the_tests_run(team: Team) -> None:
    team.put({"resilience.toml": "[[service]\n"})
    done = team.pytest("tests/test_shop.py::test_pure")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "resilience.toml" in done.stdout.rstrip().splitlines()[-1]


def test_a_pytest_that_the_suite_starts_is_left_alone(team: Team, backend: Backend) -> None:
    backend.up()
    team.put(
        {
            "tests/test_inner.py": "import subprocess, sys\n"
            "def test_inner():\n"
            "    done = subprocess.run([sys.executable, '-m', 'pytest', '-q', 'tests/test_shop.py', '-p', 'no:cacheprovider'],"
            " capture_output=True, text=True)\n"
            "    assert 'STAGING' not in done.stdout and done.returncode == 0, done.stdout\n"
        }
    )
    done = team.pytest("tests/test_inner.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("STAGING") == 1


def test_the_junit_file_of_the_first_run_is_not_overwritten_by_the_second(team: Team, backend: Backend) -> None:
    with coming_back(team, backend):
        done = team.pytest("--junitxml=junit.xml", TEST_RETRY_ATTEMPTS="20", TEST_RETRY_DELAY="0.5")
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'tests="3"' in (team.root / "junit.xml").read_text()


# ------------------------------------------------------------------ the env file and the guide's variables

SHOWS = """
import os

def test_shows():
    print("\\nFLAG", os.environ.get("FLAG"), "REDIS_URL", os.environ.get("REDIS_URL"))
"""


def test_the_active_env_file_is_loaded_but_not_over_what_the_shell_exports_unless_asked(
    team: Team, backend: Backend
) -> None:
    backend.up()
    team.put({"config/.env.test.active": "FLAG=file\n", "tests/test_shop.py": SHOWS})
    assert "FLAG file" in team.pytest("-s").stdout
    kept = team.pytest("-s", FLAG="shell").stdout
    assert "FLAG shell" in kept
    assert "kept your shell's own FLAG; config/.env.test.active has others" in kept
    assert "FLAG file" in team.pytest("-s", "--resilience-env-override", FLAG="shell").stdout
    assert "FLAG file" in team.pytest("-s", FLAG="shell", RESILIENCE_ENV_OVERRIDE="true").stdout


def test_a_profile_that_was_only_copied_sends_no_test_to_a_stand_in_that_nobody_started(
    team: Team, backend: Backend
) -> None:
    backend.up()
    config = (team.root / "resilience.toml").read_text() + (
        '[[service]]\nname = "redis"\ntype = "redis"\nurl = "${STAGING_REDIS_URL}"\nlocal = "${REDIS_URL}"\n'
        'exports = { REDIS_URL = "{local}" }\n'
    )
    copied = "FLAG=1\nREDIS_URL=redis://:local-stand-in-only@127.0.0.1:6382/0\n"
    team.put({"resilience.toml": config, "config/.env.test.active": copied, "tests/test_shop.py": SHOWS})
    assert "FLAG 1 REDIS_URL None" in team.pytest("-s").stdout
    team.put({"config/.env.test.active": copied + "RESILIENCE_APPLIED=run\n"})
    assert "FLAG 1 REDIS_URL redis://" in team.pytest("-s").stdout


GIVEN = """
import os

AT_IMPORT = os.environ.get("SHOP_URL")

def test_shows():
    print("\\nGIVEN", AT_IMPORT)
"""


def test_stagings_own_values_are_there_before_the_first_import_where_staging_exports_asks_never_over_the_shells(
    team: Team, backend: Backend
) -> None:
    backend.up()
    config = (team.root / "resilience.toml").read_text()
    exported = 'timeout_s = 2.0\nlocal = "http://127.0.0.1:1"\nexports = { SHOP_URL = "{local}" }'
    config = config.replace("timeout_s = 2.0", exported)
    team.put({"resilience.toml": config, "tests/test_shop.py": GIVEN})
    assert "GIVEN None" in team.pytest("-s").stdout
    team.put({"resilience.toml": f"[runbook]\nstaging_exports = true   # ours\n{config}"})
    assert f"GIVEN {backend.url}" in team.pytest("-s").stdout
    assert "GIVEN http://mine" in team.pytest("-s", SHOP_URL="http://mine").stdout
    assert "GIVEN None" in team.pytest("-s", TEST_OFFLINE="true").stdout


MARKED = """
import pytest

def test_plain(): pass
@pytest.mark.critical
def test_critical(): pass
@pytest.mark.staging
def test_staging(): pass
@pytest.mark.real_services
def test_real(): pass
@pytest.mark.offline_capable
def test_capable(): pass
"""


@pytest.mark.parametrize("tool", [True, False], ids=["with the tool", "without the tool"])
@pytest.mark.parametrize(
    ("variables", "ran"),
    [
        ({"TEST_OFFLINE": "true"}, {"plain", "critical", "capable"}),
        ({"NO_REAL_SERVERS": "true"}, {"plain", "critical", "capable"}),
        ({"TEST_CRITICAL_ONLY": "true"}, {"critical"}),
        ({"SKIP_NON_CRITICAL_TESTS": "1"}, {"critical"}),
        ({}, {"plain", "critical", "staging", "real", "capable"}),
    ],
    ids=["offline", "no real servers", "critical only", "skip the others", "none"],
)
def test_a_mode_that_a_variable_asks_for_chooses_the_tests(
    team: Team, backend: Backend, tool: bool, variables: dict[str, str], ran: set[str]
) -> None:
    backend.up()
    team.put({"tests/test_shop.py": MARKED})
    exe = {} if tool else {"RESILIENCE_EXE": "/none"}
    done = team.pytest("-v", **variables, **exe)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(re.findall(r"::test_(\w+) PASSED", done.stdout)) == ran
    if variables and tool:
        assert "NOT A FULL PASS" in done.stdout


def test_skipping_switched_off_holds_nothing_back(team: Team) -> None:
    team.put({"tests/test_shop.py": "import pytest\n@pytest.mark.needs_backend\ndef test_it():\n    pass\n"})
    assert "1 skipped" in team.pytest().stdout
    assert "1 passed" in team.pytest(TEST_SKIP_ON_INFRASTRUCTURE_FAILURE="false").stdout


# ------------------------------------------------------------------ versions


@pytest.mark.slow
@pytest.mark.parametrize(
    ("python", "version"), [("3.8", "6.2.5"), ("3.8", "8.3.5"), ("3.10", "7.4.4"), ("3.13", "9")], ids="-".join
)
@pytest.mark.parametrize("more", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_every_pytest_from_6_2_to_9_follows(
    tmp_path: Path, backend: Backend, python: str, version: str, more: tuple[str, ...]
) -> None:
    pinned = f"pytest=={version}" if "." in version else f"pytest>={version}"
    team = Team(tmp_path / "team", team_python(python, pinned, "pytest-xdist"), backend)
    team.put({"tests/test_held.py": "import pytest\n@pytest.mark.needs_backend\ndef test_held():\n    pass\n"})
    done = team.pytest("-p", "no:cacheprovider", *more)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 1 passed, 1 skipped" in done.stdout
    assert "BLOCKED by infrastructure: NOT A FULL PASS" in done.stdout
    backend.up()
    (team.root / ".resilience/state/snapshot.json").unlink()
    done = team.pytest(*more)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASSED on real staging (mode full): 1 of 3 tests spoke to it" in done.stdout
