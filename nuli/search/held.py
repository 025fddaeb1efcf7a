"""Which guard decided something, in words."""

from __future__ import annotations

from ..recipe import Recipe
from ..scoring.limits import BOUNDS
from .evaluator import GUARDS
from .loop import Search

MOST = 2
"""Sentences at most."""
SKIN = "skin light"


def what_was_held(search: Search, share: float) -> tuple[str, ...]:
    """A sentence for each guard that kept the search on one picture from what its scorer liked clearly better.

    Args:
        share: how much of the recipe the limits left at the end.
    """
    told = [f"the limits of soft mode left {100 * share:.0f} % of the correction"] if share < 1 else []
    recipe, liked = search.liked
    more = liked.score - search.best.score
    if not liked.parts or more < search.margin or not more:
        return tuple(told)
    excess = {name: a - b for name, a, b in zip(GUARDS, liked.parts, search.best.parts, strict=True)}
    first, *rest = sorted(excess, key=excess.__getitem__, reverse=True)
    # the others, too, where each alone would have been enough
    names = [first, *(name for name in rest if excess[name] >= more)]
    did = _words(search, recipe)
    scored = f"a candidate that {search.scorer.name} scored {more:.2g} more"
    return tuple([f"{_HELD[name]} held: {scored} {did[name]}" for name in names] + told)[:MOST]


_HELD = {
    "light": "the light was",
    "clipping": "highlights and shadows were",
    "drift": "the look was",
    "cast": "the colour balance was",
    "skin": "what looks like skin was",
    "chroma": "the colours were",
    "realism": "realism was",
}


def _words(search: Search, recipe: Recipe) -> dict[str, str]:
    """What a candidate did, by the name of the guard that minds it."""
    [guards] = search.evaluator.guards
    found = guards.measure(search.evaluator.frames([recipe]))
    lighter, skin = (
        f"{abs(100 * found[key]):.0f} % {'lighter' if found[key] > 0 else 'darker'}" for key in ("light", SKIN)
    )
    turned = abs(found["skin hue"]) / BOUNDS["skin hue"][1] > abs(found[SKIN]) / BOUNDS[SKIN][1]
    return {
        "light": f"was {lighter}",
        "clipping": f"clipped {100 * found['clipped']:.1f} % more of the picture",
        "drift": f"was {found['difference']:.0f} dE from the original",
        "cast": "had a colour cast",
        "skin": f"turned its hue by {abs(found['skin hue']):.0f} dE" if turned else f"made it {skin}",
        "chroma": f"made them {100 * found['chroma']:.0f} % stronger",
        "realism": "looked less like a picture that somebody could have made",
    }
