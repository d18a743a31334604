"""Let plain `pytest` follow the outage guide wherever a configuration of the runbook is found, and change nothing elsewhere.

Which tests are held back, what each failure is and what runs again is decided by the runbook (`resilience judge`). This
module loads the env file, tells the runbook what happens, runs what it names in a second process, and says what came of it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import uuid

import pytest

from resilience_light import configuration, recorder
from resilience_light.errors import ResilienceError
from resilience_light.judge import BEGIN_WITHIN_S, Judge
from resilience_light.tables import SELECTIONS

INSIDE = "RESILIENCE_PYTEST_INSIDE"
"""Set while a session of ours runs: a pytest that the suite itself starts is left alone."""
_TRUE = ("true", "yes", "on", "1")
_session = None


def pytest_addoption(parser):
    group = parser.getgroup("resilience", "outages of staging")
    group.addoption(
        "--resilience-exit-code",
        action="store_true",
        help="End with the runbook's exit code (10: not a full pass, 20: blocked by infrastructure) instead of pytest's.",
    )
    group.addoption(
        "--resilience-env-override",
        action="store_true",
        help="Let the active env file win over variables that this shell exports.",
    )


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config, parser, args):
    """Begin before the first conftest, which may read variables or connect already."""
    global _session
    if os.environ.get(recorder.VARIABLE):
        # The runbook runs this pytest, or it is a second run: it judges, and we only tell.
        yield from recorder.pytest_load_initial_conftests(early_config, parser, args)
        return
    found = None if os.environ.get(INSIDE) else configuration.find(os.getcwd())
    if found is not None:
        _session = Session(configuration.Configuration(found))
        try:
            _session.start(early_config)
        except Exception as exc:
            _session.broken(exc)
    outcome = yield
    if _session is not None and outcome.excinfo is not None:
        _session.conftest_failed(outcome.excinfo[1])


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """Register the session that was made early; a worker of pytest-xdist only tells, by what its controller hands on."""
    global _session
    session, _session = _session, None
    if session is not None and getattr(config, "workerinput", None) is None:
        session.configure(config)
    elif os.environ.get(recorder.SNAPSHOT) and not os.environ.get(recorder.VARIABLE) and not os.environ.get(INSIDE):
        # Somebody told us of a look, which is all that is known here: what needs staging itself skips by it.
        recorder.register_markers(config, ())
        config.pluginmanager.register(recorder.Alone(), "resilience-alone")
    else:
        recorder.leave_no_line(config, __name__)
        recorder.pytest_configure(config)


class Session:
    """One plain pytest where a configuration is found."""

    def __init__(self, found):
        self.configuration = found
        self.judge = None
        self.recorder = None
        self.begun = None
        self.why = ""
        """Why nobody judges this session; empty where the runbook does."""
        self.folder = None
        self.before = {}
        self.kept = []
        self.environ = None
        self.config = None
        self.alone = None

    # before the first conftest

    def start(self, early_config):
        """Load the env files, start the runbook beside us, and record from here on."""
        known = early_config.known_args_namespace
        override = bool(getattr(known, "resilience_env_override", False))
        override = override or os.environ.get(configuration.OVERRIDE, "").lower() in _TRUE
        self.before, self.kept = configuration.load(self.configuration, override)
        quiet = ("help", "version", "collectonly", "showfixtures", "show_fixtures_per_test", "markers", "setupplan")
        if any(getattr(known, name, None) for name in quiet):
            return
        # Named as the runbook's own are, which removes those of processes that were killed.
        self.folder = tempfile.mkdtemp(prefix="resilience-tests-%d-" % os.getpid())
        key = uuid.uuid4().hex
        events = os.path.join(self.folder, "events.jsonl")
        settings = {"events": events, "sign": key, "own_exit": True, "markers": self.configuration.markers()}
        os.close(os.open(events, os.O_CREAT | os.O_WRONLY, 0o600))
        words = " ".join(["pytest"] + [str(word) for word in early_config.invocation_params.args])
        try:
            self.judge = Judge(self.folder, uuid.uuid4().hex[:16], key, words, os.getcwd())
        except ResilienceError as exc:
            self.why = str(exc)
            return
        self.recorder = recorder.Recorder(settings)
        recorder._spoken.install()
        self.recorder.start(early_config)
        if self.configuration.staging_exports or configuration.wishes_early(os.environ):
            self.begin()

    def begin(self):
        """Wait until the runbook has looked, once, and take what it decided."""
        if self.judge is None or self.begun is not None:
            return
        try:
            begun = self.judge.hear(BEGIN_WITHIN_S)["begin"]
            if begun.get("schema", 1) > 1:
                raise ResilienceError(
                    "the runbook is newer than this package. Hint: pip install --upgrade pytest-resilience"
                )
        except (ResilienceError, KeyError) as exc:
            self.give_up(str(exc))
            return
        self.begun = begun
        self.change({name: None for name in begun["taken"]})
        self.change(begun["environ"])
        self.change({recorder.SNAPSHOT: begun["snapshot"]})
        self.recorder.take(begun["told"])

    def change(self, values):
        """Change this process's variables, and remember what they were."""
        for name, value in values.items():
            had = os.environ.get(name)
            if had != value:
                self.before.setdefault(name, had)
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

    def give_up(self, why):
        """Go on without the runbook: the tests matter more than what can be said of them."""
        self.why = why
        if self.judge is not None:
            self.judge.close()
            self.judge = None

    def broken(self, exc):
        self.give_up("trouble of pytest-resilience itself (%s: %s)" % (type(exc).__name__, exc))

    def conftest_failed(self, exc):
        """Tell what ended the session before it began; what it was is not asked for: pytest shows it, and exits with 4."""
        self.give_up("the session ended at a conftest")
        self.end()

    # while pytest runs

    def configure(self, config):
        """Register what watches the tests; the second process and the programs of the tests get the variables as they are now."""
        self.config = config
        if self.recorder is not None:
            recorder.attach(config, self.recorder)
        else:
            recorder.register_markers(config, self.configuration.markers())
            self.alone = recorder.Alone()
            config.pluginmanager.register(self.alone, "resilience-alone")
        config.pluginmanager.register(self, "resilience-session")
        os.environ[INSIDE] = "1"

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session):
        # The controller of pytest-xdist hands on what is known now.
        if self.config.pluginmanager.hasplugin("dsession"):
            self.begin()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, session, config, items):
        self.begin()
        yield
        if self.begun is None:
            self.leave_out(config, items)

    def leave_out(self, config, items):
        """Leave out what the guide's variables ask to, where the runbook does not: by its own marker expressions."""
        for _, names, expression in SELECTIONS:
            if not any(os.environ.get(name, "").strip().lower() in _TRUE for name in names):
                continue
            wanted = recorder.MarkerExpression(expression)
            kept = [item for item in items if wanted({mark.name for mark in item.iter_markers()})]
            gone = [item for item in items if item not in kept]
            if gone:
                config.hook.pytest_deselected(items=gone)
                items[:] = kept

    def pytest_report_collectionfinish(self, config):
        """Say how staging is where that changes what runs, and which of the shell's own values were kept."""
        lines = []
        if self.begun is not None and not self.begun["well"]:
            lines += ["resilience: " + line for line in self.begun["lines"]]
        if self.begun is not None:
            lines += ["resilience: " + line for line in self.begun.get("notes", ())]
        if self.kept:
            lines.append(
                "resilience: kept your shell's own %s; %s has others (--resilience-env-override lets it win)"
                % (", ".join(sorted(self.kept)), os.path.relpath(self.configuration.env_file, self.configuration.root))
            )
        return lines

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session, exitstatus):
        """After everybody else has said what the session came to: judge it, run again what is to, and say what it was."""
        yield
        try:
            self.finish(session)
        except ResilienceError as exc:
            self.give_up(str(exc))
            self.say("resilience: nobody judged these results: %s" % exc)
        except KeyboardInterrupt:
            self.give_up("interrupted")
            self.say("resilience: interrupted; what pytest says above is all that is known")
        except Exception as exc:
            self.broken(exc)
            self.say("resilience: nobody judged these results: %s" % self.why)

    def pytest_unconfigure(self, config):
        self.end()

    # at the end

    def finish(self, session):
        """Tell the runbook that the session has ended, run what it asks for, and take what it says in the end."""
        if self.judge is None:
            if self.folder is not None or self.why:
                self.say("resilience: nobody judged these results, and nothing was run again: %s" % self.why)
            return
        if self.begun is None:
            # Nothing was collected; the runbook waits for no more.
            self.begin()
            if self.judge is None:
                self.say("resilience: nobody judged these results: %s" % self.why)
                return
        self.judge.say({"exit": int(session.exitstatus)})
        while True:
            message = self.judge.hear()
            if "waiting" in message:
                self.say("resilience: %s" % message["waiting"])
            elif "again" in message:
                self.judge.say({"exit": self.run_again(message["again"])})
            elif "result" in message:
                break
        result = message["result"]
        self.judge.close()
        self.judge = None
        session.exitstatus = self.exit_status(session, result)
        for line in result["lines"]:
            self.say(line)

    def run_again(self, asked):
        """Run the named tests in a process of their own, as this one was started, and return its exit code."""
        import json

        tests = asked["tests"]
        self.say("resilience: running %s again in a process of its own" % (
            "1 test" if tests == 1 else "%d tests" % tests if tests else "what did not run"))  # fmt: skip
        with open(asked["told"], encoding="utf-8") as file:
            told = json.load(file)
        told["session_key"] = self.recorder.key
        with open(asked["told"], "w", encoding="utf-8") as file:
            json.dump(told, file)
        environ = dict(os.environ)
        environ.pop(INSIDE, None)
        environ[recorder.VARIABLE] = asked["told"]
        params = self.config.invocation_params
        words = self.interpreter() + [str(word) for word in params.args]
        if getattr(self.config.option, "xmlpath", None):
            # The first run's file stays what it is.
            words.append("--junitxml=%s" % os.path.join(self.folder, "again.xml"))
        return subprocess.call(words, cwd=str(params.dir), env=environ, stdin=subprocess.DEVNULL)

    @staticmethod
    def interpreter():
        """Return how this pytest was started: `python -m pytest` has the current folder on sys.path, the script has not."""
        script = sys.argv[0] if sys.argv else ""
        name = os.path.basename(script)
        if name in ("pytest", "py.test") and os.path.isfile(script):
            return [sys.executable, script]
        return [sys.executable, "-m", "pytest"]

    def exit_status(self, session, result):
        """Return the exit code: pytest's own, but 0 where every failure passed the second time, and 5 where nothing ran at all."""
        code = int(session.exitstatus)
        if self.config.getoption("resilience_exit_code"):
            return int(result["exit_code"])
        tests = result["tests"]
        ran = ("passed", "failed", "error", "xfailed", "xpassed", "undecided", "stand_in_gap", "timeout")
        failing = ("failed", "error", "undecided", "stand_in_gap", "timeout", "not_run")
        left = [
            test for test in tests
            if test["outcome"] in failing or (test["outcome"] == "infrastructure_unavailable" and test["rounds"])
        ]  # fmt: skip
        held = [test for test in tests if test["outcome"] == "infrastructure_unavailable" and not test["rounds"]]
        if code == 1 and tests and not left:
            code = 0
        if code == 0 and held and not any(test["outcome"] in ran for test in tests):
            code = 5
        try:
            return pytest.ExitCode(code)
        except ValueError:
            return code

    def say(self, line):
        """Print a line below everything else."""
        if not self.config.pluginmanager.hasplugin("terminalreporter"):
            sys.stdout.write(line + "\n")
            return
        writer = self.config.get_terminal_writer()
        if "NOT A FULL" in line or "FAILURES" in line or "BLOCKED" in line:
            writer.line(line, bold=True)
        else:
            writer.line(line)
        flush = getattr(writer, "flush", None)
        if flush is not None:
            flush()

    def end(self):
        """Put the variables of this process back, and remove what was written."""
        if self.judge is not None:
            self.judge.close()
            self.judge = None
        os.environ.pop(INSIDE, None)
        for name, value in self.before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self.before = {}
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None
