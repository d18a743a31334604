"""What can go wrong between the team's interpreter and the runbook, each with a line to type."""


class ResilienceError(Exception):
    """Root of these errors; `str()` is one line with what to type."""


class UsageError(ResilienceError):
    """A name or a setting that cannot be used."""


class ToolMissingError(ResilienceError):
    """The runbook is not installed where it can be found."""

    def __init__(self):
        super().__init__(
            "the runbook `resilience` was not found (RESILIENCE_EXE, PATH, the folders of uv and pipx). "
            "Hint: uv tool install resilience-runbook"
        )
