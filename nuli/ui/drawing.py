"""What the tab shows that gradio has no component for: the slider, the lines of text, the plot. All HTML."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Sequence

from PIL import Image

from ..hosting import Progress, Task
from ..recipe import Recipe
from ..scoring.registry import SCORERS
from .session import Candidate, Session, preview
from .treeplot import tree_plot

HINT = "Hold the picture, or the key O, to see the original."
PLOT = (640, 180)
"""Width and height of the plot; it scales with the page."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 34


def data_uri(image: Image.Image, quality: int = 88) -> str:
    """A picture as an address that holds it."""
    file, icc = io.BytesIO(), image.info.get("icc_profile", b"")
    kind = "png" if image.mode == "RGBA" else "jpeg"
    image.save(file, kind, quality=quality, icc_profile=icc)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def compare(before: Image.Image, after: Image.Image) -> str:
    """The two pictures over each other, with a slider between them. `javascript/nuli.js` moves it.

    A native range input lies over the pictures for the keyboard and for screen readers.
    """
    width, height = before.size
    return (
        f'<figure class="nuli-figure"><div class="nuli-compare" style="--nuli-width:{width};--nuli-height:{height}">'
        f'<img class="nuli-after" alt="After" draggable="false" src="{data_uri(after)}">'
        f'<img class="nuli-before" alt="Before" draggable="false" src="{data_uri(before)}">'
        '<span class="nuli-tag nuli-tag-before">before</span><span class="nuli-tag nuli-tag-after">after</span>'
        '<input type="range" class="nuli-handle" min="0" max="100" step="0.5" value="50" '
        'aria-label="How much of the picture shows the original" aria-describedby="nuli_hint">'
        '<span class="nuli-line"></span></div>'
        f'<figcaption id="nuli_hint">{HINT}</figcaption></figure>'
    )


def painter(picture: Image.Image) -> str:
    """The picture with a place to paint on over it; `javascript/nuli.js` paints, and reads the strokes."""
    width, height = picture.size
    return (
        '<div class="nuli-painter">'
        f'<div class="nuli-painted" style="--nuli-width:{width};--nuli-height:{height}">'
        f'<img alt="Paint where to enhance" draggable="false" src="{data_uri(picture)}">'
        f'<canvas width="{width}" height="{height}"></canvas></div>'
        '<div class="nuli-brush"><label><span>Brush</span>'
        '<input type="range" class="nuli-brush-size" min="1" max="30" step="1" value="8"></label>'
        '<label><input type="checkbox" class="nuli-erase"><span>Erase</span></label></div></div>'
    )


def compared(session: Session | None) -> str:
    """The slider for what a session shows; nothing where the place is for putting a picture in."""
    return compare(preview(session, Recipe()), preview(session)) if session else ""


def line(text: str, kind: str = "") -> str:
    """A line that says something; kind "error" or "busy" marks it, and an error interrupts who listens."""
    role = "alert" if kind == "error" else "status"
    return f'<div class="nuli-status {kind}" role="{role}"><span>{html.escape(text)}</span></div>'


def report(text: str, rows: Sequence[tuple[str, bool]]) -> str:
    """A line, and below it one for each picture: what became of it, and whether it failed."""
    lines = "".join(
        f"<li{' class=nuli-failed' * failed}><span>{html.escape(said)}</span></li>" for said, failed in rows
    )
    shown = f'<ul class="nuli-rows">{lines}</ul>' if rows else ""
    return f'<div class="nuli-status" role="status"><span>{html.escape(text)}</span>{shown}</div>'


def busy(task: Task, first: str = "") -> str:
    """The line for work that goes on."""
    if task.stopping:
        return line(f"{first}stopping…", "busy")
    if task.state == "queued":
        return line(f"{first}waiting for another job to end…", "busy")
    return _progress_line(task.progress, first) if task.progress else line(f"{first}starting…", "busy")


def _progress_line(now: Progress, first: str) -> str:
    left = f"at most {now.seconds * (1 / now.progress - 1):.1f} s left" if now.progress > 0.02 else "starting"
    scores = f"{now.scorer} {now.score_before:.2f} → {now.best_score:.2f}"
    return progress_line(f"{first}{left} · {now.evaluations} tried · {scores}", now.progress)


def progress_line(text: str, part: float | None) -> str:
    """A line with a bar: `part` of 1 is done; None where nobody knows how much."""
    value = "" if part is None else f' value="{100 * part:.0f}"'
    return (
        f'<div class="nuli-status busy" role="status"><span>{html.escape(text)}</span>'
        f'<progress max="100"{value} aria-label="Progress"></progress></div>'
    )


def summary(session: Session | None) -> str:
    """Scores before and after and who judged, what another one thinks of it, and which guards had a say."""
    if session is None:
        return ""
    if session.before is None:
        by_hand = len(session.recipe) > 0
        return line("Not judged: steps by hand." if by_hand else "Ready.")
    candidate = session.candidates[session.chosen]
    before, after = candidate.before, session.after
    if not session.recipe.steps:
        why = "Nothing makes it clearly better: the picture stays as it is." if not session.rows else "No step is on."
        scores = f"<b>{before:.2f}</b> <span>{why}</span>"
    elif after is None:
        scores = f"<b>{before:.2f} → ?</b> <span>Not judged since the change.</span>"
    else:
        scores = f"<b>{before:.2f} → {after:.2f}</b> ({after - before:+.2f})"
    lines = [f'<span>Score</span> {scores} <span class="nuli-dim">{html.escape(session.scorer)}</span>']
    if (other := session.opinion) and session.recipe == candidate.recipe:
        figures = f"{other.before:.2f} → {other.after:.2f} ({other.after - other.before:+.2f})"
        who = html.escape(other.scorer)
        lines.append(f'<span>Second opinion</span> {figures} <span class="nuli-dim">{who}</span>')
    lines += [f'<span class="nuli-dim">{html.escape(said)}</span>' for said in (*session.held, *candidate.notes)]
    return f'<div class="nuli-status" role="status">{"<br>".join(lines)}</div>'


def caption(number: int, candidate: Candidate) -> str:
    """One result in the gallery: its number, its direction, its score and how much that rose, and how far it is from
    the original; the scores of good ones are much alike, the rest tells them apart."""
    name = candidate.direction or ("as found" if number == 1 else "another look")
    gain = candidate.after - candidate.before
    return f"{number} {name} · {candidate.after:.2f} ({gain:+.2f}) · {candidate.distance:.0f} dE"


def plot(session: Session | None) -> str:
    """The best score over time, the search's tree with the result that was chosen, and what the scores mean."""
    if session is None or not session.candidates:
        return ""
    candidate = session.candidates[session.chosen]
    points = [(seconds, score) for _, seconds, score in candidate.trace]
    chosen = tuple(step.op for step in candidate.recipe.steps)
    info = SCORERS.get(session.scorer)
    meaning = f'<p class="nuli-help">{html.escape(f"{session.scorer}: {info.meaning}")}</p>' if info else ""
    spent = f'<p class="nuli-help">{candidate.evaluations} <span>tried</span>, {candidate.seconds:.1f} s</p>'
    return meaning + spent + score_plot(points, candidate.seconds) + tree_plot(candidate.chains, chosen)


def score_plot(points: list[tuple[float, float]], end: float) -> str:
    """(seconds, best score) as a line of steps, in SVG.

    Args:
        points: at least one; where the score improved.
        end: seconds at which the search ended.
    """
    width, height = PLOT
    scores = [score for _, score in points]
    low, high = min(scores), max(scores)
    if high - low < 1e-6:
        low, high = low - 0.5, high + 0.5
    end = max(end, points[-1][0], 1e-3)

    def x(seconds: float) -> float:
        return _LEFT + seconds / end * (width - _LEFT - _RIGHT)

    def y(score: float) -> float:
        return height - _BOTTOM - (score - low) / (high - low) * (height - _TOP - _BOTTOM)

    path = f"M{x(points[0][0]):.1f} {y(points[0][1]):.1f}"
    for seconds, score in points[1:]:
        path += f"H{x(seconds):.1f}V{y(score):.1f}"
    path += f"H{x(end):.1f}"
    marks = []
    for value in _ticks(low, high, 4):
        at = y(value)
        marks.append(f'<path class="nuli-grid" d="M{_LEFT} {at:.1f}H{width - _RIGHT}"/>')
        marks.append(f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    for value in _ticks(0, end, 6):
        marks.append(f'<text x="{x(value):.1f}" y="{height - _BOTTOM + 16}" text-anchor="middle">{value:g}</text>')
    label = f"Best score over time: from {scores[0]:.2f} to {scores[-1]:.2f} in {end:.1f} seconds"
    return (
        f'<figure class="nuli-plot"><svg viewBox="0 0 {width} {height}" role="img" aria-label="{label}">'
        f'{"".join(marks)}<path class="nuli-curve" d="{path}"/>'
        f'<text x="{width - _RIGHT}" y="{height - 4}" text-anchor="end">seconds</text></svg>'
        f"<figcaption>{label}</figcaption></figure>"
    )


def _ticks(low: float, high: float, most: int) -> list[float]:
    """Round values from low to high, `most` of them at most."""
    rough = (high - low) / most
    size = 10 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
    first = math.ceil(low / step - 1e-9)
    return [round(step * i, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]
