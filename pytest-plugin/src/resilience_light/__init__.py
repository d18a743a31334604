"""The outage guide's API for the team's own interpreter, answered by the runbook that is installed apart from it."""

from resilience_light.errors import ResilienceError, ToolMissingError, UsageError
from resilience_light.guide import (
    ResilientTestRunner,
    TestConnectivityValidator,
    assess_test_infrastructure_health,
    is_service_available,
    run_tests_with_resilience,
    validate_critical_services,
    validate_infrastructure_health,
)
from resilience_light.records import (
    Applied,
    ConnectivityResult,
    ConnectivityStatus,
    InfrastructureHealth,
    TestExecutionMode,
    TestSuiteResult,
)

__all__ = [
    "Applied",
    "ConnectivityResult",
    "ConnectivityStatus",
    "InfrastructureHealth",
    "ResilienceError",
    "ResilientTestRunner",
    "TestConnectivityValidator",
    "TestExecutionMode",
    "TestSuiteResult",
    "ToolMissingError",
    "UsageError",
    "assess_test_infrastructure_health",
    "is_service_available",
    "run_tests_with_resilience",
    "validate_critical_services",
    "validate_infrastructure_health",
]
