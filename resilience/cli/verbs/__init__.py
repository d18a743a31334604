"""One file a verb: its options, what it calls and how it shows what came of it; a row in `resilience.cli.group` names it."""
