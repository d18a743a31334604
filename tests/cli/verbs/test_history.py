"""What the history says over a period can be asked for on a terminal and as one JSON document."""

from __future__ import annotations

from pathlib import Path

from tests.kits.small_staging import SmallStaging
from tests.kits.typing_in import Type


def test_looks_and_their_outage_are_told_over_a_period(type_in: Type, team: Path, staging: SmallStaging) -> None:
    """The bad look comes first: a staging that is well makes no history where there is none."""
    staging.status = 503
    assert type_in("assess").code == 20
    staging.status = 200
    assert type_in("assess").code == 0
    told = type_in("history")
    assert told.code == 0, told.err
    assert "backend_api" in told.out
    assert "Outages: 1 outage, 1 without a proved end; median time to detect" in told.out
    document = type_in("history", "--since", "7 days", "--json").json
    assert document["schema"] == 1
    (service,) = document["services"]
    assert (service["service"], service["samples"]) == ("backend_api", 2)
    assert sum(day["samples"] for day in document["days"]) == 2
    assert [outage["services"] for outage in document["incidents"]] == [["backend_api"]]


def test_where_nobody_looked_it_says_so_and_makes_no_history(type_in: Type, team: Path) -> None:
    told = type_in("history", "--since", "all")
    assert told.code == 0
    assert "nobody looked" in told.out
    assert not list(team.rglob("history.sqlite"))


def test_a_period_that_is_none_is_refused(type_in: Type, team: Path) -> None:
    type_in("history", "--since", "soon").complains("since 'soon'", "Hint: ")


def test_a_damaged_history_is_told_and_none_of_it_is_lost(type_in: Type, team: Path) -> None:
    """What is left of it may be all that there is of a year: it is kept to the byte, and whoever asked hears of it."""
    path = team / "outputs" / "history.sqlite"
    path.parent.mkdir(parents=True, exist_ok=True)
    damaged = b"no database at all" * 100
    path.write_bytes(damaged)
    told = type_in("history")
    assert "Traceback" not in told.err
    assert "damaged" in told.out + told.err or "cannot be read" in told.out + told.err
    kept = [file.read_bytes() for file in path.parent.glob("history*.sqlite")]
    assert damaged in kept


def test_a_history_is_carried_to_another_checkout_and_twice_adds_nothing(
    type_in: Type, team: Path, staging: SmallStaging, tmp_path: Path
) -> None:
    staging.status = 503
    assert type_in("assess").code == 20
    copy = tmp_path / "copy.sqlite"
    assert type_in("history", "export", str(copy)).out.endswith("1 run, 1 sample, 1 outage of history.sqlite\n")
    type_in("history", "export", str(copy)).complains("is there already", "Hint: ")
    (team / "outputs" / "history.sqlite").unlink()
    assert type_in("history", "import", str(copy)).out.endswith("1 run, 1 sample, 1 outage new in history.sqlite\n")
    assert type_in("history", "import", str(copy)).out.endswith("0 runs, 0 samples, 0 outages new in history.sqlite\n")
    (service,) = type_in("history", "--json").json["services"]
    assert service["samples"] == 1


def test_what_is_no_history_is_refused_by_name(
    type_in: Type, team: Path, staging: SmallStaging, tmp_path: Path
) -> None:
    staging.status = 503
    assert type_in("assess").code == 20
    (tmp_path / "text").write_text("no history")
    type_in("history", "import", str(tmp_path / "text")).complains("text is no history", "Hint: ")
    type_in("history", "import", str(tmp_path / "away")).complains("No such file", "Hint: ")
    type_in("history", "import", str(team / "outputs" / "history.sqlite")).complains("own history", "Hint: ")


def test_samples_are_forgotten_by_age_and_their_figures_stay(type_in: Type, team: Path, staging: SmallStaging) -> None:
    staging.status = 503
    assert type_in("assess").code == 20
    assert type_in("history", "prune").out == "0 samples forgotten in history.sqlite\n"
    assert type_in("history", "prune", "--keep-days", "0").out == "1 sample forgotten in history.sqlite\n"
    (service,) = type_in("history", "--json").json["services"]
    assert service["samples"] == 1
