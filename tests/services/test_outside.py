"""The package of docs/adding-a-service.md is built, installed beside resilience, and used as a kind of ours is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.kits.ports import free_port
from tests.kits.servers import fakes

PAGE = Path(__file__).parents[2] / "docs/adding-a-service.md"
FILE = re.compile(r"```\w+\n# (resilience-beanstalk/\S+)\n(.*?)```", re.S)
SERVER = '''#!{python}
"""As much of beanstalkd as answers `stats`, where its options say."""
import socket, sys
bind, port = sys.argv[sys.argv.index("-l") + 1], int(sys.argv[sys.argv.index("-p") + 1])
body = b"---\\ncurrent-jobs-ready: 7\\nversion: \\"1.12\\"\\ndraining: false\\n"
with socket.create_server((bind, port)) as listener:
    while True:
        client, _ = listener.accept()
        with client:
            if client.recv(64) == b"stats\\r\\n":
                client.sendall(b"OK %d\\r\\n%s\\r\\n" % (len(body), body))
'''
CONFIG = """
[[service]]
name = "jobs"
type = "beanstalk"
url = "beanstalk://127.0.0.1:{dead}"
local = "beanstalk://127.0.0.1:{local}"
exports = {{ BEANSTALK = "{{host}}:{{port}}" }}
critical = true
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter of its own, that sees what is installed here, with the page's package installed by pip."""
    root = tmp_path_factory.mktemp("outside")
    for name, text in FILE.findall(PAGE.read_text(encoding="utf-8")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    venv.create(root / "venv", symlinks=True)
    interpreter = root / "venv/bin/python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(root / "venv"), "platbase": str(root / "venv")}))
    here = sysconfig.get_path("purelib")
    (site / "here.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    pip = (
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(interpreter),
        "--disable-pip-version-check",
        "install",
        "--quiet",
    )
    offline = ("--no-index", "--no-build-isolation", "--no-deps", str(root / "resilience-beanstalk"))
    done = subprocess.run((*pip, *offline), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return interpreter


def typed(python: Path, folder: Path, *words: str) -> tuple[int, str]:
    """Type a command of the interpreter's own resilience, in a team's folder."""
    fake = folder / "bin/beanstalkd"
    fake.parent.mkdir(exist_ok=True)
    fake.write_text(SERVER.replace("{python}", sys.executable))
    fake.chmod(0o755)
    environ = {
        "PATH": f"{fake.parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "XDG_STATE_HOME": str(folder / "state"),
    }
    argv = (str(python), "-c", "import sys; from resilience.cli import main; sys.exit(main())", *words)
    done = subprocess.run(argv, cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_package_on_the_page_has_at_most_sixty_lines_of_python() -> None:
    files = dict(FILE.findall(PAGE.read_text(encoding="utf-8")))
    assert [Path(name).name for name in files] == ["pyproject.toml", "__init__.py", "acting.py"]
    assert sum(len(text.splitlines()) for name, text in files.items() if name.endswith(".py")) <= 60


@pytest.mark.slow  # builds a wheel
def test_a_url_of_its_scheme_is_looked_at_up_and_dead(python: Path, tmp_path: Path) -> None:
    code, said = typed(python, tmp_path, "assess", "--url", f"beanstalk://127.0.0.1:{fakes.refused()}", "--json")
    (service,) = json.loads(said)["services"]
    assert (code, service["type"], service["fault"]) == (20, "beanstalk", "tcp_refused")
    assert service["hint"] == "systemctl status beanstalkd, on 127.0.0.1"
    assert "beanstalk     of another package" in typed(python, tmp_path, "services", "kinds")[1]


@pytest.mark.slow  # builds a wheel
def test_its_stand_in_is_planned_started_proven_by_its_probe_and_ended(python: Path, tmp_path: Path) -> None:
    dead, local = fakes.refused(), free_port()
    (tmp_path / "resilience.toml").write_text(CONFIG.format(dead=dead, local=local))
    code, said = typed(python, tmp_path, "plan")
    assert (code, f"start or prove the local beanstalk for jobs at beanstalk://127.0.0.1:{local}" in said) == (
        20,
        True,
    ), said
    code, said = typed(python, tmp_path, "services", "up")
    try:
        assert (code, "jobs: system 1.12" in said) == (0, True), said
        code, said = typed(python, tmp_path, "assess", "--url", f"beanstalk://127.0.0.1:{local}", "--json")
        (service,) = json.loads(said)["services"]
        assert (code, service["status"], service["found"]) == (0, "available", "7 jobs ready")
    finally:
        code, said = typed(python, tmp_path, "services", "down")
    assert said == "stopped: jobs\n"
