"""Find the runbook that is installed apart, ask it, and return the JSON document that it answers with."""

import json
import os
import shutil
import subprocess
import sys

from resilience_light.errors import ResilienceError, ToolMissingError

EXE = "RESILIENCE_EXE"
NAME = "resilience"
_DISTRIBUTION = "resilience-runbook"


def find():
    """Return the path of the runbook's command, or None: RESILIENCE_EXE, PATH, then where uv and pipx put it.

    A RESILIENCE_EXE that names nothing finds nothing: who sets it wants that one and no other.
    """
    given = os.environ.get(EXE)
    if given:
        return shutil.which(os.path.expanduser(given))
    found = shutil.which(NAME)
    if found:
        return found
    for path in _usual():
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


def _usual():
    """Yield where the command lies after `uv tool install`, `pipx install`, or an installation beside this interpreter."""
    home = os.path.expanduser("~")
    data = os.environ.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share")
    bins = [os.path.dirname(sys.executable), os.environ.get("UV_TOOL_BIN_DIR"), os.environ.get("XDG_BIN_HOME")]
    bins += [os.environ.get("PIPX_BIN_DIR"), os.path.join(home, ".local", "bin")]
    for folder in bins:
        if folder:
            yield os.path.join(folder, NAME)
    tools = [os.environ.get("UV_TOOL_DIR"), os.path.join(data, "uv", "tools")]
    venvs = [os.environ.get("PIPX_HOME"), os.path.join(data, "pipx"), os.path.join(home, ".local", "pipx")]
    for folder in tools + [os.path.join(home, "venvs") for home in venvs if home]:
        if folder:
            yield os.path.join(folder, _DISTRIBUTION, "bin", NAME)


def environment():
    """Return the runbook's environment: this process's, without what would make its interpreter load the team's modules."""
    own = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
    return {name: value for name, value in os.environ.items() if name not in own}


def ask(*words, **options):
    """Return the document that `resilience WORDS --json` prints, and the lines that it wrote to stderr.

    The exit codes that say how staging or the tests are (0, 1, 10, 20, 21, 124) are answers as well. Raises
    ToolMissingError, and ResilienceError with the runbook's own line for any other.
    """
    done = _run([words[0], "--json"] + list(words[1:]), options.get("config"))
    try:
        document = json.loads(done.stdout)
    except ValueError:
        why = last_line(done.stderr) or "the runbook answered nothing (exit code %d)" % done.returncode
        raise ResilienceError(why) from None
    if not isinstance(document, dict) or document.get("schema", 1) > 1:
        raise ResilienceError("the runbook is newer than this package. Hint: pip install --upgrade pytest-resilience")
    return document, done.stderr.splitlines()


def tell(*words, **options):
    """Run a verb that answers with an exit code alone, and return what it printed. Raises ResilienceError where it is not 0."""
    done = _run(list(words), options.get("config"))
    if done.returncode:
        raise ResilienceError(last_line(done.stderr) or "exit code %d" % done.returncode)
    return done.stdout


def _run(words, config):
    exe = find()
    if exe is None:
        raise ToolMissingError()
    more = ["--config", str(config)] if config else []
    at = 1 if "--" not in words else words.index("--")
    words = words[:at] + more + words[at:]
    try:
        return subprocess.run(
            [exe] + words,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            check=False,
        )
    except OSError as exc:
        raise ResilienceError("%s could not be started: %s. Hint: %s doctor" % (exe, exc.strerror, NAME))


def last_line(text):
    """Return the runbook's own line: the last one that begins with its name, without that; else the last one."""
    lines = [line.strip() for line in (text or "").splitlines() if line.strip()]
    own = [line for line in lines if line.startswith("resilience: ")]
    return own[-1][len("resilience: ") :] if own else lines[-1] if lines else ""
