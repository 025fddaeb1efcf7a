"""Threads of our own: what they compute, and that a host's are left alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from PIL import Image

import nuli
from nuli.scoring.vivid import Vivid
from nuli.threads import _begin, parallel_map, run_multithreaded, run_single_threaded


@pytest.fixture
def four_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def threads_of_a_new_thread() -> int:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


class Watched(Vivid):
    """`vivid`, which notes with how many threads torch scores."""

    def __init__(self, cheap: bool) -> None:
        self.cheap, self.seen = cheap, set[tuple[str, int]]()

    def bind(self, original: torch.Tensor):
        score = super().bind(original)

        def watched(views: torch.Tensor) -> torch.Tensor:
            self.seen.add((threading.current_thread().name.rpartition("_")[0], torch.get_num_threads()))
            return score(views)

        return watched


@pytest.mark.usefixtures("four_threads")
@pytest.mark.parametrize(
    "cheap, threads", [(True, {("nuli-search", 1), ("nuli-piece", 1)}), (False, {("nuli-multithreaded", 4)})]
)
def test_small_frames_are_scored_by_one_thread_and_large_networks_by_all(
    photo: Image.Image, cheap: bool, threads: set[tuple[str, int]]
) -> None:
    scorer = Watched(cheap)
    nuli.enhance(photo, scorer=scorer, evaluations=60, device="cpu")
    assert scorer.seen == threads
    nuli.enhance_together([photo, photo], scorer=scorer, evaluations=20, device="cpu")
    nuli.score(photo, scorer=scorer, device="cpu")
    assert scorer.seen == threads


@pytest.mark.usefixtures("four_threads")
def test_the_number_of_threads_of_a_host_stays(photo: Image.Image) -> None:
    for event in nuli.enhance_iter(photo, mode="hard", evaluations=40, device="cpu"):
        # this thread's, and that of one that begins to compute while we do
        assert (torch.get_num_threads(), threads_of_a_new_thread()) == (4, 4), event


@pytest.mark.usefixtures("four_threads")
def test_threads_of_ours_that_begin_at_once_leave_the_number_as_it_is() -> None:
    for count in range(20):
        ready = threading.Barrier(8)

        def begin(ready: threading.Barrier = ready) -> int:
            ready.wait(10)
            _begin(1)
            return torch.get_num_threads()

        with ThreadPoolExecutor(8) as pool:
            assert [one.result() for one in [pool.submit(begin) for _ in range(8)]] == [1] * 8
        assert threads_of_a_new_thread() == 4, count


@pytest.mark.parametrize("mode", ["soft", "hard"])
def test_the_result_does_not_depend_on_the_number_of_threads(photo: Image.Image, mode: str) -> None:
    found, before = [], torch.get_num_threads()
    for count in (1, 2, 5):
        torch.set_num_threads(count)
        result = nuli.enhance(photo, mode=mode, evaluations=60, device="cpu")
        found.append((result.recipe, result.evaluations, result.image.tobytes()))
    torch.set_num_threads(before)
    assert found[0] == found[1] == found[2]


@pytest.mark.usefixtures("four_threads")
def test_items_are_mapped_in_order_and_none_is_begun_after_an_error() -> None:
    assert parallel_map(lambda i: i**2, range(50)) == [i**2 for i in range(50)]
    begun: list[int] = []

    def fail(i: int) -> None:
        begun.append(i)
        raise ValueError(i)

    with pytest.raises(ValueError, match="0"):
        parallel_map(fail, range(1000))
    assert len(begun) <= 4


@pytest.mark.usefixtures("four_threads")
def test_threads_that_wait_for_others_never_wait_for_themselves() -> None:
    def nested(i: int) -> int:
        return sum(parallel_map(lambda j: i * j, range(10))) + run_single_threaded(run_multithreaded, int, "1")

    def outer(i: int) -> list[int]:
        return parallel_map(nested, range(8))

    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda i: run_single_threaded(outer, i), range(24)))
    assert found == [[45 * i + 1 for i in range(8)]] * 24
