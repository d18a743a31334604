"""Parameters mean what they say, or are refused by name."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st

from resilience.core.errors import SettingsError
from resilience.core.records import (
    Incident,
    Stage,
    StageName,
    StageStatus,
    TestExecutionMode,
    TestSuiteResult,
    TestTotals,
    Vantage,
    Verdict,
)
from resilience.notebook.parameters import (
    BY_NAME,
    PARAMETERS,
    FailOn,
    Kind,
    fails,
    looks_secret,
    parse,
    read_parameters,
    split_assignments,
)

NOW = datetime(2026, 11, 22, 3, 14, 7, tzinfo=UTC)
DECLARED = '# Parameters: change them here.\napply: bool = False  # help\nsamples: int = 1\nmode: str = ""\n'


def notebook(*injected: str, **values: object) -> dict[str, object]:
    """Give the `globals()` of a notebook in which papermill injected these lines."""
    namespace: dict[str, object] = {"apply": False, "samples": 1, "mode": "", "__name__": "__main__"}
    cells = ["", DECLARED]
    if injected:
        cells.append("# Parameters\n" + "\n".join(injected) + "\n")
        exec(cells[-1], namespace)  # what the kernel does with papermill's cell
    return {**namespace, **values, "In": [*cells, "import resilience"], "Out": {}, "other": 3}


@pytest.mark.parametrize("value", [False, "false", "False", "no", "NO", "off", "0", 0, 0.0, "n", " false "])
def test_every_spelling_of_false_is_false(value: object) -> None:
    assert parse({"apply": value})["apply"] is False


@pytest.mark.parametrize("value", [True, "true", "True", "yes", "on", "1", 1, 1.0, "y"])
def test_every_spelling_of_true_is_true(value: object) -> None:
    assert parse({"apply": value})["apply"] is True


@pytest.mark.parametrize("value", ["maybe", 2, "", "tru", -1, 0.5, [1], "nan"])
def test_any_other_flag_is_refused_with_what_to_type(value: object) -> None:
    with pytest.raises(SettingsError, match=r"apply.*true or false.*-p apply True"):
        parse({"apply": value})


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("max_age_minutes", "90 s", 1.5),
        ("max_age_minutes", "2h", 120.0),
        ("max_age_minutes", 45, 45.0),
        ("max_age_minutes", "1 day", 1440.0),
        ("interval_s", "500ms", 0.5),
        ("interval_s", "5s", 5.0),
        ("dwell_s", "30 min", 1800.0),
        ("dwell_s", "1e1", 10.0),
        ("samples", 7, 7),
        ("samples", 1000.0, 1000),
        ("samples", "3", 3),
    ],
)
def test_numbers_take_units_and_mean_the_unit_in_their_name_without(name: str, value: object, expected: float) -> None:
    assert parse({name: value})[name] == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("samples", "three"),
        ("samples", 1.5),
        ("samples", 0),
        ("samples", -1),
        ("samples", float("nan")),
        ("samples", True),
        ("samples", "3 s"),
        ("interval_s", "-5s"),
        ("interval_s", "5 parsecs"),
        ("interval_s", float("inf")),
        ("interval_s", "[1,2]"),
        ("dwell_s", "5 s 3"),
        ("good", "1e400"),
    ],
)
def test_other_numbers_are_refused_with_what_was_found(name: str, value: object) -> None:
    with pytest.raises(SettingsError) as caught:
        parse({name: value})
    assert str(value)[:20] in str(caught.value)
    assert f"-p {name}" in caught.value.hint


def test_enums_are_listed_and_guessed() -> None:
    with pytest.raises(SettingsError, match=r"one of full, degraded, offline, critical_only") as caught:
        parse({"mode": "degradet"})
    assert caught.value.hint == 'did you mean "degraded"?'
    assert parse({"mode": "OFFLINE"})["mode"] == "offline"
    assert parse({"fail_on": "Failures"})["fail_on"] == FailOn.FAILURES


def test_none_is_the_default() -> None:
    assert parse(dict.fromkeys(BY_NAME)) == {parameter.name: parameter.default for parameter in PARAMETERS}


def test_a_number_given_for_a_text_stays_what_was_typed() -> None:
    assert parse({"environment": 7})["environment"] == "7"


def test_an_unknown_name_is_refused_with_did_you_mean() -> None:
    with pytest.raises(SettingsError, match=r"parameter aply .*did you mean \"apply\"\?"):
        parse({"aply": True})


def test_a_parameter_of_another_notebook_is_refused_where_it_is_not_declared() -> None:
    with pytest.raises(SettingsError, match="parameter dwell_s"):
        parse({"dwell_s": 3}, declared=("apply", "samples"))


@pytest.mark.parametrize(
    "value",
    [
        "postgresql://app:hunter2@db:5432/app",
        "https://:pw@h/",
        "password=hunter2",
        "Bearer abcdefgh12345678",
        "sk-abcdefgh12345678",
        "ghp_abcdefghijklmnop",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
        "-----BEGIN RSA PRIVATE KEY-----",
        "API_KEY: abc",
    ],
)
def test_what_looks_like_a_secret_is_refused_without_showing_it(value: str) -> None:
    assert looks_secret(value)
    with pytest.raises(SettingsError) as caught:
        parse({"config": value})
    assert value not in str(caught.value)
    assert "environment variable" in caught.value.hint


@pytest.mark.parametrize(
    "value", ["staging", "config/runbook.toml", "not slow and critical", "http://127.0.0.1:8080/x", "postgresql://h/db"]
)
def test_ordinary_values_are_no_secrets(value: str) -> None:
    assert not looks_secret(value)


@given(st.text(), st.sampled_from(sorted(BY_NAME)))
def test_any_text_is_parsed_or_refused_but_nothing_else_happens(text: str, name: str) -> None:
    parameter = BY_NAME[name]
    wanted = int if parameter.kind is Kind.WHOLE else type(parameter.default)
    with contextlib.suppress(SettingsError):
        assert type(parse({name: text})[name]) is wanted


def test_a_notebook_reads_what_papermill_injected() -> None:
    asked = read_parameters(notebook('apply = "no"', "samples = 7", "mode = None"))
    assert (asked.apply, asked.samples, asked.mode) == (False, 7, "")
    assert dict(asked) == {"apply": False, "samples": 7, "mode": ""}


def test_a_misspelt_parameter_injected_by_papermill_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"aply.*did you mean \"apply\""):
        read_parameters(notebook("aply = True"))


def test_a_parameter_that_this_notebook_does_not_declare_is_refused() -> None:
    with pytest.raises(SettingsError, match="dwell_s"):
        read_parameters(notebook("dwell_s = 3"))


def test_variables_of_a_persons_own_are_none_of_our_business() -> None:
    assert "other" not in read_parameters(notebook(elapsed=3, dwell_s="mine"))


def test_a_corrected_cell_counts_not_the_one_before() -> None:
    namespace = notebook("aply = True")
    namespace["In"] = [*namespace["In"], "# Parameters\napply = True\n"]  # type: ignore[misc]
    namespace["apply"] = True
    assert read_parameters(namespace).apply is True


def test_outside_of_a_kernel_known_names_are_read() -> None:
    assert dict(read_parameters({"samples": "2", "x": 1})) == {"samples": 2}


def test_asking_for_an_undeclared_parameter_says_what_there_is() -> None:
    with pytest.raises(AttributeError, match='did you mean "samples"'):
        _ = read_parameters({"samples": 2}).sample


def test_assignments_of_the_command_line_keep_their_equal_signs() -> None:
    assert split_assignments(["select=a=b", " mode =full"]) == {"select": "a=b", "mode": "full"}
    with pytest.raises(SettingsError, match="name=value"):
        split_assignments(["apply"])


def incident(verdict: Verdict | None = None, *, code: int = 0, broken: StageStatus | None = None) -> Incident:
    tests = verdict and TestSuiteResult(
        mode=TestExecutionMode.DEGRADED,
        started_at=NOW,
        duration_s=1,
        exit_code=code,
        commands=(),
        totals=TestTotals(failed=2),
        tests=(),
        verdict=verdict,
    )
    stages = ()
    if broken:
        stages = (Stage(name=StageName.ASSESS, status=broken, started_at=NOW, error="the kernel was killed"),)
    return Incident(
        run="r",
        slug="s",
        environment="staging",
        started_at=NOW,
        vantage=Vantage(host="h", user="u"),
        tests=tests or None,
        stages=stages,
    )


@pytest.mark.parametrize("fail_on", list(FailOn))
@pytest.mark.parametrize("verdict", list(Verdict))
def test_fail_on_decides_about_what_tests_said_and_about_nothing_else(verdict: Verdict, fail_on: FailOn) -> None:
    partial = {
        *(Verdict.PASSED_ON_STAND_INS, Verdict.INFRASTRUCTURE_UNAVAILABLE, Verdict.UNKNOWN),
        *(Verdict.UNDECIDED, Verdict.STAND_IN_GAPS),
    }
    counted = {
        FailOn.NEVER: set[Verdict](),
        FailOn.FAILURES: {Verdict.PRODUCT_FAILURES},
        FailOn.DEGRADED: {Verdict.PRODUCT_FAILURES, *partial},
    }
    always = {Verdict.RUNBOOK_FAILED, Verdict.INTERRUPTED, Verdict.TIMED_OUT}
    expected = verdict in always or verdict in counted[fail_on]
    assert bool(fails(incident(verdict, code=1), fail_on)) is expected


@pytest.mark.parametrize("status", list(StageStatus))
def test_a_broken_stage_always_fails(status: StageStatus) -> None:
    broken = status in (StageStatus.FAILED, StageStatus.KILLED, StageStatus.TIMED_OUT, StageStatus.INTERRUPTED)
    reason = fails(incident(broken=status), FailOn.NEVER)
    assert bool(reason) is broken
    assert not broken or ("assess" in reason and "the kernel was killed" in reason)


def test_only_looking_does_not_fail() -> None:
    assert fails(incident()) == ""
