"""The outage guide's names, each a question to the runbook: `resilience VERB --json`.

All durations are in seconds. `config` is the path of a configuration; without it the one that counts in the current folder.
Nothing here changes anything but what says so. Where the runbook is not installed each raises ToolMissingError, which
says what to type.
"""

import asyncio
import difflib
import logging
import os
import re

from resilience_light import configuration, recorder, tool
from resilience_light.errors import UsageError
from resilience_light.records import Applied, InfrastructureHealth, TestExecutionMode, TestSuiteResult

logger = logging.getLogger("resilience")
_LOGGED = re.compile(r"(INFO|WARNING|ERROR): ((?:Service|Infrastructure|Applied|Falling|Enabling) .*)")


async def validate_infrastructure_health(*, config=None):
    """Look once at all configured services, all at the same time; it takes as long as the slowest probe."""
    return await TestConnectivityValidator(config=config).validate_all_services()


async def validate_critical_services(*, config=None):
    """Look once at the services that are `critical = true`."""
    return InfrastructureHealth(await _ask("assess", "--critical", config=config))


async def assess_test_infrastructure_health(*, config=None):
    """Look once at all configured services; the guide's other name for `validate_infrastructure_health`."""
    return await validate_infrastructure_health(config=config)


def is_service_available(name, *, snapshot=None):
    """Say whether the tests can use a service: it answered at the last look, or a ready stand-in serves it to them.

    The answer comes from a dated file (`snapshot`, else RESILIENCE_SNAPSHOT, else that of the last look here), never from the
    network. None, or one older than an hour: False, as nothing is known. Raises UsageError for an unknown service.
    """
    document = recorder.snapshot(str(snapshot) if snapshot else _last_look())
    if document is None:
        return False
    try:
        return recorder.available(document, name)
    except ValueError:
        known = [str(service.get("name")) for service in document.get("services", ())]
        near = difflib.get_close_matches(name.replace("staging_", "", 1), known, 1)
        hint = 'did you mean "%s"?' % near[0] if near else "one of %s" % ", ".join(known)
        raise UsageError("service %r is unknown. Hint: %s" % (name, hint))


def _last_look():
    named = os.environ.get(recorder.SNAPSHOT)
    path = None if named else configuration.find(os.getcwd())
    if path is None:
        return named or ""
    root = configuration.Configuration(path).root
    state = os.environ.get("RESILIENCE_STATE") or os.path.join(".resilience", "state")
    return os.path.join(root, state, "snapshot.json")


class TestConnectivityValidator:
    """Looks at services, once or for as long as it is iterated; changes nothing."""

    __test__ = False

    def __init__(self, *, config=None):
        self.config = config

    async def validate_all_services(self):
        """Look once at all configured services."""
        return InfrastructureHealth(await _ask("assess", config=self.config))

    async def validate_service(self, name):
        """Return the look at one service, by its name or the guide's short one. Raises UsageError for an unknown name."""
        document = await _ask("assess", config=self.config)
        short = name[len("staging_") :] if name.startswith("staging_") else name
        wanted = (name, short, recorder.ALIASES.get(short, short))
        found = [service for service in document["services"] if service["name"] in wanted]
        if not found:
            known = ", ".join(service["name"] for service in document["services"])
            raise UsageError("service %r is unknown. Hint: one of %s" % (name, known))
        return InfrastructureHealth(dict(document, services=found, overall_status=found[0]["status"]))

    async def watch(self, interval_s=300.0):
        """Look again every `interval_s` seconds (the guide: 5 minutes), for as long as the caller iterates."""
        while True:
            yield await self.validate_all_services()
            await asyncio.sleep(interval_s)


class ResilientTestRunner:
    """The guide's runner: assess, determine the mode, apply, run, report."""

    def __init__(self, *, config=None):
        self.config = config

    async def assess_infrastructure_health(self):
        """Look once at all services."""
        return InfrastructureHealth(await _ask("assess", config=self.config))

    def determine_execution_mode(self, health):
        """Return how to run the tests, as the runbook decided at that look."""
        return TestExecutionMode(health.mode)

    def apply_resilient_configuration(self, health, mode):
        """Start stand-ins and write the env file; it waits for them. `restore` undoes it to the byte."""
        word = getattr(mode, "value", mode)
        document = _answer("apply", "--force", str(word), config=self.config)
        path = configuration.find(os.getcwd())
        root = (
            configuration.Configuration(str(self.config) if self.config else path).root if path or self.config else ""
        )
        return Applied(dict(document.get("applied") or {"mode": word, "stand_ins": [], "env_file": ""}, root=root))

    async def restore(self):
        """Put everything back to the byte, and end the stand-ins that apply started. No database is touched."""
        await _in_thread(lambda: tool.tell("restore", config=self.config))

    async def run_test_suite(self, commands):
        """Run shell commands in the mode that fits staging now, and count outcomes per test."""
        wanted = [commands] if isinstance(commands, str) else list(commands)
        words = [word for command in wanted for word in ("--command", command)]
        return TestSuiteResult(await _ask("test", *words, config=self.config))

    def generate_resilience_report(self, result):
        """Return the report of the run that this result is of, as Markdown; it is in the run's folder as well."""
        printed = tool.tell("report", result.run, "--no-pdf", config=self.config)
        page = printed.strip().splitlines()[-1]
        with open(os.path.join(os.path.dirname(page), "report.md"), encoding="utf-8") as file:
            return file.read()


async def run_tests_with_resilience(commands, *, config=None):
    """Assess, choose the mode, apply what it needs, run the commands, and restore, whatever happens.

    A fallback that a person applied before is used and left as it is.
    """
    runner = ResilientTestRunner(config=config)
    before = (await _ask("status", config=config)).get("applied")
    plan = await _ask("plan", config=config)
    ours = bool(not before and plan["stand_ins"])
    try:
        if ours:
            await _ask("apply", config=config)
        return await runner.run_test_suite(commands)
    finally:
        if ours:
            await runner.restore()


async def _ask(*words, **options):
    return await _in_thread(lambda: _answer(*words, **options))


async def _in_thread(call):
    return await asyncio.get_event_loop().run_in_executor(None, call)


def _answer(*words, **options):
    """Return the runbook's document, and log its lines as the guide shows them."""
    more = () if words[0] == "status" else ("--verbose",)
    document, lines = tool.ask(*(words + more), **options)
    show_log()
    for line in lines:
        match = _LOGGED.match(line)
        if match is not None:
            logger.log(getattr(logging, match.group(1)), "%s", match.group(2))
    return document


def show_log():
    """Have the guide's log lines shown where nobody has set logging up: the guide shows them without a word on it."""
    if not logger.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
