"""Every snippet and script of the outage guide, run as it is written there but for the package's name.

The numbers are those of the fenced blocks in tests/data/outage-guide.md; docs/guide.md has the table.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from resilience.host.files import read_env_file
from resilience.lab.lab import Lab
from resilience.lab.proxy import Dial, Mode
from tests.kits.guide_kit import TESTS, GuideTeam, compose_checker, snippets

pytestmark = pytest.mark.slow

GONE = Dial(mode=Mode.REFUSE)
ALL = snippets()


def text(number: int) -> str:
    return ALL[number].ours


def break_(lab: Lab, *names: str) -> None:
    for name in names:
        asyncio.run(lab.turn(name, GONE))


def test_the_guide_has_34_snippets_and_each_is_run_by_a_test_here() -> None:
    assert len(ALL) == 34
    here = Path(__file__).read_text()
    used = {int(number) for number in re.findall(r"\btext\((\d+)\)", here)} | {11}
    assert used == set(ALL)


def test_quick_start_copy_and_run(team: GuideTeam, lab: Lab) -> None:
    break_(lab, "redis")
    done = team.bash(text(1))
    assert "test_sessions SKIPPED" in done.stdout, done.stdout + done.stderr
    assert "STAGING: DEGRADED (redis: connection refused)" in done.stdout
    assert "NOT A FULL PASS" in done.stdout
    assert done.returncode == 0, "what could run passed: pytest's own exit code"


def test_check_infrastructure_health_first(team: GuideTeam, lab: Lab) -> None:
    assert team.python_runs(text(2)).stdout == "Infrastructure status: available\n"
    break_(lab, "database")
    done = team.python_runs(text(2))
    assert done.stdout == (
        "Infrastructure status: unavailable\nUsing fallback configuration due to infrastructure issues\n"
    )


def test_scenario_1_local_database(team: GuideTeam, lab: Lab) -> None:
    """Without a local database its tests are held back, with what to type; with one they use it."""
    break_(lab, "database")
    done = team.bash(text(3).replace("5435", "25435") + " -rs")
    assert "test_orders SKIPPED" in done.stdout, done.stdout + done.stderr
    assert "its stand-in is not applied: resilience apply" in re.sub(r"\s+", " ", done.stdout)
    up = team.resilience("services", "up", "database", POSTGRES_HOST="localhost", POSTGRES_PORT="25435")
    assert up.returncode == 0, up.stdout + up.stderr
    done = team.bash(text(3).replace("5435", "25435"))
    assert "test_orders PASSED" in done.stdout, done.stdout + done.stderr
    assert "NOT A FULL PASS" in done.stdout


def test_scenario_2_complete_staging_unavailability(team: GuideTeam, lab: Lab) -> None:
    break_(lab, "database", "redis", "backend_api", "auth_service", "websocket", "llm_service")
    done = team.bash(text(4))
    assert "test_price PASSED" in done.stdout, done.stdout + done.stderr
    assert "test_checkout" not in done.stdout
    assert "mode offline" in done.stdout
    assert "NOT A FULL" in done.stdout


def test_scenario_3_websocket_degraded(team: GuideTeam, lab: Lab) -> None:
    break_(lab, "websocket")
    done = team.bash(text(5))
    assert "test_websocket_events SKIPPED" in done.stdout, done.stdout + done.stderr
    assert "test_orders PASSED" in done.stdout
    assert "test_checkout" not in done.stdout, "-m not real_services"
    assert "STAGING: DEGRADED (websocket: connection refused)" in done.stdout


def test_full_mode(team: GuideTeam) -> None:
    done = team.bash(text(6))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_checkout PASSED" in done.stdout
    assert "TESTS: PASSED on real staging (mode full): 1 of 1 test spoke to it" in done.stdout


def test_degraded_mode(team: GuideTeam) -> None:
    done = team.bash(text(7))
    assert f"{TESTS} passed" in done.stdout, done.stdout + done.stderr
    assert "NOT A FULL PASS: what ran passed, on stand-ins or a reduced selection (mode degraded)" in done.stdout


def test_offline_mode(team: GuideTeam) -> None:
    done = team.bash(text(8))
    assert "mode offline" in done.stdout, done.stdout + done.stderr
    assert "test_price PASSED" in done.stdout
    assert "FAILED" not in done.stdout
    assert "NOT A FULL" in done.stdout


def test_critical_only_mode(team: GuideTeam) -> None:
    done = team.bash(text(9))
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    assert "NOT A FULL PASS" in done.stdout


def test_pre_test_validation_applies_and_logs_as_the_guide_shows(team: GuideTeam, lab: Lab) -> None:
    """The lines of "Health Check Output Examples" are shown without anybody setting logging up."""
    break_(lab, "redis", "websocket")
    done = team.python_runs(text(10))
    assert done.stdout == "Running tests in degraded mode\n", done.stdout + done.stderr
    lines = done.stderr.splitlines()
    shown = [re.sub(r"\(\d+\.\d{3}s\)", "(s)", line) for line in lines]
    for line in (
        "INFO: Service database: available (s)",
        "WARNING: Service websocket: unavailable (s)",
        "INFO: Infrastructure health assessment complete: degraded",
        "INFO: Applied resilient configuration for degraded mode",
        "INFO: Falling back to local Redis due to unavailability",
        "INFO: Enabling WebSocket mock mode due to service unavailability",
    ):
        assert line in shown, done.stderr
    run = team.bash("pytest tests/ -q")
    assert "2 skipped" not in run.stdout, "what stands in is used by plain pytest as well"
    assert "NOT A FULL PASS" in run.stdout, run.stdout


def test_the_quick_references_variables_are_read_by_the_tool_and_reach_the_tests(team: GuideTeam) -> None:
    lines = [line for line in text(12).splitlines() if line and not line.startswith("#")]
    exports = "\n".join(f"export {line}" for line in lines)
    done = team.bash(f"{exports}\npytest tests/unit -s -v")
    assert "'STAGING_CONNECTION_TIMEOUT': '10'" in done.stdout, done.stdout + done.stderr
    assert "mode degraded" in done.stdout
    for line in lines:
        name, _, value = line.partition("=")
        # A word of the team's own for DATABASE_MODE says nothing; a wish that cannot be is refused.
        bad = team.resilience("mode", **{name: "true" if value == "local" else "nonsense words"})
        assert bad.returncode == 2, f"{name} is read: {bad.stdout}"
        assert name in bad.stderr


ASKS = "import urllib.request\nfrom helpers import address\ndef test_asks():\n    urllib.request.urlopen({url}, timeout=1)\n"
ASKS = ASKS.format(url="address('BACKEND_URL', 'backend_api')")
NO_ROUTE = (
    "import errno, os\nfrom helpers import address, reach\ndef test_asks():\n    try:\n        reach({url})\n"
    "    except OSError as exc:\n        raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH)) from exc\n"
).format(url="address('BACKEND_URL', 'backend_api')")
RETRYABLE = {
    "connection refused": (GONE, ASKS),
    "connection timeout": (Dial(mode=Mode.BLACK_HOLE), ASKS),
    # No network of this machine is unreachable for sure, so that the error is raised as the system words it.
    "network unreachable": (GONE, NO_ROUTE),
    "service unavailable": (Dial(mode=Mode.HTTP_STATUS, status=503), ASKS),
    "502 bad gateway": (Dial(mode=Mode.HTTP_STATUS, status=502), ASKS),
    "503 service unavailable": (Dial(mode=Mode.HTTP_STATUS, status=503), ASKS),
}
"""Each of the guide's patterns → how the backend is broken, and the test that meets it."""


def test_what_only_infrastructure_failed_is_run_again_after_the_guides_delays(team: GuideTeam, lab: Lab) -> None:
    """Each pattern of the guide is met for real, by the error's type and code: its words stand in few of these errors."""
    assert re.findall(r'^- "(.+)"', text(13), re.M) == list(RETRYABLE)
    assert "TEST_RETRY_ATTEMPTS=3" in text(13)
    assert "TEST_RETRY_DELAY=2" in text(13)
    for pattern, (dial, code) in RETRYABLE.items():
        asyncio.run(lab.turn("backend_api", dial))
        (team.root / "tests/integration/test_asks.py").write_text(code)
        done = team.bash("pytest tests/integration/test_asks.py", TEST_RETRY_ATTEMPTS="3", TEST_RETRY_DELAY="0.2")
        assert "resilience: waiting for backend_api" in done.stdout, pattern + done.stdout + done.stderr
        assert done.returncode == 1, pattern
        assert "1 held back or lost" in done.stdout, pattern


def test_the_words_of_a_retryable_pattern_make_no_bug_an_outage(team: GuideTeam, lab: Lab) -> None:
    """By its letter the guide would run a bug again that only speaks of an outage, and hide it while it lasts."""
    break_(lab, "backend_api")
    bugs = "".join(
        f"def test_bug_{number}():\n    assert shown() == 'ok', {pattern!r}\n"
        for number, pattern in enumerate(RETRYABLE)
    )
    (team.root / "tests/unit/test_bugs.py").write_text(f"def shown():\n    return 'not ok'\n{bugs}")
    done = team.bash("pytest tests/unit/test_bugs.py", TEST_RETRY_ATTEMPTS="3", TEST_RETRY_DELAY="0.2")
    assert "waiting for" not in done.stdout, done.stdout + done.stderr
    assert f"{len(RETRYABLE)} failed (product)" in done.stdout
    assert done.returncode == 1


def test_the_timeouts_are_read_and_reach_the_tests(team: GuideTeam) -> None:
    lines = [line for line in text(14).splitlines() if line and not line.startswith("#")]
    exports = "\n".join(f"export {line}" for line in lines)
    done = team.bash(f"{exports}\npytest tests/unit -s -v")
    for line in lines:
        name, _, value = line.partition("=")
        assert f"'{name}': '{value}'" in done.stdout, done.stdout + done.stderr
        assert team.resilience("mode", **{name: "soon"}).returncode == 2, name


def test_issue_1278_workarounds(team: GuideTeam) -> None:
    """Staging answers, and all the same the services behind the connector are left alone."""
    done = team.bash(text(15).replace("5435", "25436"))
    assert "test_orders SKIPPED" in done.stdout, done.stdout + done.stderr
    assert "test_sessions SKIPPED" in done.stdout
    assert "NOT A FULL PASS" in done.stdout


def test_network_connectivity_issues(team: GuideTeam) -> None:
    done = team.bash(text(16))
    assert "test_price PASSED" in done.stdout, done.stdout + done.stderr
    assert "mode offline" in done.stdout


def test_redis_and_clickhouse_unavailable(team: GuideTeam, lab: Lab) -> None:
    break_(lab, "redis")
    done = team.bash(text(17))
    assert "test_sessions SKIPPED" in done.stdout, done.stdout + done.stderr
    assert "test_analytics" not in done.stdout
    assert "test_backend PASSED" in done.stdout


def script(team: GuideTeam, number: int) -> str:
    """Lay a script of the guide as it is written, and return how it is started."""
    name = ALL[number].text.splitlines()[1].lstrip("# ")
    path = team.root / f"as_written_{name}"
    path.write_text(text(number))
    path.chmod(0o755)
    assert text(number) == path.read_text()
    return f"./{path.name}"


def test_script_run_resilient_tests(team: GuideTeam, lab: Lab) -> None:
    break_(lab, "database")
    for start in (script(team, 18), "./run_resilient_tests.sh"):
        done = team.bash(start)
        assert "Infrastructure status: unavailable\nStaging unavailable - using fallback configuration\n" in done.stdout
        assert "test_orders SKIPPED" in done.stdout, done.stdout + done.stderr
        assert "test_slow" not in done.stdout
        assert "NOT A FULL PASS" in done.stdout
    assert "slow" in text(18)


def test_script_run_critical_tests(team: GuideTeam) -> None:
    for start in (script(team, 19), "./run_critical_tests.sh"):
        done = team.bash(start)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "2 passed" in done.stdout
        assert "NOT A FULL PASS" in done.stdout
    assert text(19)


def test_script_dev_workflow_during_outage(team: GuideTeam, lab: Lab) -> None:
    break_(lab, "database")
    for start in (script(team, 20), "./dev_workflow_during_outage.sh"):
        done = team.bash(start)
        assert done.stdout.startswith(
            "Checking infrastructure health...\nCritical services: unavailable\nUsing fallback configuration\n"
        ), done.stdout + done.stderr
        assert done.stdout.rstrip().endswith("Development tests complete")
        assert "1 skipped" in done.stdout
    assert text(20)


def test_continuous_monitoring_for_five_looks(team: GuideTeam, lab: Lab) -> None:
    break_(lab, "redis")
    done = team.python_runs(text(21))
    assert done.stdout.splitlines() == ["WARNING: Infrastructure degradation detected"] * 5, done.stdout + done.stderr
    assert "five looks, [300] s apart" in done.stderr
    break_(lab, "database")
    assert "ALERT: Critical infrastructure failure detected" in team.python_runs(text(21)).stdout


def test_test_result_analysis(team: GuideTeam, lab: Lab) -> None:
    break_(lab, "database")
    done = team.python_runs(text(22), COMMANDS="pytest tests/unit;pytest tests/integration")
    assert "WARNING: 1 tests skipped due to infrastructure issues" in done.stdout, done.stdout + done.stderr
    assert "NOT A FULL PASS" in done.stdout, "the report says it as well"


def test_troubleshooting_timeouts(team: GuideTeam) -> None:
    done = team.bash(text(23) + "pytest tests/unit -s -v")
    assert "'INFRASTRUCTURE_HEALTH_CHECK_TIMEOUT': '3'" in done.stdout, done.stdout + done.stderr


def test_troubleshooting_too_many_skipped(team: GuideTeam, lab: Lab) -> None:
    break_(lab, "database")
    done = team.bash(text(24))
    assert "SKIPPED" not in done.stdout, done.stdout + done.stderr
    assert "test_orders FAILED" in done.stdout
    assert "1 held back or lost" in done.stdout


DOUBLE = """#!/bin/sh
printf '%s\\n' "$(basename "$0") $*" >> "$DOUBLE_LOG"
for word in "$@"; do case "$word" in *.yml) test -f "$word" && "$CHECKER" "$word" || exit 14;; esac; done
"""


def test_troubleshooting_local_services(team: GuideTeam) -> None:
    """Docker's own lines run against a double that records them, and refuses a file that compose's schema refuses."""
    for name in ("docker", "docker-compose"):
        path = team.root / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(DOUBLE)
        path.chmod(0o755)
    log = team.root / "double.log"
    done = team.bash(text(25), DOUBLE_LOG=str(log), CHECKER=compose_checker(team.root))
    assert done.returncode == 0, done.stdout + done.stderr
    assert log.read_text().splitlines() == ["docker ps", "docker-compose -f docker/docker-compose.local.yml up -d"]
    assert "INFO: Infrastructure health assessment complete: available" in done.stderr


def test_troubleshooting_websocket(team: GuideTeam, lab: Lab) -> None:
    break_(lab, "websocket")
    done = team.bash(text(26))
    assert "test_websocket_events SKIPPED" in done.stdout, done.stdout + done.stderr
    assert "FAILED" not in done.stdout


def test_best_practice_health_at_session_start(team: GuideTeam, lab: Lab) -> None:
    body = "    " + text(27).replace("\n", "\n    ")
    code = f"import pytest\nfrom resilience import validate_infrastructure_health\nasync def start():\n{body}\n"
    (team.root / "tests/unit/test_start.py").write_text(
        code + "\n\ndef test_it():\n    import asyncio\n    asyncio.run(start())\n"
    )
    assert "1 passed" in team.bash("pytest tests/unit/test_start.py").stdout
    break_(lab, "database", "backend_api")
    assert "1 passed" in team.bash("pytest tests/unit/test_start.py").stdout, (
        "stand-ins can be had: nothing is to be skipped"
    )
    done = team.bash("pytest tests/unit/test_start.py -rs", STAGING_CONNECTIVITY_FALLBACK="false")
    assert "1 skipped" in done.stdout, done.stdout + done.stderr
    assert "Infrastructure unavailable" in done.stdout, "nothing can stand in for what is critical"


def test_best_practice_markers(team: GuideTeam, lab: Lab) -> None:
    (team.root / "tests/unit/test_marked.py").write_text("import pytest\n" + text(28))
    done = team.bash("pytest tests/unit/test_marked.py --strict-markers -W error -v")
    assert "2 passed" in done.stdout, done.stdout + done.stderr
    break_(lab, "database")
    done = team.bash("pytest tests/unit/test_marked.py --strict-markers -W error -v")
    assert "test_staging_functionality SKIPPED" in done.stdout
    assert "test_critical_functionality PASSED" in done.stdout


def test_best_practice_graceful_degradation(team: GuideTeam, lab: Lab) -> None:
    body = "    " + text(29).replace("\n", "\n    ")
    (team.root / "tests/unit/test_graceful.py").write_text(
        f"import pytest\nfrom resilience import is_service_available\ndef test_it():\n{body}\n"
    )
    assert "1 passed" in team.bash("pytest tests/unit/test_graceful.py").stdout
    break_(lab, "backend_api")
    done = team.bash("pytest tests/unit/test_graceful.py -rs")
    assert "Staging backend unavailable" in done.stdout, done.stdout + done.stderr


def test_best_practice_run_tests_with_resilience(team: GuideTeam, lab: Lab) -> None:
    break_(lab, "redis")
    before = sorted(path.name for path in (team.root / "config").iterdir())
    done = team.bash(text(30))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "INFO: Falling back to local Redis due to unavailability" in done.stderr
    assert sorted(path.name for path in (team.root / "config").iterdir()) == before, "restored"


def test_recovery_is_confirmed_and_the_full_suite_runs_on_staging(team: GuideTeam, lab: Lab) -> None:
    break_(lab, "database")
    assert team.bash(text(31)).stdout == "Status: unavailable\n"
    asyncio.run(lab.turn("database", Dial()))
    assert team.bash(text(31)).stdout == "Status: available\nInfrastructure recovery confirmed\n"
    # By its letter the snippet would set again what it unsets three lines above, and run nothing on staging.
    unset = set(re.findall(r"^unset (\w+)", text(32), re.M))
    assert unset & set(read_env_file(team.root / "config/.env.test.local"))
    degraded = "export INFRASTRUCTURE_DEGRADED_MODE=true TEST_OFFLINE=true WEBSOCKET_MOCK_MODE=true\n"
    done = team.bash(degraded + text(32) + text(33))
    assert f"{TESTS} passed" in done.stdout, done.stdout + done.stderr
    assert "TESTS: PASSED on real staging (mode full)" in done.stdout, "back to full is what the guide means by .env"


def test_incident_assessment(team: GuideTeam, lab: Lab) -> None:
    break_(lab, "database")
    lines = team.bash(text(34)).stdout.splitlines()
    assert lines[:3] == ["INCIDENT ASSESSMENT", "Overall Status: unavailable", "Staging Available: False"]
    assert lines[3].startswith("Should Skip Tests: ")
    assert lines[4] == "Unavailable Services: ['database', 'backend_api']"
