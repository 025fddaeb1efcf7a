"""What the HTTP API does, without HTTP: requests are dicts, answers are dicts, refusals are NuliErrors."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .. import __version__, infotext
from ..options import Options, options_from, table
from ..scoring.protocol import Scorer
from ..scoring.registry import SCORERS, default_seconds, resolve_scorer
from .pictures import RequestError, decode, encode

OFFERED = tuple(row for row in table() if row.name != "device")
"""The device is the host's to choose."""
MOST_PICTURES = 64
"""In one request for scores."""
_KINDS = {float: "number", int: "integer", str: "string"}


@dataclass(frozen=True)
class Service:
    """What the API needs from its host."""

    job: Callable[[], AbstractContextManager[Any]]
    """Entered for as long as the device works: the host's queue."""
    stopped: Callable[[], bool]
    device: Callable[[], str]
    folders: Callable[[], Sequence[Path]]
    scorer: Callable[[Options], Scorer]
    limits: Callable[[], tuple[float, float]]
    """Megapixels of a picture and seconds of a search."""

    def version(self) -> dict[str, Any]:
        """The program's version, and which scorers can be used."""
        scorers = [
            {
                "name": info.name,
                "summary": info.summary,
                "ready": not (absent := [file.name for file in info.missing(self.folders())]),
                "missing": absent,
            }
            for info in SCORERS.values()
        ]
        return {"version": __version__, "scorers": scorers}

    def schema(self) -> dict[str, Any]:
        """A JSON schema of `options`."""
        return {"type": "object", "properties": {row.name: _property(row) for row in OFFERED}}

    def enhance(self, body: dict[str, Any], stop: Callable[[], bool] = lambda: False) -> Generator[Any, None, None]:
        """Events, and at the end a dict: the answer. The request is checked before the first event is asked for."""
        _only(body, "image", "options", "others")
        pictures = body.get("others", False)
        if not isinstance(pictures, bool):
            raise RequestError("others must be true, for the pictures of hard mode's other results, or false")
        megapixels, _ = self.limits()
        options = self._options(body.get("options"))
        photo = decode(body.get("image"), megapixels)
        return self._enhance(photo, options, (body.get("options") or {}).get("seconds"), pictures, stop)

    def _enhance(
        self, photo: Any, options: Options, asked: float | None, pictures: bool, stop: Callable[[], bool]
    ) -> Generator[Any, None, None]:
        from ..enhancer import enhance_iter
        from ..result import Result

        with self.job():
            if stop():
                raise RequestError("stopped before it began")
            values = {name: getattr(options, name) for name in Options.__dataclass_fields__ if name != "scorer"}
            steps = enhance_iter(photo, scorer=self.scorer(options), stop=lambda: stop() or self.stopped(), **values)
            for event in steps:
                if not isinstance(event, Result):
                    yield event
            options = replace(options, seconds=asked)  # the server's own limit is none of the client's options
            answer = event.to_dict()
            for told, other in zip(answer["others"], event.others if pictures else (), strict=False):
                said = infotext.entries(other.recipe, options, event.scorer, event.score_before, other.score)
                told["image"] = encode(other.image, said)
        yield {"image": encode(event.image, infotext.of_result(event, options)), **answer}

    def score(self, body: dict[str, Any]) -> dict[str, Any]:
        """Each picture's score."""
        from ..enhancer import score

        _only(body, "images", "image", "options")
        texts = body.get("images", [body.get("image")])
        if not isinstance(texts, list) or not 1 <= len(texts) <= MOST_PICTURES:
            raise RequestError(f"images must be a list of 1 to {MOST_PICTURES} pictures")
        options = self._options(body.get("options"))
        megapixels, _ = self.limits()
        scores: list[float] = []
        with self.job():
            judge = self.scorer(options)
            for text in texts:  # one unpacked at a time
                scores += score([decode(text, megapixels)], judge, device=options.device)
        return {"scores": scores, "scorer": judge.name}

    def apply(self, body: dict[str, Any]) -> dict[str, Any]:
        """A picture with a recipe applied."""
        from ..imaging.photo import to_image
        from ..ops.pipeline import render
        from ..recipe import Recipe

        _only(body, "image", "recipe", "strength")
        given = body.get("recipe")
        if not isinstance(given, (str, dict)):
            raise RequestError("the request has no recipe: give a line that starts with nuli1, or its JSON")
        recipe = Recipe.parse(given) if isinstance(given, str) else Recipe.from_dict(given)
        [row] = [row for row in table() if row.name == "strength"]
        recipe = recipe.scaled(row.parse(body.get("strength", 1)))
        photo = decode(body.get("image"), self.limits()[0])
        with self.job():
            pixels = render(photo, recipe.steps, self.device())
        image = to_image(photo, pixels)
        return {
            "image": encode(image, infotext.of_recipe(recipe)),
            "recipe": recipe.to_dict(),
            "infotext": recipe.to_line(),
            "steps": recipe.words(),
        }

    def _options(self, given: Any) -> Options:
        """Options within the limits; a search never lasts longer than the server allows."""
        given = {} if given is None else given
        if not isinstance(given, dict):
            raise RequestError("options must be an object of names and values")
        if "device" in given:
            raise RequestError("device is not a client's to choose: leave it out")
        options = options_from({**given, "device": self.device()})
        longest = self.limits()[1]
        if options.seconds is not None and options.seconds > longest:
            raise RequestError(f"seconds is over this server's limit of {longest:g}")
        if options.seconds is None:
            seconds = longest
            if options.evaluations is None:
                seconds = min(
                    longest, default_seconds(resolve_scorer(options.scorer, options.mode, self.folders()).name)
                )
            options = replace(options, seconds=seconds)
        return options


def body_object(body: Any) -> dict[str, Any]:
    """A request's JSON as a dict. Raises RequestError."""
    if not isinstance(body, dict):
        raise RequestError("the request must be a JSON object")
    return body


def _only(body: dict[str, Any], *names: str) -> None:
    for name in body:
        if name not in names:
            raise RequestError(f"there is no {name!r} in this request: it has {', '.join(names)}")


def _property(row: Any) -> dict[str, Any]:
    kind: Any = _KINDS[row.kind]
    found = {"type": [kind, "null"] if row.default is None else kind, "title": row.label, "description": row.help}
    found["default"] = row.default
    for key, value in (("minimum", row.minimum), ("maximum", row.maximum), ("enum", row.choices)):
        if value is not None:
            found[key] = list(value) if key == "enum" else value
    return found
