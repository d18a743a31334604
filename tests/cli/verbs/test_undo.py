"""`undo` is `restore` under another name."""

from __future__ import annotations

from pathlib import Path

from tests.kits.typing_in import Type


def test_undo_takes_the_options_of_restore_and_does_the_same(type_in: Type, team: Path) -> None:
    options = {verb: type_in(verb, "--help").out.partition("Options:")[2] for verb in ("undo", "restore")}
    assert "--keep-stand-ins" in options["undo"]
    assert options["undo"] == options["restore"]
    undone = type_in("undo", "--json").json
    assert undone["nothing_to_do"] is True
    assert undone.keys() == type_in("restore", "--json").json.keys()
