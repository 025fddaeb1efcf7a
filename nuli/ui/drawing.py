"""What the tab shows that gradio has no component for: the slider, the lines of text, the plot. All HTML."""

from __future__ import annotations

import base64
import html
import io
import math

from PIL import Image

from ..hosting import Progress, Task
from ..recipe import Recipe
from ..scoring.registry import SCORERS
from .session import Candidate, Session, preview
from .treeplot import tree_plot

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

    A native range input lies over the pictures: dragging, touch and the keyboard come with it.
    """
    width, height = before.size
    return (
        f'<div class="nuli-compare" style="--nuli-width:{width};--nuli-height:{height}">'
        f'<img class="nuli-after" alt="After" draggable="false" src="{data_uri(after)}">'
        f'<img class="nuli-before" alt="Before" draggable="false" src="{data_uri(before)}">'
        '<span class="nuli-tag nuli-tag-before">before</span><span class="nuli-tag nuli-tag-after">after</span>'
        '<input type="range" class="nuli-handle" min="0" max="100" step="0.5" value="50" '
        'aria-label="Before and after: how much of the picture shows the original">'
        '<span class="nuli-line"></span></div>'
    )


def compared(session: Session | None) -> str:
    """The slider for what a session shows."""
    if session is None:
        return '<div class="nuli-empty">Put a picture in, and press Enhance.</div>'
    before = preview(session, Recipe())
    return compare(before, preview(session))


def line(text: str, kind: str = "") -> str:
    """The status line; kind "error" or "busy" colours it."""
    return f'<div class="nuli-status {kind}" role="status" aria-live="polite">{html.escape(text)}</div>'


def busy(task: Task, first: str = "") -> str:
    """The line for work that goes on."""
    if task.stopping:
        return line(f"{first}stopping…", "busy")
    if task.state == "queued":
        return line(f"{first}waiting for another job to end…", "busy")
    return _progress_line(task.progress, first) if task.progress else line(f"{first}starting…", "busy")


def _progress_line(now: Progress, first: str) -> str:
    done = round(100 * now.progress)
    left = f"at most {now.seconds * (1 / now.progress - 1):.1f} s left" if now.progress > 0.02 else "starting"
    scores = f"{now.scorer} {now.score_before:.2f} → {now.best_score:.2f}"
    text = f"{first}{left} · {now.evaluations} tried · {scores}"
    return (
        f'<div class="nuli-status busy" role="status">{html.escape(text)}'
        f'<progress max="100" value="{done}" aria-label="Time spent">{done} %</progress></div>'
    )


def summary(session: Session | None) -> str:
    """Scores before and after, and who judged."""
    if session is None:
        return line("No picture yet.")
    if session.before is None:
        count = len(session.recipe)
        return line(f"{count} {'step' if count == 1 else 'steps'} by hand, not judged." if count else "Ready.")
    candidate = session.candidates[session.chosen]
    spent = f"{candidate.evaluations} tried, {candidate.seconds:.1f} s"
    if not session.recipe.steps:
        said = "nothing makes it clearly better" if not session.rows else "no step is on"
        scores = f"<b>{candidate.before:.2f}</b>: {said}; the picture stays as it is"
    elif session.after is None:
        scores = f"<b>{candidate.before:.2f}</b> → not judged since the change"
    else:
        scores = f"<b>{candidate.before:.2f} → {session.after:.2f}</b> ({session.after - candidate.before:+.2f})"
    notes = "".join(f"<br>Note: {html.escape(note)}" for note in candidate.notes)
    who = html.escape(session.scorer)
    if info := SCORERS.get(session.scorer):
        notes = f'<br><span class="nuli-dim">{who}: {html.escape(info.meaning)}</span>{notes}'
    return (
        f'<div class="nuli-status" role="status" aria-live="polite">'
        f'Score by {who}: {scores} <span class="nuli-dim">· {spent}</span>{notes}</div>'
    )


def caption(candidate: Candidate, best: bool) -> str:
    """One result in the gallery: its direction, its score and how much that rose, and how far it is from the original;
    the scores of good ones are much alike, the rest tells them apart."""
    names = ["best"] if best else []
    names += [candidate.direction or ("" if best else "another look")]
    gain = candidate.after - candidate.before
    return f"{', '.join(filter(None, names))} · {candidate.after:.2f} ({gain:+.2f}) · {candidate.distance:.0f} dE"


def plot(session: Session | None) -> str:
    """The best score over time, and the search's tree with the result that was chosen."""
    if session is None or not session.candidates:
        return ""
    candidate = session.candidates[session.chosen]
    points = [(seconds, score) for _, seconds, score in candidate.trace]
    chosen = tuple(step.op for step in candidate.recipe.steps)
    return score_plot(points, candidate.seconds) + tree_plot(candidate.chains, chosen)


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
