"""The files of each scheduler fit the repository, hold no secret, and are taken by what checks them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from resilience.home.schedules import SCHEDULERS
from resilience.home.schedules.job import Job, job_of
from resilience.runs.configuration import load_settings
from resilience.settings.environment import shipped
from tests.kits.repository import SECRET, environ, put
from tests.kits.small_staging import SmallStaging, project

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = Job(
    root=Path("/srv/shop"),
    executable=Path("/usr/local/bin/resilience"),
    outputs="outputs",
    config="config/runbook.toml",
    secrets=(
        *("STAGING_POSTGRES_USER", "STAGING_POSTGRES_PASSWORD", "STAGING_POSTGRES_HOST", "STAGING_POSTGRES_PORT"),
        *("STAGING_POSTGRES_DB", "STAGING_REDIS_URL", "STAGING_CLICKHOUSE_URL", "STAGING_BACKEND_URL"),
        *("STAGING_AUTH_URL", "STAGING_WEBSOCKET_URL", "STAGING_LLM_URL"),
    ),
    secrets_file=".resilience/staging.env",
    reads_file_itself=False,
    install="resilience-runbook",
)
"""The job of the shipped configuration in a repository /srv/shop: `deploy/` holds its files."""
CONFIG = '[[service]]\nname = "redis"\ntype = "redis"\nurl = "redis://:${REDIS_PW}@${REDIS_HOST}"\n'


def job(root: Path, *, text: str = CONFIG) -> Job:
    put(root / "resilience.toml", text)
    env = {**environ(root), "REDIS_PW": SECRET, "REDIS_HOST": "r.example"}
    settings = load_settings(cwd=root, environ=env)
    return job_of(settings, executable=Path(sys.executable).with_name("resilience"), install="resilience-runbook==1.2")


TEACHES = CONFIG + '[[service]]\nname = "api"\ntype = "http"\nurl = "http://a.example"\nteach = ["contract"]\n'


def test_where_a_service_teaches_what_is_due_of_it_is_done_each_hour_on_a_machine_that_stays(repository: Path) -> None:
    assert not job(repository).teaches
    teaching = job(repository, text=TEACHES)
    look, lesson = SCHEDULERS["cron"](teaching)["crontab"].splitlines()[-2:]
    assert look.startswith("*/5 * * * * ")
    assert lesson.startswith("17 * * * * ")
    assert "flock -n .resilience/state/teach.lock" in lesson
    assert f"{teaching.executable} teach --due >>" in lesson
    units = SCHEDULERS["systemd"](teaching)
    assert len(units) == 4
    assert f'ExecStart="{teaching.executable}" teach --due\n' in units[f"{teaching.name}-teach.service"]
    assert f"enable --now {teaching.name}-teach.timer" in units[f"{teaching.name}-teach.service"]
    assert "OnCalendar=hourly" in units[f"{teaching.name}-teach.timer"]


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_the_shipped_files_are_what_is_printed(scheduler: str) -> None:
    for name, text in SCHEDULERS[scheduler](EXAMPLE).items():
        if text:
            path = ROOT / "deploy" / scheduler / name.removeprefix(".github/workflows/")
            assert path.read_text() == text, f"python -m tests.home.schedules.test_schedules writes {path}"


def test_nothing_else_lies_among_the_shipped_files() -> None:
    named = {
        f"{scheduler}/{name.removeprefix('.github/workflows/')}"
        for scheduler, files in SCHEDULERS.items()
        for name, text in files(EXAMPLE).items()
        if text
    }
    there = {str(path.relative_to(ROOT / "deploy")) for path in (ROOT / "deploy").rglob("*") if path.is_file()}
    assert there - {"README.md"} == named


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_secrets_are_named_and_no_value_of_any_is_in_a_file(repository: Path, scheduler: str) -> None:
    texts = "\n".join(SCHEDULERS[scheduler](job(repository)).values())
    assert SECRET not in texts
    assert "r.example" not in texts
    assert "REDIS_PW" in texts or scheduler == "airflow"
    assert "REDIS_HOST" in texts


def test_a_configurations_own_file_with_stagings_values_needs_no_shell_to_load_it(repository: Path) -> None:
    put(repository / ".env.staging", "REDIS_PW=x\n")
    made = job(repository, text=f'[runbook]\nstaging_env = ".env.staging"\n{CONFIG}')
    [crontab] = SCHEDULERS["cron"](made).values()
    assert "set -a" not in crontab
    assert ".env.staging" in crontab


def test_a_name_of_a_folder_becomes_a_name_that_each_scheduler_takes(tmp_path: Path) -> None:
    root = tmp_path / "My Shöp %1"
    (root / ".git").mkdir(parents=True)
    made = job(root)
    assert made.name == "resilience-my-sh-p-1"
    [line] = [line for line in SCHEDULERS["cron"](made)["crontab"].splitlines() if line.startswith("*/5")]
    assert "My Shöp \\%1" in line
    assert "My Shöp %%1" in SCHEDULERS["systemd"](made)[f"{made.name}.service"]


def test_the_line_of_cron_runs_with_crons_bare_path_and_only_once_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SmallStaging() as staging:
        team = project(tmp_path / "te am", staging.port)
        text = (team / "resilience.toml").read_text().replace(f"http://127.0.0.1:{staging.port}", "${STAGING_BACKEND}")
        (team / "resilience.toml").write_text(text)
        put(team / ".resilience/staging.env", f"STAGING_BACKEND=http://127.0.0.1:{staging.port}\n")
        made = job_of(
            load_settings(cwd=team, environ=environ(team)),
            executable=Path(sys.executable).with_name("resilience"),
            install="resilience-runbook",
        )
        lines = SCHEDULERS["cron"](made)["crontab"].splitlines()
        path = next(line for line in lines if line.startswith("PATH=")).removeprefix("PATH=")
        command = lines[-1].split(" ", 5)[5].replace("\\%", "%")
        bare = {"PATH": path, "HOME": str(tmp_path), "SHELL": "/bin/sh", "LOGNAME": "me"}
        first = subprocess.Popen(["/bin/sh", "-c", command], env=bare, cwd="/")
        until = time.monotonic() + 60
        lock = team / ".resilience/state/cron.lock"
        while not lock.exists() and time.monotonic() < until:
            time.sleep(0.01)
        assert first.wait(timeout=120) == 0, (team / ".resilience/cron.log").read_text()
    assert len(list((team / "outputs").glob("*/*/incident.json"))) == 1
    with lock.open() as held:
        import fcntl

        fcntl.flock(held, fcntl.LOCK_EX)
        second = subprocess.run(["/bin/sh", "-c", command], env=bare, cwd="/", timeout=60, check=False)
    assert second.returncode == 1
    assert len(list((team / "outputs").glob("*/*/incident.json"))) == 1


def test_airflows_dag_is_python_and_runs_papermill_on_the_notebook_beside_it(repository: Path) -> None:
    files = SCHEDULERS["airflow"](job(repository))
    [name] = [name for name in files if name.endswith(".py")]
    compile(files[name], name, "exec")
    assert "papermill" in files[name]
    assert 'with_name("01_assess.ipynb")' in files[name]


AIRFLOW = {
    "airflow/__init__.py": """
class DAG:
    def __init__(self, **words): pass
    def __enter__(self): return self
    def __exit__(self, *_): pass
""",
    "airflow/operators/__init__.py": "",
    "airflow/operators/bash.py": """
import json, os
class BashOperator:
    def __init__(self, **words):
        print(json.dumps({"bash_command": words["bash_command"], "env": words["env"]}))
""",
}
"""As much of Airflow as the DAG asks for: what it would run is printed."""


@pytest.mark.slow
def test_what_airflow_would_run_is_plain_papermill_that_looks_and_leaves_a_notebook(tmp_path: Path) -> None:
    """The DAG is loaded with a double of Airflow, and its command is run in bash, as Airflow's operator does."""
    with SmallStaging() as staging:
        team = project(tmp_path / "te am", staging.port)
        made = job_of(
            load_settings(cwd=team, environ=environ(team)),
            executable=Path(sys.executable).with_name("resilience"),
            install="resilience-runbook",
        )
        files = SCHEDULERS["airflow"](made)
        dags = tmp_path / "dags"
        [dag] = [put(dags / name, text) for name, text in files.items() if name.endswith(".py")]
        shutil.copy(shipped("notebooks") / "01_assess.ipynb", dags)
        for name, text in AIRFLOW.items():
            put(tmp_path / "site" / name, text)
        bare = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
        loaded = subprocess.run(
            [sys.executable, dag], env={**bare, "PYTHONPATH": str(tmp_path / "site")}, capture_output=True, check=True
        )
        asked = json.loads(loaded.stdout)
        done = subprocess.run(
            ["/bin/bash", "-c", asked["bash_command"]], env={**bare, **asked["env"]}, cwd="/", timeout=300,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    left = json.loads((team / ".resilience/notebooks/01_assess.ipynb").read_text())
    outputs = json.dumps([cell.get("outputs") for cell in left["cells"]])
    assert "STAGING: UP" in outputs


@pytest.mark.parametrize("scheduler", ["github-actions", "gitlab", "kubernetes"])
def test_yaml_is_yaml_and_keeps_the_report(repository: Path, scheduler: str) -> None:
    made = job(repository)
    text = next(text for name, text in SCHEDULERS[scheduler](made).items() if name.endswith("ml"))
    documents = list(yaml.safe_load_all(text))
    assert documents
    assert made.outputs in text or "/outputs" in text


def checked(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def written(root: Path, scheduler: str) -> dict[str, str]:
    folder = root.parent / "out"
    return {name: str(put(folder / name, text)) for name, text in SCHEDULERS[scheduler](job(root)).items()}


def tool(name: str) -> str:
    """Return a checker's path; skip the test by its name where it is not installed."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed; make test-all installs what pip has of them")
    return found


def test_systemd_takes_the_units(repository: Path) -> None:
    checked(tool("systemd-analyze"), "verify", *written(repository, "systemd").values())


def test_githubs_schema_takes_the_workflow(repository: Path) -> None:
    checked(
        tool("check-jsonschema"),
        "--builtin-schema",
        "vendor.github-workflows",
        *written(repository, "github-actions").values(),
    )


def test_gitlabs_schema_takes_the_job(repository: Path) -> None:
    checked(tool("check-jsonschema"), "--builtin-schema", "vendor.gitlab-ci", *written(repository, "gitlab").values())


@pytest.mark.slow
def test_zizmor_finds_nothing_of_medium_weight_in_the_workflow(repository: Path) -> None:
    checked(tool("zizmor"), "--offline", "--min-severity", "medium", *written(repository, "github-actions").values())


@pytest.mark.slow
def test_kubernetes_takes_the_objects_strictly(repository: Path) -> None:
    paths = [path for name, path in written(repository, "kubernetes").items() if name.endswith(".yaml")]
    checked(tool("kubernetes-validate"), "--strict", *paths)


def write_shipped() -> None:
    """Write the shipped files again."""
    for scheduler, files in SCHEDULERS.items():
        for name, text in files(EXAMPLE).items():
            if text:
                put(ROOT / "deploy" / scheduler / name.removeprefix(".github/workflows/"), text)


if __name__ == "__main__":
    write_shipped()
