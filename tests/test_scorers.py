"""The scorer that is held between jobs."""

from __future__ import annotations

from nuli.options import Options
from nuli.scoring.registry import cached_scorer, release_cached


def test_the_scorer_of_the_last_job_is_held_until_another_is_wanted_or_it_is_released() -> None:
    release_cached()
    tone = cached_scorer(Options(scorer="tone", device="cpu"))
    assert cached_scorer(Options(scorer="tone", device="cpu", seconds=3.0, mode="hard")) is tone
    assert cached_scorer(Options(scorer="vivid", device="cpu")).name == "vivid"
    assert cached_scorer(Options(scorer="tone", device="cpu")) is not tone
    assert release_cached()
    assert not release_cached()
