"""Staging teaches while it is well, by routes, by a HAR or by the team's tests; and never while it is not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import certifi
import pytest

from resilience.runs.configuration import load_settings
from resilience.teach.store import Store
from tests.kits.taught_kit import SUITE, Staging, project, served
from tests.kits.testrun_kit import wait_until
from tests.kits.typing_in import Type


@pytest.fixture
def staging() -> Iterator[Staging]:
    with served() as made:
        yield made


@pytest.fixture
def team(home: Path, staging: Staging, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = project(home.parent / "team", staging)
    monkeypatch.setenv("BACKEND_URL", staging.origin)
    monkeypatch.chdir(folder)
    return folder


def store() -> Store:
    return Store(load_settings(None).state)


def outcomes(document: object) -> dict[str, str]:
    assert isinstance(document, dict)
    return {test["id"].rpartition("::")[2]: test["outcome"] for test in document["tests"]}


def answered(document: object) -> dict[str, int]:
    assert isinstance(document, dict)
    found: dict[str, int] = {}
    for test in document["tests"]:
        for source, count in test["answered_by"].items():
            found[source] = found.get(source, 0) + count
    return found


@pytest.mark.slow
def test_tests_teach_staging_dies_and_they_pass_on_what_it_said_in_any_order_and_number_of_workers(
    type_in: Type, team: Path, staging: Staging
) -> None:
    taught = type_in("test", "--teach", "--json")
    assert taught.code == 0, taught.out + taught.err
    assert taught.json["exit_code"] == 0
    assert "backend_api: learned 13 answers of 6 tests (generation 1)" in taught.json["notes"], taught.json
    (found,) = type_in("taught", "--json").json["taught"]
    assert (found["tests"], found["exchanges"], found["build"]) == (6, 13, "1.4.2")
    staging.broken = 1_000_000
    asked = len(staging.asked)
    try:
        assert type_in("apply").code == 0
        again = type_in("test", "--json")
        suite = (team / "tests" / "test_shop.py").read_text()
        head, _, rest = suite.partition("def test_flow")
        tests = [
            "def test_flow" + rest.partition("\ndef test_me")[0],
            "def test_me" + rest.partition("\ndef test_me")[2],
        ]
        (team / "tests" / "test_shop.py").write_text(head + "\n" + "\n".join(reversed(tests)))
        other = type_in("test", "--json", "--command", f"{sys.executable} -m pytest -q -p no:cacheprovider tests -n 2")
    finally:
        type_in("restore")
    for said in (again, other):
        assert said.code == 10, said.out + said.err
        assert set(outcomes(said.json).values()) == {"passed"}
        assert set(answered(said.json)) == {"recorded"}
    assert all(path == "/health" for path in staging.asked[asked:]), "staging was looked at, and asked for nothing else"


@pytest.mark.slow
def test_a_lesson_by_several_workers_serves_one_without(type_in: Type, team: Path, staging: Staging) -> None:
    taught = type_in(
        "test", "--teach", "--json", "--command", f"{sys.executable} -m pytest -q -p no:cacheprovider tests -n 2"
    )
    assert taught.code == 0, taught.out + taught.err
    (found,) = type_in("taught", "--json").json["taught"]
    assert (found["tests"], found["gaps"]) == (6, [])
    staging.broken = 1_000_000
    try:
        type_in("apply")
        said = type_in("test", "--json")
    finally:
        type_in("restore")
    assert set(outcomes(said.json).values()) == {"passed"}, said.err
    assert set(answered(said.json)) == {"recorded"}


def test_a_bug_fails_on_what_staging_said_and_a_changed_request_is_a_gap(
    type_in: Type, team: Path, staging: Staging
) -> None:
    type_in("test", "--teach")
    suite = team / "tests" / "test_shop.py"
    suite.write_text(
        SUITE.replace("[1]['stock'] == 3", "[1]['stock'] == 4")
        .replace('{"name": "lamp"}', '{"name": "lamps"}')
        .replace('[1]["user"] == "alice"', '[1]["user"] == "bob"')
    )
    staging.broken = 1_000_000
    try:
        type_in("apply")
        said = type_in("test", "--json")
    finally:
        type_in("restore")
    found = outcomes(said.json)
    assert found["test_flow"] == "stand_in_gap", said.json
    assert found["test_me"] in ("failed", "undecided")


@pytest.mark.parametrize("when", ["before", "in the middle"])
def test_a_staging_that_is_not_well_teaches_nothing_and_the_lesson_before_stays(
    type_in: Type, team: Path, staging: Staging, when: str
) -> None:
    assert type_in("test", "--teach").code == 0
    if when == "before":
        staging.broken = 100
        said = type_in("test", "--teach", "--force", "full")
        assert said.code == 20
        assert "nothing is learned from staging now" in said.err
    else:
        # The last test of the suite breaks it: all tests passed, and the look after them finds it unwell.
        (team / "tests" / "test_z.py").write_text(
            textwrap.dedent(f"""
                import urllib.request, os
                def test_breaks():
                    urllib.request.urlopen("{staging.origin}/break").close()
            """)
        )
        said = type_in("test", "--teach", "--json")
        assert set(outcomes(said.json).values()) == {"passed"}
        assert any("nothing was learned" in note for note in said.json["notes"]), said.json["notes"]
    assert [one.number for one in store().generations("backend_api")] == [1]
    if when != "before":
        assert "not" in store().stale("backend_api") or "bad" in store().stale("backend_api")


@pytest.mark.slow
def test_a_recorder_that_dies_leaves_no_outcome_and_no_lesson_whoever_takes_its_port(
    type_in: Type, team: Path, staging: Staging
) -> None:
    """The suite itself kills the recorder and listens at its port, answering everything with 200; then it says that all is well."""
    (team / "tests" / "test_a.py").write_text(
        textwrap.dedent("""
            import http.server, os, signal, threading, urllib.parse, urllib.request
            class Stranger(http.server.BaseHTTPRequestHandler):
                def do_GET(self):
                    self.send_response(200); self.end_headers(); self.wfile.write(b'"a stranger"')
                do_POST = do_PUT = do_GET
                def log_message(self, *args): pass
            def test_kills():
                where = urllib.parse.urlsplit(os.environ["BACKEND_URL"])
                for folder in os.listdir("/proc"):
                    if folder.isdigit():
                        try:
                            words = open(f"/proc/{folder}/cmdline", "rb").read().split(b"\\0")
                            parent = int(open(f"/proc/{folder}/stat").read().rpartition(")")[2].split()[1])
                        except OSError:
                            continue
                        if b"resilience.teach.recorder" in words and parent == int(os.environ["RECORDERS_PARENT"]):
                            os.kill(int(folder), signal.SIGKILL)
                if "RECORDED" not in os.environ:
                    while True:
                        try:
                            server = http.server.HTTPServer(("127.0.0.1", where.port), Stranger)
                            break
                        except OSError:
                            if urllib.request.urlopen(os.environ["BACKEND_URL"] + "/health").status == 200:
                                return
                    threading.Thread(target=server.serve_forever, daemon=True).start()
            def test_told():
                assert b"stranger" not in urllib.request.urlopen(os.environ["BACKEND_URL"] + "/health").read()
        """)
    )
    os.environ["RECORDERS_PARENT"] = str(os.getpid())
    try:
        said = type_in("test", "--teach", "--json")
    finally:
        del os.environ["RECORDERS_PARENT"]
    assert outcomes(said.json)["test_told"] == "passed", said.err
    assert set(outcomes(said.json).values()) == {"passed"}
    assert any("recorder is gone" in note and "run once more" in note for note in said.json["notes"]), said.json[
        "notes"
    ]
    assert store().generations("backend_api") == ()


@pytest.mark.slow
def test_a_killed_lesson_leaves_nothing_of_what_it_heard(type_in: Type, team: Path, staging: Staging) -> None:
    (team / "tests" / "test_z.py").write_text(
        "import time\ndef test_waits(): open('now', 'w').close(); time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "resilience.cli", "test", "--teach"], cwd=team, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert wait_until(lambda: (team / "now").exists(), 60)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    for path in store().folder.rglob("*"):
        assert path.name == "lock", path
    for path in team.rglob("*"):
        if path.is_file() and "tests" not in path.parts:
            assert b"wonderland" not in path.read_bytes(), path


@pytest.mark.slow
def test_a_secret_of_a_test_is_in_no_byte_of_state_temporary_files_reports_and_logs(
    type_in: Type, team: Path, staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the lesson to the outage: sent in a header, a cookie, a query, a form and JSON, and said back by staging."""
    planted, temporary = "swordfish-4711-of-nobody", team.parent / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv("NOBODY_KNOWS", planted)
    (team / "tests" / "test_shop.py").write_text(
        SUITE
        + textwrap.dedent("""
            SECRET = os.environ["NOBODY_KNOWS"]
            def test_sends_a_secret():
                ask("/items?page=1&api_key=" + SECRET, Authorization="Bearer " + SECRET, Cookie="session=" + SECRET)
                assert ask("/echo", {"password": SECRET})[1] == {"password": SECRET}
                form = urllib.request.Request(os.environ["BACKEND_URL"] + "/login", ("user=a&password=" + SECRET).encode())
                with pytest.raises(urllib.error.HTTPError) as refused:
                    urllib.request.urlopen(form)
                refused.value.close()
        """)
    )
    assert type_in("test", "--teach", "--json").code == 0
    staging.broken = 1_000_000
    try:
        type_in("apply")
        said = type_in("test", "--json")
        files = [path for path in team.parent.rglob("*") if path.is_file()]
        holding = [str(path) for path in files if planted.encode() in path.read_bytes()]
    finally:
        type_in("restore")
    assert set(outcomes(said.json).values()) == {"passed"}, said.json
    assert set(answered(said.json)) == {"recorded"}
    assert any(path.name == "recordings.har" for path in files)
    assert holding == []


def test_routes_are_asked_by_get_one_after_the_other(type_in: Type, team: Path, staging: Staging) -> None:
    said = type_in("teach", "--json")
    assert said.code == 0, said.err
    (made,) = said.json["taught"]
    assert (made["source"], made["exchanges"], made["build"]) == ("routes", 3, "1.4.2")
    assert [path for path in staging.asked if path != "/health"] == ["GET /items"]
    staging.broken = 9
    refused = type_in("teach")
    assert refused.code == 20
    assert "backend_api is" in refused.err


def test_a_har_is_learned_for_its_service_and_a_file_that_is_none_is_refused(
    type_in: Type, team: Path, staging: Staging
) -> None:
    entry = {
        "startedDateTime": "2026-11-25T03:00:00.000Z", "time": 12,
        "request": {"method": "GET", "url": f"{staging.origin}/gzip", "headers": [{"name": "Accept", "value": "*/*"}]},
        "response": {
            "status": 200, "statusText": "OK", "headers": [{"name": "Content-Type", "value": "application/json"}],
            "content": {"size": 2, "mimeType": "application/json", "text": "{}"},
        },
    }  # fmt: skip
    (team / "good.har").write_text(json.dumps({"log": {"entries": [entry, {"request": 1}]}}))
    said = type_in("teach", "backend_api", "--har", "good.har")
    assert (said.code, "learned 1 answers" in said.out) == (0, True), said.out + said.err
    (found,) = type_in("taught", "--json").json["taught"]
    assert (found["source"], len(found["gaps"])) == ("har", 1)
    for name, text in (
        ("no.har", "{}"),
        ("list.har", "[]"),
        ("cut.har", '{"log": {"ent'),
        ("empty.har", '{"log": {"entries": []}}'),
    ):
        (team / name).write_text(text)
        assert type_in("teach", "backend_api", "--har", name).code == 2, name
    type_in("teach", "--har", "good.har").complains("one service was expected")
    type_in("teach", "backend_api", "--har", "nowhere.har").complains("cannot be read")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('teach = ["traffic"]\n', "no service teaches traffic"),
        ('exports = { BACKEND_URL = "http://{host}:{port}" }\n', "no export leads tests to it"),
        ("teach_routes = ", "no service that teaches has teach_routes"),
    ],
    ids=["not asked for", "no export", "no routes"],
)
def test_who_teaches_nothing_is_told_what_to_write(type_in: Type, team: Path, line: str, said: str) -> None:
    config = team / "resilience.toml"
    text = config.read_text()
    assert line in text
    config.write_text("\n".join(one for one in text.splitlines() if not one.startswith(line.rstrip("\n"))) + "\n")
    type_in("teach").complains(said)


def test_a_contract_is_taught_and_what_it_forbids_is_refused_and_counted(
    type_in: Type, team: Path, staging: Staging
) -> None:
    config = team / "resilience.toml"
    config.write_text(config.read_text().replace('teach = ["traffic"]', 'teach = ["traffic", "contract"]'))
    (team / "tests" / "test_shop.py").write_text(
        SUITE.partition("def test_flow")[0]
        + textwrap.dedent("""
            def test_refused():
                with pytest.raises(urllib.error.HTTPError) as refused:
                    ask("/items", {"stock": 1})
                assert refused.value.code == 422
                refused.value.close()
        """)
    )
    said = type_in("teach")
    assert said.code == 0, said.err
    assert "backend_api: learned its contract of 5 operations (generation 2)" in said.out
    assert "contract of 5 operations" in type_in("taught").out
    staging.broken = 1_000_000
    try:
        type_in("apply")
        weak = type_in("test", "--json")
        config.write_text(config.read_text().replace("build_from", 'require = "recorded"\nbuild_from'))
        strict = type_in("test", "--json")
    finally:
        type_in("restore")
    assert outcomes(weak.json) == {"test_refused": "passed"}, weak.err
    assert answered(weak.json) == {"contract": 1}
    assert outcomes(strict.json) == {"test_refused": "stand_in_gap"}, strict.err


def test_a_contract_that_is_not_given_out_is_said_and_the_rest_is_learned(
    type_in: Type, team: Path, staging: Staging
) -> None:
    config = team / "resilience.toml"
    config.write_text(config.read_text().replace('teach = ["traffic"]', 'teach = ["traffic", "contract"]'))
    staging.contract = None
    said = type_in("teach")
    assert said.code == 0
    assert "backend_api: its contract was not given out: status 404 at /openapi.json" in said.out
    assert "learned 3 answers" in said.out
    config.write_text(config.read_text().replace('teach = ["traffic", "contract"]', 'teach = ["contract"]'))
    config.write_text("".join(line for line in config.read_text().splitlines(True) if "teach_routes" not in line))
    assert type_in("teach").code == 30


def test_staging_is_compared_with_what_it_taught_and_nothing_is_learned(
    type_in: Type, team: Path, staging: Staging
) -> None:
    nothing = type_in("teach", "--drift")
    assert nothing.code == 2
    assert "nothing is taught that staging could be compared with" in nothing.err
    assert type_in("teach").code == 0
    well = type_in("teach", "--drift")
    assert (well.code, well.out) == (0, "backend_api: compared 3 answers with what was taught: nothing has changed\n")
    staging.retyped = True
    said = type_in("teach", "--drift", "--json")
    assert said.json["drift"]["backend_api"]["drift"] == ["GET /items: body.total was number, is string"]
    assert said.json["taught"] == []
    assert "  changed since: GET /items: body.total was number, is string\n" in type_in("taught").out
    for verb in ("status", "plan", "assess"):
        assert "staging has changed since: GET /items: body.total was number" in type_in(verb).out, verb
    assert [one.number for one in store().generations("backend_api")] == [1]
    staging.broken = 100
    assert type_in("teach", "--drift").code == 20
    assert store().stale("backend_api") == ""
    both = type_in("teach", "backend_api", "--har", "x", "--drift")
    assert both.code == 2


@pytest.mark.slow
def test_a_headless_run_teaches_where_it_is_asked_to(type_in: Type, team: Path, staging: Staging) -> None:
    said = type_in("run", "-p", "teach=True", "--apply")
    assert said.code == 0, said.out + said.err
    (made,) = store().generations("backend_api")
    assert (made.source, len(made.manifest["tests"])) == ("traffic", 6)


def test_what_is_due_is_done_and_nothing_in_between(type_in: Type, team: Path, staging: Staging) -> None:
    first = type_in("teach", "--due")
    assert first.code == 0, first.err
    assert "backend_api: learned 3 answers (generation 1)" in first.out
    asked = len(staging.asked)
    again = type_in("teach", "--due")
    assert (again.code, again.out) == (0, "no lesson is due\n")
    assert len(staging.asked) == asked, "not even looked at"


@pytest.mark.slow
def test_a_rehearsal_is_due_after_a_lesson_of_the_tests(type_in: Type, team: Path, staging: Staging) -> None:
    type_in("test", "--teach")
    said = type_in("teach", "--due", "--json")
    assert said.code == 0, said.err
    assert "backend_api: fidelity 100 %: 6 of 6 tests end as on staging, 0 gaps, 0 differ" in said.json["notes"]
    assert type_in("teach", "--due").out == "no lesson is due\n"


TRUST = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")


@pytest.fixture
def insisting(team: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A team whose client speaks https and nothing else."""
    for name in TRUST:
        monkeypatch.delenv(name, raising=False)
    config, suite = team / "resilience.toml", team / "tests" / "test_shop.py"
    plain, told = 'BACKEND_URL = "http://{host}:{port}"', 'BACKEND = "{host}:{port}"'
    config.write_text(config.read_text().replace(plain, told).replace("teach = [", "recorder_tls = true\nteach = [", 1))
    suite.write_text(suite.read_text().replace('os.environ["BACKEND_URL"]', '"https://" + os.environ["BACKEND"]'))
    return team


@pytest.mark.slow
def test_clients_that_insist_on_https_teach_and_are_answered_as_staging_did(
    type_in: Type, insisting: Path, staging: Staging
) -> None:
    taught = type_in("test", "--teach", "--json")
    assert "backend_api: learned 13 answers of 6 tests (generation 1)" in taught.json["notes"], taught.out + taught.err
    assert not (load_settings(None).state / "lesson").exists()
    rehearsed = type_in("rehearse", "--json")
    assert rehearsed.code == 0, rehearsed.out + rehearsed.err
    staging.broken = 1_000_000
    env_file = load_settings(None).env_file
    try:
        applied = type_in("apply", "--json")
        assert applied.code == 0, applied.out + applied.err
        assert all(f"{name}=" in env_file.read_text() for name in TRUST)
        said = type_in("test", "--json")
    finally:
        type_in("restore")
    assert set(outcomes(said.json).values()) == {"passed"}, said.out + said.err
    assert set(answered(said.json)) == {"recorded"}
    assert not env_file.exists()
    key = load_settings(None).data / "tls" / "authority.key"
    assert key.stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
def test_whom_a_team_trusts_itself_stays_and_what_then_fails_is_named(
    type_in: Type, insisting: Path, staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    suite = insisting / "tests" / "test_shop.py"
    suite.write_text(suite.read_text().partition("@pytest.fixture")[0] + "def test_one():\n    ask('/items')\n")
    taught = type_in("test", "--teach", "--json")
    assert set(outcomes(taught.json).values()) == {"failed"}, taught.out + taught.err
    said = "\n".join(taught.json["notes"])
    assert "SSL_CERT_FILE is set already and stays as it is" in said
    assert "does not take the certificate of the recorder" in said
    staging.broken = 1_000_000
    try:
        applied = type_in("apply", "--json")
        assert "SSL_CERT_FILE=" not in load_settings(None).env_file.read_text()
        assert "SSL_CERT_FILE is set already" in applied.out
        found = type_in("test", "--json")
    finally:
        type_in("restore")
    assert set(outcomes(found.json).values()) == {"stand_in_gap"}, "no failure of the code: it could not ask"
