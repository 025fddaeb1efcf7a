"""Many pictures on many machines, by Ray Data: it starts processes, hands pictures out, and begins anew what was lost.

Each process does what one process of `nuli.bulk.local` does, with one thread, so that the results are the same. A
picture whose process dies is tried again; one that does so again and again fails, and the others go on.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .. import errors
from ..errors import ImageError, OptionError
from ..imaging.atomic import MAX_PIXELS
from ..scoring.registry import resolve_scorer
from .local import DIED, processors
from .memory import BYTES_A_PIXEL
from .notes import Notes
from .ray_worker import UNABLE, Enhancer
from .urls import ADVICE, UrlTask, is_remote
from .work import FAILED, Record, Settings

if TYPE_CHECKING:
    from ray.data import Dataset

TOGETHER = 16
"""Pictures handed out at a time, at most: handing out has its price, and when a process dies they are done again."""
SHARES = 8
"""Times that a process of a small job comes back for more, at least: so that all end at about the same time."""
TRIES = 3
"""Times that a process may die of the same pictures before each of them is done by itself, with more memory."""
MEMORY, ALONE = 1 << 30, BYTES_A_PIXEL * MAX_PIXELS
"""Bytes that a process is given; and one that does a picture that others died of: it may be one of the largest."""
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""What Ray hears from us unless somebody said otherwise: to tell nobody of its use, and not to warn of its own ways."""
_HUSHED = ("progress", "execution.streaming_executor_state")
"""Of Ray Data's loggers: that there is no progress line is meant so, and what processes died of is told in records."""
_STORE = 256 << 20
"""Bytes for what processes tell each other, where Ray is started here: pictures don't go this way."""
_BLOCK = 1 << 20
"""Bytes of records that Ray reckons with for what is under way; its default is made for pictures."""


def check_ray() -> None:
    """Raise OptionError where Ray Data is not installed."""
    try:
        import ray.data  # noqa: F401
    except ImportError as error:
        raise OptionError(f"the engine ray is not installed ({error}): {ADVICE}") from None


def run_ray(
    tasks: Sequence[UrlTask],
    settings: Settings,
    notes: Notes | None,
    *,
    address: str | None = None,
    actors: tuple[int, int] | None = None,
    stop: threading.Event | None = None,
) -> Iterator[Record]:
    """Do all tasks, and give their records as they come. After a stop, what is not done is left for another run.

    Args:
        tasks: what to do, see `plan_urls`; leave out what `Notes.find` finds.
        notes: where to note what is done; None for nowhere.
        address: of a Ray cluster; "auto" for the one on this machine; None for a new one of this machine alone, unless
            Ray runs in this process already or the variable RAY_ADDRESS names one.
        actors: fewest and most processes; as many as the cluster has processors where nobody says.
        stop: asked after every record.
    Raises:
        OptionError: Ray is missing, or what was asked for can't be done.
        NuliError: no picture can be done.
    """
    check_ray()
    settings = _for_cluster(settings)
    rows = {task.source: _row(task, notes) for task in tasks}
    if not rows:
        return
    with _cluster(address, actors) as size:
        for alone in (False, True):
            if not rows:
                return
            dataset = _dataset(list(rows.values()), settings, actors or (size, size), alone)
            with closing(_records(dataset)) as records:
                for record in records:
                    if record["status"] == UNABLE:
                        raise getattr(errors, record["kind"])(record["error"])
                    if rows.pop(record["input"], None) is not None:
                        yield record
                    if stop is not None and stop.is_set():
                        return
            del dataset, records
            gc.collect()  # errors in cycles would keep the processes, and with them the processors, for a while
    for source, row in rows.items():
        error = ImageError(f"{source}: {DIED}")
        yield {"input": source, "output": json.loads(row)["target"], "status": FAILED, "code": 1, "error": str(error)}


def _for_cluster(settings: Settings) -> Settings:
    """Settings for a process there: the scorer is the same for all, whichever weights lie on its machine."""
    options = settings.options
    device = options.device.partition(":")[0]
    if device not in ("auto", "cpu", "cuda"):
        raise OptionError(f"--device cannot be {options.device!r} with the engine ray: choose auto, cpu or cuda")
    name = resolve_scorer(options.scorer, options.mode).name
    device = "cpu" if device == "auto" else device  # as the local engine has it for the embedded scorers
    return replace(settings, options=replace(options, scorer=name, device=device), journal=None)


def _row(task: UrlTask, notes: Notes | None) -> str:
    """A task as JSON, for `Enhancer.do`."""
    names = (task.source, task.target, *task.others)
    row = {
        "source": task.source,
        "target": task.target,
        "others": task.others,
        "paths": {name: os.path.abspath(name) for name in names if not is_remote(name)},
        "note": notes.begin_of(task) if notes else "",
        "stale": notes.stale(task) if notes else [],
    }
    return json.dumps(row)


@contextmanager
def _cluster(address: str | None, actors: tuple[int, int] | None) -> Iterator[int]:
    """A running Ray, taken down again where it was started here; gives the number of its processors."""
    import ray

    begun = not ray.is_initialized()
    if begun:
        quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
        address = address or os.environ.get("RAY_ADDRESS") or None
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        try:
            if address:
                ray.init(address, **quiet)
            else:
                count = actors[1] if actors else processors()
                ray.init("local", num_cpus=count, object_store_memory=_STORE, include_dashboard=False, **quiet)
        except (ConnectionError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise OptionError(
                f"Ray can't be reached ({reason}): start it by `ray start`, or name another one"
            ) from None
    try:
        yield max(1, int(ray.cluster_resources().get("CPU", 1)))
    finally:
        if begun:
            ray.shutdown()


def _dataset(rows: list[str], settings: Settings, actors: tuple[int, int], alone: bool) -> Dataset:
    """What Ray Data is to do.

    Args:
        rows: tasks as JSON.
        actors: fewest and most processes.
        alone: whether each picture is by itself, so that one that kills its process takes no other along.
    """
    import ray
    from ray.data import ActorPoolStrategy

    most = min(actors[1], len(rows))
    together = 1 if alone else max(1, min(TOGETHER, len(rows) // (most * SHARES)))
    memory = min(ALONE if alone else MEMORY, _largest_memory())
    with _quiet():
        blocks = ray.data.from_items([{"task": row} for row in rows], override_num_blocks=-(-len(rows) // together))
        # Ray warns that some of these go in 2.64, and has nothing yet that is to replace them
        return blocks.map_batches(
            Enhancer,
            fn_constructor_args=(settings,),
            batch_size=None,
            compute=ActorPoolStrategy(
                min_size=min(actors[0], most), max_size=most, max_tasks_in_flight_per_actor=1 if alone else 2
            ),
            num_cpus=1,
            num_gpus=1 if settings.options.device == "cuda" else None,
            memory=memory,
            max_restarts=-1,
            max_task_retries=TRIES - 1,
        )


def _largest_memory() -> int:
    """Bytes that Ray has to give on the machine that has the most."""
    import ray

    return int(max((node["Resources"].get("memory", 0) for node in ray.nodes() if node["Alive"]), default=0)) or MEMORY


@contextmanager
def _quiet() -> Iterator[None]:
    """Data sets made meanwhile draw no progress of their own, and go on when a block fails for good."""
    from ray.data import DataContext

    context = DataContext.get_current()
    wanted: dict[str, Any] = {
        "enable_progress_bars": False,
        "print_on_execution_start": False,
        "max_errored_blocks": -1,
        "target_max_block_size": _BLOCK,
    }
    before = {name: getattr(context, name) for name in wanted if hasattr(context, name)}
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    for name in _HUSHED:
        logging.getLogger(f"ray.data._internal.{name}").setLevel(logging.CRITICAL)
    try:
        for name in before:
            setattr(context, name, wanted[name])
        yield
    finally:
        for name, value in before.items():
            setattr(context, name, value)


def _records(dataset: Dataset) -> Iterator[Record]:
    """The records of a data set as they come. To close this ends the processes, at once."""
    with closing(iter(dataset.iter_batches(batch_size=None, batch_format="numpy", prefetch_batches=0))) as batches:
        for batch in batches:
            yield from map(json.loads, batch["record"])
