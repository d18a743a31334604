"""Find the configuration of a repository, and read of it what plain pytest needs before the runbook has answered."""

import os
import re

from resilience_light import envfile
from resilience_light.tables import GUIDE

NAMES = ("resilience.toml", os.path.join("config", "runbook.toml"))
OVERRIDE = "RESILIENCE_ENV_OVERRIDE"
APPLIED = "RESILIENCE_APPLIED"
_DEFAULT = "config/.env.test.active"
_PROFILES = (".env.test.resilient", ".env.test.local", ".env.test.minimal")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_EXPORTED = re.compile(r"[{,]\s*\"?([A-Za-z_][A-Za-z0-9_]*)\"?\s*=")


def find(folder):
    """Return the configuration that counts in this folder, as the runbook finds it, or None."""
    given = os.environ.get("RESILIENCE_CONFIG")
    if given:
        path = os.path.join(folder, os.path.expanduser(given))
        if os.path.isdir(path):
            path = next((os.path.join(path, name) for name in NAMES if os.path.isfile(os.path.join(path, name))), path)
        return path if os.path.isfile(path) else None
    while True:
        for name in NAMES:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                return path
        above = os.path.dirname(folder)
        if above == folder or os.path.exists(os.path.join(folder, ".git")):
            return None
        folder = above


class Configuration:
    """A configuration file: its root, its env file, and the variables of its stand-ins."""

    def __init__(self, path):
        self.path = path
        folder = os.path.dirname(os.path.abspath(path))
        self.root = os.path.dirname(folder) if os.path.basename(folder) == "config" else folder
        above = folder
        while True:
            if os.path.exists(os.path.join(above, ".git")):
                self.root = above
                break
            if os.path.dirname(above) == above:
                break
            above = os.path.dirname(above)
        try:
            with open(path, encoding="utf-8-sig") as file:
                self.text = file.read()
        except (OSError, UnicodeDecodeError):
            self.text = ""

    @property
    def env_file(self):
        """The active env file: `[runbook] env_file`, else the guide's."""
        value = self._of_runbook(r"env_file\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
        return os.path.join(self.root, (value and (value.group(1) or value.group(2))) or _DEFAULT)

    @property
    def staging_exports(self):
        """Whether the tests are to get staging's own values, which have to be there before their first module is imported."""
        return bool(self._of_runbook(r"staging_exports\s*=\s*true\b"))

    def _of_runbook(self, line):
        """Return the match of a line of the table [runbook], or None."""
        table = re.search(r"^\s*\[runbook\][ \t]*(?:#.*)?$(.*?)(?=^\s*\[|\Z)", self.text, re.M | re.S)
        return table and re.search(r"^\s*" + line, table.group(1), re.M)

    def stand_in_names(self):
        """Return the variables that lead to stand-ins: those of each `local`, and every export.

        They are read without a TOML reader, which Python 3.8 has not: from lines that begin with these keys.
        """
        names = set()
        for line in re.findall(r"^\s*local\s*=(.*)$", self.text, re.M):
            names.update(_VARIABLE.findall(line))
        for inline in re.findall(r"^\s*exports\s*=(.*)$", self.text, re.M):
            names.update(_EXPORTED.findall(re.sub(r"\"[^\"]*\"(?!\s*=)", '""', inline)))
        for table in re.findall(r"^\s*\[service\.exports\]\s*$(.*?)(?=^\s*\[|\Z)", self.text, re.M | re.S):
            names.update(re.findall(r"^\s*\"?([A-Za-z_][A-Za-z0-9_]*)\"?\s*=", table, re.M))
        return names

    def markers(self):
        """Return the markers of services, which `--strict-markers` must know before the first test is collected."""
        lists = re.findall(r"^\s*markers\s*=\s*\[([^\]]*)\]", self.text, re.M)
        return re.findall(r"[\"']([A-Za-z_]\w*)[\"']", " ".join(lists))

    def values(self):
        """Return the variables that plain pytest gets from the env files, and from which file each comes.

        Of a file that `resilience apply` wrote all. Of one that a person copied from a profile not those that lead to
        stand-ins: nobody has started any by that, and tests that were sent there would only fail. A copy of a profile that
        was laid at `.env`, as the guide does, gives its numbers alone: a mode is asked for in the active file or by export.
        """
        found = {}
        active = envfile.read(self.env_file)
        leading = set() if APPLIED in active else self.stand_in_names()
        for name, value in active.items():
            if name not in leading:
                found[name] = (value, self.env_file)
        copied = os.path.join(self.root, ".env")
        if self._is_profile(copied):
            for name, value in envfile.read(copied).items():
                if GUIDE.get(name) == "a number":
                    found.setdefault(name, (value, copied))
        return found

    def _is_profile(self, path):
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError:
            return False
        for name in _PROFILES:
            try:
                with open(os.path.join(self.root, "config", name), "rb") as file:
                    if file.read() == data:
                        return True
            except OSError:
                continue
        return False


def load(configuration, override=False):
    """Give this process the variables of the env files, never over what it was started with unless asked.

    Returns what was there before, to be put back, and the names whose own value was kept in spite of another in a file.
    """
    before, kept = {}, []
    for name, (value, _) in configuration.values().items():
        had = os.environ.get(name)
        if had is not None and had != value and not override:
            kept.append(name)
            continue
        if had != value:
            before[name] = had
            os.environ[name] = value
    return before, kept


def wishes_early(environ):
    """Whether a variable asks for something that has to be known before the first module of the tests is imported."""
    for name, asks in GUIDE.items():
        word = environ.get(name, "").strip().lower()
        if asks == "local" and word == "local":
            return True
        if asks == "true" and name not in _LATE and word in ("true", "yes", "on", "1"):
            return True
    return False


_LATE = ("INFRASTRUCTURE_DEGRADED_MODE", "TEST_CRITICAL_ONLY", "SKIP_NON_CRITICAL_TESTS")
"""These choose among tests, and change no variable."""
