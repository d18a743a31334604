"""What standing in needs of a checkout is all that settings and places have to be."""

from __future__ import annotations

from pathlib import Path

from resilience.stand_ins.checkout import Checkout, Folders, logs_folder, supervised_folder
from tests.kits.stand_in_kit import settings_for


def test_settings_are_a_checkout_and_their_places_are_its_folders(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, [])
    checkout: Checkout = settings
    places: Folders = settings.places
    assert supervised_folder(checkout) == supervised_folder(places) == settings.data / "supervisor"
    assert logs_folder(checkout) == settings.data / "logs"
