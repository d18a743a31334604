"""What may follow the words typed so far, as bash, zsh and fish ask for it at a press of Tab."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from resilience.cli.completing import SCRIPTS, candidates, lines
from resilience.cli.group import VERBS
from resilience.lab.shipped import scenario_names

BIN = Path(sys.executable).parent
ENVIRON = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "TERM": "xterm"}

LOADED = """
import json, sys
from resilience.cli import main
sys.argv = ["resilience", "completion", "bash", "--words", "--", *sys.argv[1:]]
try:
    main()
except SystemExit:
    print(json.dumps([name for name, module in sys.modules.items() if type(module).__name__ != "_LazyModule"]))
"""


def words(*typed: str) -> list[str]:
    return [name for name, _ in candidates(typed)]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ([""], [*VERBS]),
        (["re"], ["recover", "restore", "report", "resume", "rehearse"]),
        (["nonsense", ""], []),
        (["services", ""], ["up", "down", "status", "kinds"]),
        (["services", "nonsense", ""], []),
        (["drill", ""], [*scenario_names(), "list"]),
        (["drill", "vpc"], ["vpc-connector"]),
        (["drill", "vpc-connector", ""], []),
        (["drill", "--out", "vpc"], []),
        (["drill", "--out", "folder", "vpc"], ["vpc-connector"]),
        (["drill", "--out=folder", "vpc"], ["vpc-connector"]),
        (["drill", "-v", "vpc"], ["vpc-connector"]),
        (["plan", "--force", "of"], ["offline"]),
        (["say", "--for", ""], ["team", "status-page", "exec"]),
        (["assess", "--cr"], ["--critical"]),
        (["assess", "--critical", "--cr"], []),
        (["assess", "--url", "postgresql://a", "--ur"], ["--url"]),
        (["recover", "--no-t"], ["--no-tests"]),
        (["test", "--", ""], []),
        (["test", "--", "pytest", "--force", ""], []),
        (["help", "pla"], ["plan"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
    ],
)
def test_what_may_follow_is_what_the_command_line_takes(typed: list[str], found: list[str]) -> None:
    assert words(*typed) == found


def test_each_word_comes_with_what_it_means() -> None:
    assert candidates(["asse"]) == [("assess", VERBS["assess"])]
    assert candidates(["drill", "vpc"]) == [("vpc-connector", "The VPC connector is down")]
    assert dict(candidates(["assess", "--crit"])) == {"--critical": "Only the critical services"}


def test_what_stands_between_word_and_meaning_is_escaped_where_it_is_part_of_a_word() -> None:
    found = [("a:b", "c: d")]
    assert (lines(found, "bash"), lines(found, "fish"), lines(found, "zsh")) == ("a:b\n", "a:b\tc: d\n", "a\\:b:c: d\n")


def test_a_press_of_tab_loads_nothing_heavy() -> None:
    said = subprocess.run([sys.executable, "-c", LOADED, "ass"], capture_output=True, text=True, check=True)
    answer, loaded = said.stdout.splitlines()
    assert answer == "assess"
    assert not {"rich.console", "msgspec", "resilience.core.records", "resilience.cli.verbs.assess"} & {
        *json.loads(loaded)
    }


def test_bash_completes_verbs_scenarios_and_behind_two_dashes_files(tmp_path: Path) -> None:
    (tmp_path / "shop.py").touch()
    script = f"""
    {SCRIPTS["bash"]}
    try() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); COMPREPLY=(); _resilience; echo "${{COMPREPLY[*]}}"; }}
    try resilience dri; try resilience drill net; try resilience assess --crit; try resilience test -- sh
    complete -p resilience
    """
    said = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=ENVIRON, capture_output=True, text=True, check=True
    ).stdout
    assert said.splitlines() == [
        *("drill", "network-down", "--critical", ""),
        "complete -o default -F _resilience resilience",
    ]


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not on this machine")
def test_fish_completes_verbs_with_their_meaning_and_behind_two_dashes_files(tmp_path: Path) -> None:
    (tmp_path / "shop.py").touch()
    script = SCRIPTS["fish"] + "\ncomplete -C 'resilience dri'\ncomplete -C 'resilience test -- sho'\n"
    said = subprocess.run(
        ["fish", "--no-config", "-c", script], cwd=tmp_path, env=ENVIRON, capture_output=True, text=True, check=True
    ).stdout
    assert said.splitlines() == [f"drill\t{VERBS['drill']}", "shop.py"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not on this machine")
def test_zsh_completes_a_verb_on_a_real_terminal(tmp_path: Path) -> None:
    (tmp_path / "shop.py").touch()
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execvpe("zsh", ["zsh", "-f"], {**ENVIRON, "HOME": str(tmp_path), "PS1": "% "})
    try:
        _typed(
            terminal,
            'autoload -Uz compinit; compinit -u -D; eval "$(resilience completion zsh)"; echo re""ady\n',
            "ready",
        )
        assert "resilience drill" in _typed(terminal, "resilience dri\t", "drill")
        assert "resilience test -- shop.py" in _typed(terminal, "\x15resilience test -- sho\t", "shop.py")
    finally:
        os.write(terminal, b"\x15exit\n")
        os.close(terminal)
        os.waitpid(pid, 0)


def _typed(terminal: int, text: str, until: str) -> str:
    """Type a text, and return what the terminal shows by then, without its bold."""
    os.write(terminal, text.encode())
    said, deadline = "", time.monotonic() + 20
    while until not in said and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            said += os.read(terminal, 4096).decode(errors="replace")
    return said.replace("\x1b[1m", "").replace("\x1b[0m", "")
