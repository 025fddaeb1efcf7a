"""The search's tree as a picture, in SVG: which sequences of ops were tried, and what each gained."""

from __future__ import annotations

import html
from collections.abc import Sequence

Ops = tuple[str, ...]
MOST = 18
"""Leaves drawn, those of the best sequences."""
COLUMN, LINE, LEFT, TOP = 118, 20, 62, 16


def tree_plot(chains: Sequence[tuple[Ops, float]], chosen: Ops = ()) -> str:
    """Sequences of ops with what they gained, best first, as branches that share their beginnings.

    Args:
        chosen: the sequence of the result; its branch is drawn bold.
    """
    if not chains:
        return ""
    gains = dict(chains)
    leaves = _leaves([ops for ops, _ in chains], chosen)
    nodes = sorted({leaf[:i] for leaf in leaves for i in range(len(leaf) + 1)})
    rows: dict[Ops, float] = {leaf: i for i, leaf in enumerate(leaf for leaf in nodes if leaf in leaves)}
    for node in sorted(nodes, key=len, reverse=True):
        children = [rows[n] for n in nodes if len(n) == len(node) + 1 and n[: len(node)] == node]
        if children:
            rows[node] = (min(children) + max(children)) / 2
    top = max(gains.values())

    def place(node: Ops) -> tuple[float, float]:
        return LEFT + COLUMN * len(node), TOP + LINE * rows[node]

    branches, drawn = [], []
    for node in nodes:
        x, y = place(node)
        kind = " nuli-chosen" if chosen[: len(node)] == node else ""
        if node:
            from_x, from_y = place(node[:-1])
            middle = (from_x + x) / 2
            branches.append(
                f'<path class="nuli-branch{kind}" d="M{from_x} {from_y}C{middle} {from_y} {middle} {y} {x} {y}"/>'
            )
        gain = gains.get(node, 0.0)
        size = 2.5 + 3.5 * max(0.0, gain / top if top > 0 else 0.0) ** 0.5
        name = node[-1].replace("_", " ") if node else "picture"
        said = f"{' + '.join(node) or 'the picture'}: {gain:+.2f}" if node in gains or not node else " + ".join(node)
        drawn.append(
            f'<g class="nuli-node{kind}"><title>{html.escape(said)}</title><circle cx="{x}" cy="{y}" r="{size:.1f}"/>'
            f'<text x="{x - 9}" y="{y + 4}" text-anchor="end">{html.escape(name)}</text></g>'
        )
    width = LEFT + COLUMN * max(map(len, nodes)) + 12
    height = TOP + LINE * len(leaves)
    label = f"The {len(leaves)} best branches of {len(chains)} sequences of steps tried; larger dots gained more"
    return (
        f'<figure class="nuli-plot nuli-tree"><svg viewBox="0 0 {width} {height}" role="img" aria-label="{label}">'
        f"{''.join(branches + drawn)}</svg><figcaption>{label}</figcaption></figure>"
    )


def _leaves(ranked: list[Ops], chosen: Ops) -> set[Ops]:
    """The best sequences, less those that are only the beginning of another one; the chosen one always."""
    kept: list[Ops] = [chosen] if chosen else []
    for ops in ranked:
        if len(kept) >= MOST:
            break
        if not any(other[: len(ops)] == ops for other in kept):
            kept = [other for other in kept if ops[: len(other)] != other or other == chosen]
            kept.append(ops)
    return {ops for ops in kept if not any(other != ops and other[: len(ops)] == ops for other in kept)}
