"""One large scorer for several searches: what they ask for at the same time is scored as one batch."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..scoring.laion import Laion

if TYPE_CHECKING:
    from ..scoring.protocol import Score, Scorer

LARGEST = 256
"""Views scored at once, at most."""


@dataclass(eq=False)
class _Request:
    views: Tensor
    scores: Tensor | None = None
    error: BaseException | None = None
    done: bool = False


class SharedScorer:
    """A scorer that scores each view by itself, such as `laion`, for the searches of several threads.

    Whoever finds the network free takes along what others wait for. So batches grow with the number of threads, and
    nobody waits for one to fill.

    Args:
        scorer: what scores; whatever it is bound to, it gives the same scores.
        threads: processor threads that the network may use.
    """

    def __init__(self, scorer: Scorer, threads: int) -> None:
        self._scorer, self._threads = scorer, threads
        self._network, self._lock = threading.Lock(), threading.Lock()
        self._waiting: list[_Request] = []
        self._score: Score | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scorer, name)

    def bind(self, original: Tensor) -> Score:
        with self._network:
            self._score = self._scorer.bind(original)
        return self._ask

    def _ask(self, views: Tensor) -> Tensor:
        """Scores [N] of views [N,3,H,W]."""
        if views.requires_grad:  # each has a graph of its own
            with self._network:
                return self._run(views)
        request = _Request(views)
        with self._lock:
            self._waiting.append(request)
        with self._network:
            if not request.done:
                with self._lock:
                    requests, self._waiting = self._waiting, []
                self._serve(requests)
        if request.error is not None:
            raise request.error
        return request.scores

    def _serve(self, requests: list[_Request]) -> None:
        """Score what is asked for; requests of one size together."""
        while requests:
            shape, batch, rest = requests[0].views.shape[1:], [], []
            count = 0
            for request in requests:
                fits = request.views.shape[1:] == shape and (not batch or count + len(request.views) <= LARGEST)
                (batch if fits else rest).append(request)
                count += len(request.views) if fits else 0
            requests = rest
            try:
                scores = self._run(torch.cat([request.views for request in batch])).split([len(r.views) for r in batch])
            except Exception as error:
                if len(batch) > 1:  # too much for the memory together, perhaps
                    for request in batch:
                        self._serve([request])
                    continue
                scores, batch[0].error = (None,), error
            for request, some in zip(batch, scores, strict=True):
                request.scores = some
                request.done = True

    def _run(self, views: Tensor) -> Tensor:
        before = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        try:
            return self._score(views)
        finally:
            torch.set_num_threads(before)


def share(scorer: Scorer, threads: int) -> Scorer:
    """The scorer for several threads: one that scores each view by itself is shared, others are bound to a picture."""
    return SharedScorer(scorer, threads) if isinstance(scorer, Laion) else scorer
