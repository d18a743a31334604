"""Turn the runbook's JSON documents into the records that the outage guide's snippets ask."""

import contextlib
import os
from enum import Enum


class _Word(str, Enum):
    """An enum whose values are the words of the documents; it prints as its word, as the runbook's own does."""

    __str__ = str.__str__


class ConnectivityStatus(_Word):
    """How a service, or the whole of staging, is."""

    AVAILABLE = "available"
    DEGRADED = "degraded"
    UNAVAILABLE = "unavailable"
    UNKNOWN = "unknown"
    NOT_CONFIGURED = "not_configured"

    def __format__(self, spec):
        return str.__format__(self.value, spec)


class TestExecutionMode(_Word):
    """How the tests are run."""

    __test__ = False

    FULL = "full"
    DEGRADED = "degraded"
    OFFLINE = "offline"
    CRITICAL_ONLY = "critical_only"

    def __format__(self, spec):
        return str.__format__(self.value, spec)


class ServiceName(str):
    """A service's name that also answers `.value`, as the guide's snippets ask for."""

    @property
    def value(self):
        return str(self)


class Record:
    """A JSON object whose keys are its attributes."""

    def __init__(self, document):
        self._document = dict(document)

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._document[name]
        except KeyError:
            raise AttributeError("%s has no %r" % (type(self).__name__, name))

    def __repr__(self):
        return "%s(%r)" % (type(self).__name__, self._document)

    def to_dict(self):
        """Return the document as the runbook wrote it."""
        return dict(self._document)


class ConnectivityResult(Record):
    """One service as it was found."""

    @property
    def name(self):
        return ServiceName(self._document["name"])

    @property
    def status(self):
        return ConnectivityStatus(self._document["status"])


class InfrastructureHealth(Record):
    """Staging at one moment: the document of `resilience assess --json`."""

    @property
    def overall_status(self):
        return ConnectivityStatus(self._document["overall_status"])

    @property
    def services(self):
        return tuple(ConnectivityResult(service) for service in self._document.get("services", ()))

    def result(self, name):
        """Return the result of the service of this name, or None."""
        return next((result for result in self.services if result.name == name), None)

    def named(self, *statuses):
        """Return the names of the services with one of these statuses."""
        return tuple(result.name for result in self.services if result.status in statuses)

    def get_unavailable_services(self):
        return self.named(ConnectivityStatus.UNAVAILABLE)

    def get_degraded_services(self):
        return self.named(ConnectivityStatus.DEGRADED)

    def get_available_services(self):
        return self.named(ConnectivityStatus.AVAILABLE)


class Applied(Record):
    """What `resilience apply` did; nothing where staging can be used as it is."""

    @contextlib.contextmanager
    def environ(self):
        """Let this process have the variables of the env file that was written, for as long as the block lasts."""
        from resilience_light import envfile

        file = self._document.get("env_file") or ""
        values = envfile.read(os.path.join(self._document.get("root", ""), file)) if file else {}
        before = {name: os.environ.get(name) for name in values}
        os.environ.update(values)
        try:
            yield self
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


class Totals(Record):
    """Outcome -> how many tests."""


class TestSuiteResult(Record):
    """What a test run came to: the document of `resilience test --json`."""

    __test__ = False

    @property
    def mode(self):
        return TestExecutionMode(self._document["mode"])

    @property
    def totals(self):
        return Totals(self._document["totals"])

    @property
    def total_tests(self):
        counts = self._document["totals"]
        return sum(count for name, count in counts.items() if name not in ("retried", "passed_on_retry"))

    @property
    def passed_tests(self):
        return self._document["totals"]["passed"]

    @property
    def failed_tests(self):
        return self._document["totals"]["failed"] + self._document["totals"]["error"]

    @property
    def skipped_tests(self):
        return self._document["totals"]["skipped"]

    @property
    def infrastructure_unavailable_tests(self):
        return self._document["totals"]["infrastructure_unavailable"]
