"""resilience.runs.uploading: a run is written here first, and is in the store whole, or still promised and said to wait."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from resilience.core.errors import UsageError
from resilience.core.settings import Settings
from resilience.runs import uploading
from resilience.runs.folder import RunFolder
from tests.kits.ports import free_port
from tests.kits.run_kit import settings_of
from tests.kits.small_staging import project

fsspec = pytest.importorskip("fsspec")
MOTO = shutil.which("moto_server")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_of(project(tmp_path / "team", 1))


def ended(settings: Settings, store: str, *, slug: str = "run") -> RunFolder:
    """A run that has ended, with a promise, a report, and a file in a folder below."""
    from resilience.core.records import Verdict

    run = RunFolder.create(settings, slug=slug)
    (run.folder / "report.html").write_text("<p>report")
    (run.folder / "charts").mkdir(exist_ok=True)
    (run.folder / "charts" / "one.png").write_bytes(bytes(range(256)) * 400)
    uploading.promise(settings, run.incident.run, run.folder, uploading.check(store))
    run.end(verdict=Verdict.PASSED, exit_code=0)
    return run


def in_store(base: Path, run: RunFolder) -> dict[str, bytes]:
    there = base / run.incident.run
    return {path.relative_to(there).as_posix(): path.read_bytes() for path in there.rglob("*") if path.is_file()}


def whole(objects: dict[str, bytes], run: RunFolder) -> bool:
    """Whether every file that the manifest names is there as it says, and the run's own are among them."""
    listed = json.loads(objects[uploading.MANIFEST])["files"]
    assert {"incident.json", "report.html", "charts/one.png"} <= set(listed)
    assert objects["incident.json"] == (run.folder / "incident.json").read_bytes()
    return all(
        hashlib.sha256(objects[name]).hexdigest() == one["sha256"] and len(objects[name]) == one["bytes"]
        for name, one in listed.items()
    )


def test_a_run_is_copied_whole_with_a_manifest_and_its_promise_is_kept(settings: Settings, tmp_path: Path) -> None:
    store = tmp_path / "store"
    run = ended(settings, f"file://{store}")
    (done,) = uploading.send(settings)
    assert (done.why, done.to) == ("", f"file://{store}/{run.incident.run}/report.html")
    assert whole(in_store(store, run), run)
    assert done.files == len(in_store(store, run)) - 1
    assert not any(name.startswith(".") for name in in_store(store, run))
    assert uploading.send(settings) == ()


def test_a_store_that_is_down_costs_the_run_nothing_and_the_next_one_brings_both(
    settings: Settings, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    store.write_text("in the way")
    first = ended(settings, f"file://{store}", slug="first")
    (late,) = uploading.send(settings)
    assert late.why
    assert "resilience sync" in uploading.lines((late,))[0]
    assert (first.folder / "report.html").exists()
    store.unlink()
    second = ended(settings, f"file://{store}", slug="second")
    assert [one.why for one in uploading.send(settings)] == ["", ""]
    assert whole(in_store(store, first), first)
    assert whole(in_store(store, second), second)


def test_a_run_that_goes_on_is_not_copied_and_one_that_was_killed_is(settings: Settings, tmp_path: Path) -> None:
    store = f"file://{tmp_path / 'store'}"
    run = RunFolder.create(settings, slug="run")
    uploading.promise(settings, run.incident.run, run.folder, store)
    assert uploading.send(settings) == ()
    assert run.incident.owner is not None
    run.save(owner=replace(run.incident.owner, started="long ago"))
    (done,) = uploading.send(settings)
    assert done.why == ""
    assert uploading.waiting(settings) == ()


def test_a_run_whose_folder_is_gone_is_forgotten(settings: Settings, tmp_path: Path) -> None:
    run = ended(settings, f"file://{tmp_path / 'store'}")
    shutil.rmtree(run.folder)
    assert uploading.send(settings) == ()
    assert uploading.waiting(settings) == ()


def test_a_run_whose_record_cannot_be_read_waits_and_is_said_to(settings: Settings, tmp_path: Path) -> None:
    run = ended(settings, f"file://{tmp_path / 'store'}")
    (run.folder / "incident.json").write_text("{")
    (late,) = uploading.send(settings)
    assert late.run == run.incident.run
    assert "record" in late.why
    assert uploading.waiting(settings) != ()


def test_an_upload_that_takes_longer_than_a_run_waits_is_said_to_wait(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ended(settings, f"file://{tmp_path / 'store'}")
    monkeypatch.setattr(fsspec.get_filesystem_class("file"), "pipe_file", lambda *_: time.sleep(0.5))
    (late,) = uploading.send(settings, patience_s=0.05)
    assert late.run == run.incident.run
    assert "not there after" in late.why


@pytest.mark.parametrize(
    ("out", "why"),
    [
        ("s3://key:secret-word@bucket/x", "without user"),
        ("s3://bucket/x?token=secret-word", "without user"),
        ("s3:///x", "no bucket"),
        ("nonsense://bucket/x", "no such store"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_and_a_secret_in_it_not_shown(out: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as refused:
        uploading.check(out)
    assert "secret-word" not in f"{refused.value} {refused.value.hint}"


@pytest.fixture
def moto(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A real server that speaks S3, from its own environment; one bucket named runs."""
    pytest.importorskip("s3fs", reason="no s3fs: pip install 'resilience-runbook[bucket]'")
    assert MOTO is not None
    port = free_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    process = subprocess.Popen(
        [MOTO, "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                request = urllib.request.Request(f"http://127.0.0.1:{port}/runs", method="PUT")
                urllib.request.urlopen(request, timeout=1).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


_UPLOAD = """
import sys
from pathlib import Path
from resilience.runs import uploading
from tests.kits.run_kit import settings_of
for line in uploading.lines(uploading.send(settings_of(Path(sys.argv[1])))):
    print(line)
"""


@pytest.mark.slow
@pytest.mark.skipif(MOTO is None, reason="no moto_server: pip install 'moto[server]'")
def test_an_upload_to_s3_killed_in_the_middle_is_completed_by_the_next_run(
    settings: Settings, moto: str, tmp_path: Path
) -> None:
    run = ended(settings, "s3://runs/team")
    for number in range(300):
        (run.folder / f"part{number}").write_bytes(os.urandom(50_000))
    command = [sys.executable, "-c", _UPLOAD, str(tmp_path / "team")]
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    store = fsspec.filesystem("s3", use_listings_cache=False, skip_instance_cache=True)
    child = subprocess.Popen(command, env=environment)
    deadline = time.monotonic() + 60
    while not store.find(f"runs/team/{run.incident.run}") and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    half = store.find(f"runs/team/{run.incident.run}")
    assert half
    assert not any(name.endswith(uploading.MANIFEST) for name in half)
    assert uploading.waiting(settings) != ()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("uploaded: s3://runs/team/")
    base = f"runs/team/{run.incident.run}"
    objects = {name.removeprefix(f"{base}/"): store.cat_file(name) for name in store.find(base)}
    assert len(objects) > 300
    assert whole(objects, run)
    assert uploading.waiting(settings) == ()


@pytest.mark.slow
@pytest.mark.skipif(MOTO is None, reason="no moto_server: pip install 'moto[server]'")
def test_an_s3_that_refuses_connections_is_given_up_within_the_patience_of_a_run(
    settings: Settings, moto: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    ended(settings, "s3://runs/team")
    began = time.monotonic()
    (late,) = uploading.send(settings)
    assert late.why
    assert "testing" not in late.why
    assert time.monotonic() - began < uploading.PATIENCE_S


def test_without_the_extra_a_run_goes_as_ever_and_a_store_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['fsspec'] = None\n"
        "from resilience.notebook import headless\n"
        "from resilience.runs import uploading\n"
        "try: uploading.check('s3://bucket/x')\n"
        "except Exception as exc: print(type(exc).__name__, exc)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("UsageError"), done.stderr
    assert "resilience-runbook[bucket]" in done.stdout
