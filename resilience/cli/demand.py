"""Hand the verbs what puts off their imports: a verb's `--help` needs its options and nothing of what the verb does."""

from __future__ import annotations

from resilience.host.demand import on_demand

__all__ = ["on_demand"]
