"""resilience.report.losses: each loss is told once, in words that may leave."""

from __future__ import annotations

from resilience.report.losses import Losses


def test_a_loss_is_told_once_redacted_and_cut() -> None:
    losses = Losses(lambda text: text.replace("hunter2", "***"), ["samples: 3 lines could not be read"])
    for _ in range(2):
        losses.lost("chart status", ValueError("hunter2 " * 100))
    assert len(losses.missing) == 2
    assert losses.missing[0] == "samples: 3 lines could not be read"
    assert losses.missing[1].startswith("chart status: could not be made (ValueError: *** ***")
    assert len(losses.missing[1]) < 260
    assert "hunter2" not in losses.missing[1]


def test_an_error_without_words_is_told_by_its_type() -> None:
    losses = Losses(str)
    losses.lost("history", TimeoutError())
    assert losses.missing == ("history: could not be made (TimeoutError)",)
