"""What papermill injected is read as this notebook declared it, or refused by name."""

from __future__ import annotations

import pytest

from resilience.core.errors import SettingsError
from resilience.notebook.passed import parse, read_parameters

DECLARED = '# Parameters: change them here.\napply: bool = False  # help\nsamples: int = 1\nmode: str = ""\n'


def notebook(*injected: str, **values: object) -> dict[str, object]:
    """Return the `globals()` of a notebook in which papermill injected these lines."""
    namespace: dict[str, object] = {"apply": False, "samples": 1, "mode": "", "__name__": "__main__"}
    cells = ["", DECLARED]
    if injected:
        cells.append("# Parameters\n" + "\n".join(injected) + "\n")
        exec(cells[-1], namespace)  # what the kernel does with papermill's cell
    return {**namespace, **values, "In": [*cells, "import resilience"], "Out": {}, "other": 3}


def test_an_unknown_name_is_refused_with_did_you_mean() -> None:
    with pytest.raises(SettingsError, match=r"parameter aply .*did you mean \"apply\"\?"):
        parse({"aply": True})


def test_a_parameter_of_another_notebook_is_refused_where_it_is_not_declared() -> None:
    with pytest.raises(SettingsError, match="parameter dwell_s"):
        parse({"dwell_s": 3}, declared=("apply", "samples"))


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
