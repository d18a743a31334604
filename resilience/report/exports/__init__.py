"""Turn a view into the files that other tools read: each file of this folder that holds an `EXPORT` is one of them."""

from __future__ import annotations

import sys

from resilience.report.exports.export import Export
from resilience.report.offered import offered

EXPORTS = offered(sys.modules[__name__], "EXPORT", Export)
"""In the order of their file names."""
