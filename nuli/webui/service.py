"""What the HTTP API does, without HTTP: requests are dicts, answers are dicts, refusals are NuliErrors."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .. import __version__, infotext
from ..errors import DeviceMemoryError, NuliError, StoppedError, WeightsError, is_out_of_memory, shown
from ..hosting import Host, Task, search
from ..imaging.formats import ALPHA
from ..options import INPUTS, PRESET, Options, options_from, table, with_named_lut
from ..presets import presets as all_presets
from ..scoring.registry import default_seconds, known_scorers, resolve_scorer
from .pictures import RequestError, decode, encode

OFFERED = tuple(row for row in table() if row.name != "device")
"""The device is the host's to choose."""
APPLIED = ("strength", "light", "colour", "detail", "feather")
"""The options of a recipe that is applied."""
MAX_PICTURES = 64
"""The pictures in one request for scores, at most."""
_KINDS = {float: "number", int: "integer", str: "string"}
_PLACE = re.compile(r"(^|[\s'\"(\[=:])(~|[A-Za-z]:)?[\\/](?![\s/])")
"""The beginning of an absolute path."""


def refusal(error: Exception, report: Callable[[str], None]) -> tuple[int, str]:
    """The HTTP status for an error, and what a client is told of it: nothing about where things lie on the server.

    Call it while the error is handled; `report` is told of what the client isn't.
    """
    status = error.status if isinstance(error, RequestError) else 400
    if isinstance(error, (StoppedError, DeviceMemoryError)):
        status = 503
    if isinstance(error, NuliError) and not isinstance(error, WeightsError) and not _PLACE.search(str(error)):
        return status, str(error)
    report(f"an API request failed: {type(error).__name__}: {error}")
    if isinstance(error, WeightsError):
        return 503, "the weights of this scorer can't be used on this server: see its log, or choose another scorer"
    if isinstance(error, NuliError):
        return status, f"refused ({type(error).__name__}): the server's log says why"
    if is_out_of_memory(error):
        return 503, "not enough memory on this server: send a smaller picture, or try again later"
    return 500, f"internal error ({type(error).__name__}): the server's log says more"


def version(host: Host) -> dict[str, Any]:
    """The program's version, and which scorers can be used."""
    scorers = [
        {
            "name": info.name,
            "summary": info.summary,
            "meaning": info.meaning,
            "ready": info.is_ready(host.folders()),
            "missing": [file.name for file in info.missing(host.folders())],
        }
        for info in known_scorers().values()
    ]
    return {"version": __version__, "scorers": scorers}


def schema() -> dict[str, Any]:
    """A JSON schema of `options`."""
    return {"type": "object", "properties": {row.name: _property(row) for row in (PRESET, *OFFERED)}}


def bodies() -> dict[str, dict[str, Any]]:
    """A JSON schema of each request, by the name of what it asks for."""
    picture = {"type": "string", "contentEncoding": "base64", "description": "a PNG, JPEG..., or a data URI of it"}
    options = schema()
    inputs = {one.name: {**picture, "description": one.help} for one in INPUTS}
    images = {"type": "array", "items": picture, "minItems": 1, "maxItems": MAX_PICTURES}
    recipe = {"type": ["string", "object"], "description": "a line that starts with nuli1, or the recipe's JSON"}
    applied = {name: options["properties"][name] for name in APPLIED}
    return {
        "enhance": _body({"image": picture, **inputs, "options": options, "others": {"type": "boolean"}}, "image"),
        "score": _body({"images": images, "options": options}, "images"),
        "apply": _body({"image": picture, "mask": inputs["mask"], "recipe": recipe, **applied}, "image", "recipe"),
    }


def presets() -> dict[str, Any]:
    """All presets: their names, what they are for, and their values. Raises OptionError."""
    found = all_presets().values()
    return {"presets": [{"name": p.name, "help": p.help, "own": p.own, "values": dict(p.values)} for p in found]}


def enhance(body: dict[str, Any], task: Task) -> dict[str, Any]:
    """The better picture, and how it was found. All of the request is checked before the task queues."""
    _only(body, "image", *(one.name for one in INPUTS), "options", "others")
    pictures = body.get("others", False)
    if not isinstance(pictures, bool):
        raise RequestError("others must be true, for the pictures of hard mode's other results, or false")
    options = _options(body.get("options"), task.host, matching=body.get("match") is not None)
    megapixels = task.host.limits().megapixels
    photo = decode(body.pop("image", None), megapixels)  # its text need not wait along
    second = {one.name: _second(body, one.name, megapixels) for one in INPUTS if body.get(one.name) is not None}
    with task.turn():
        result = search(task, photo, options, **second)
        # the server's own limit is none of the client's options
        options = replace(options, seconds=options_from(body.get("options") or {}).seconds)
        answer = result.to_dict()
        for fields, other in zip(answer["others"], result.others if pictures else (), strict=False):
            entries = infotext.entries(other.recipe, options, result.scorer, result.score_before, other.score)
            fields["image"] = encode(other.image, entries | infotext.of_inputs(second))
    entries = infotext.of_result(result, options) | infotext.of_inputs(second)
    return {"image": encode(result.image, entries), **answer}


def score(body: dict[str, Any], task: Task) -> dict[str, Any]:
    """Each picture's score."""
    from ..enhancer import score

    _only(body, "images", "image", "options")
    texts = body.get("images", [body.get("image")])
    if not isinstance(texts, list) or not 1 <= len(texts) <= MAX_PICTURES:
        raise RequestError(f"images must be a list of 1 to {MAX_PICTURES} pictures")
    host = task.host
    options = replace(_options(body.get("options"), host), mode="hard")  # whose scorers compare pictures
    scores: list[float] = []
    megapixels, seconds = host.limits()
    with task.turn():
        end = time.monotonic() + seconds
        scorer = host.load_scorer(options, host.folders())
        for text in texts:  # one unpacked at a time
            if task.ended():
                raise StoppedError("stopped before all pictures were scored: send them again")
            if time.monotonic() > end:
                raise RequestError(
                    f"scoring took longer than this server's limit of {seconds:g} seconds: send fewer pictures", 413
                )
            scores += score(decode(text, megapixels), scorer, options=options)
    return {"scores": scores, "scorer": scorer.name}


def apply(body: dict[str, Any], task: Task) -> dict[str, Any]:
    """A picture with a recipe applied."""
    from ..imaging.photo import to_image
    from ..ops.render import render_rows
    from ..recipe import Recipe

    _only(body, "image", "mask", "recipe", *APPLIED)
    given = body.get("recipe")
    if not isinstance(given, (str, dict)):
        raise RequestError("the request has no recipe: give a line that starts with nuli1, or its JSON")
    recipe = Recipe.parse(given) if isinstance(given, str) else Recipe.from_dict(given)
    options = options_from({name: body[name] for name in APPLIED if name in body})
    recipe = recipe.scaled(options.amounts)
    megapixels, seconds = task.host.limits()
    photo = decode(body.pop("image", None), megapixels)
    masked = body.get("mask") is not None
    if masked:
        from ..imaging.mask import with_mask

        photo = with_mask(photo, _second(body, "mask", megapixels), options.feather)
    with task.turn():
        end = time.monotonic() + seconds
        try:
            pixels = render_rows(
                photo, recipe.steps, task.host.device(), stop=lambda: task.ended() or time.monotonic() > end
            )
        except StoppedError:
            if task.ended():
                raise
            raise RequestError(
                f"the recipe took longer than this server's limit of {seconds:g} seconds: scale the picture down", 413
            ) from None
    entries = infotext.of_recipe(recipe) | infotext.of_inputs(["mask"] if masked else [])
    return {
        "image": encode(to_image(photo, pixels), entries),
        "recipe": recipe.to_dict(),
        "infotext": recipe.to_line(),
        "steps": recipe.words(),
    }


def _options(given: Any, host: Host, matching: bool = False) -> Options:
    """Options within the limits; a search never lasts longer than the server allows.

    Args:
        matching: whether there is a reference, which takes the scorer's place.
    """
    given = {} if given is None else given
    if not isinstance(given, dict):
        raise RequestError("options must be an object of names and values")
    if "device" in given:
        raise RequestError("device is not a client's to choose: leave it out")
    # a client is not to read the files of this machine
    options = with_named_lut(options_from({**given, "device": host.device()}), allow_paths=False)
    longest = host.limits().seconds
    if options.seconds is not None and options.seconds > longest:
        raise RequestError(f"seconds is over this server's limit of {longest:g}")
    if options.seconds is None:
        seconds = longest
        if options.evaluations is None:
            scorer = "match" if matching else resolve_scorer(options.scorer, options.mode, host.folders()).name
            seconds = min(longest, default_seconds(scorer))
        options = replace(options, seconds=seconds)
    return options


def _second(body: dict[str, Any], name: str, megapixels: float) -> Any:
    """A second picture of the request, which it is taken from; "alpha", for a mask, is the picture's own transparency.

    Raises: as `decode`.
    """
    text = body.pop(name)
    if name == "mask" and text == ALPHA:
        return ALPHA
    try:
        return decode(text, megapixels)
    except RequestError as error:
        raise RequestError(f"{name}: {error}", error.status) from None


def body_object(body: Any) -> dict[str, Any]:
    """A request's JSON as a dict. Raises RequestError."""
    if not isinstance(body, dict):
        raise RequestError("the request must be a JSON object")
    return body


def _only(body: dict[str, Any], *names: str) -> None:
    for name in body:
        if name not in names:
            raise RequestError(f"there is no {shown(name)} in this request: it has {', '.join(names)}")


def _body(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _property(row: Any) -> dict[str, Any]:
    kind: Any = _KINDS[row.kind]
    found = {"type": [kind, "null"] if row.default is None else kind, "title": row.label, "description": row.help}
    found["default"] = row.default
    for key, value in (("minimum", row.minimum), ("maximum", row.maximum), ("enum", row.choices)):
        if value is not None:
            found[key] = list(value) if key == "enum" else value
    return found
