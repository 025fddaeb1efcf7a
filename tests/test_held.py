"""The scorer that is held between jobs."""

from __future__ import annotations

from nuli import held
from nuli.options import Options


def test_the_scorer_of_the_last_job_is_held_until_another_is_wanted_or_it_is_released() -> None:
    held.release()
    tone = held.scorer_for(Options(scorer="tone", device="cpu"))
    assert held.scorer_for(Options(scorer="tone", device="cpu", seconds=3.0, mode="hard")) is tone
    assert held.scorer_for(Options(scorer="vivid", device="cpu")).name == "vivid"
    assert held.scorer_for(Options(scorer="tone", device="cpu")) is not tone
    assert held.release()
    assert not held.release()
