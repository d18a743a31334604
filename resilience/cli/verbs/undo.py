"""Offer `restore` under the word that people try as well."""

from __future__ import annotations

from resilience.cli.group import verb
from resilience.cli.verbs.restore import restore

app = verb()
app.command("undo", help="The same as restore.")(restore)
