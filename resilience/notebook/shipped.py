"""Say where our notebooks are, without loading what runs them."""

from __future__ import annotations

from pathlib import Path


def notebooks_folder() -> Path:
    """Return the folder of our notebooks: in the wheel, or in the checkout."""
    package = Path(__file__).resolve().parent.parent
    shipped = package / "_shipped" / "notebooks"
    return shipped if shipped.is_dir() else package.parent / "notebooks"
