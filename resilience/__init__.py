"""The incident runbook for test suites whose staging infrastructure is down: the front door, names only.

`import resilience` loads nothing but this list; each name is fetched from its room when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_ROOMS = {
    "resilience.guide": (
        "ResilientTestRunner",
        "TestConnectivityValidator",
        "assess_test_infrastructure_health",
        "is_service_available",
        "run_tests_with_resilience",
        "validate_critical_services",
        "validate_infrastructure_health",
    ),
    "resilience.core.records": (
        "Applied",
        "Cause",
        "ConnectivityResult",
        "ConnectivityStatus",
        "Decision",
        "FaultCode",
        "Incident",
        "InfrastructureHealth",
        "Outcome",
        "Plan",
        "Recovery",
        "Restored",
        "TestExecutionMode",
        "TestSuiteResult",
        "Verdict",
    ),
    "resilience.core.errors": ("ResilienceError", "SettingsError", "UsageError"),
    "resilience.runs.configuration": ("load_settings",),
    "resilience.runs.runbook": ("Run", "open_run"),
    "resilience.notebook.opening": ("open_notebook",),
    "resilience.notebook.trends": ("open_trends",),
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = sorted(_HOME)

if TYPE_CHECKING:
    from resilience.core.errors import (
        ResilienceError as ResilienceError,
        SettingsError as SettingsError,
        UsageError as UsageError,
    )
    from resilience.core.records import (
        Applied as Applied,
        Cause as Cause,
        ConnectivityResult as ConnectivityResult,
        ConnectivityStatus as ConnectivityStatus,
        Decision as Decision,
        FaultCode as FaultCode,
        Incident as Incident,
        InfrastructureHealth as InfrastructureHealth,
        Outcome as Outcome,
        Plan as Plan,
        Recovery as Recovery,
        Restored as Restored,
        TestExecutionMode as TestExecutionMode,
        TestSuiteResult as TestSuiteResult,
        Verdict as Verdict,
    )
    from resilience.guide import (
        ResilientTestRunner as ResilientTestRunner,
        TestConnectivityValidator as TestConnectivityValidator,
        assess_test_infrastructure_health as assess_test_infrastructure_health,
        is_service_available as is_service_available,
        run_tests_with_resilience as run_tests_with_resilience,
        validate_critical_services as validate_critical_services,
        validate_infrastructure_health as validate_infrastructure_health,
    )
    from resilience.notebook.opening import open_notebook as open_notebook
    from resilience.notebook.trends import open_trends as open_trends
    from resilience.runs.configuration import load_settings as load_settings
    from resilience.runs.runbook import Run as Run, open_run as open_run


def __getattr__(name: str) -> Any:
    room = _HOME.get(name)
    if room is None:
        raise AttributeError(f"module 'resilience' has no attribute {name!r}")
    value = getattr(import_module(room), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
