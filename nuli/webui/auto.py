"""Auto-enhance: every picture that txt2img and img2img make."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import gradio as gr
from modules import images, processing, scripts, shared, ui_components

from .. import infotext
from ..errors import OptionError
from ..options import PRESET, table
from ..presets import NONE
from ..scoring.registry import reads_prompt
from ..ui.controls import EVENT, control_value
from . import engine, inputs
from .compat import pasted
from .controls import FIRST, LATER, NAMES, draw, option_values

STAGES = ("after compositing", "before compositing")
"""When to enhance; the first is the default. Compositing lays an inpainted part over its picture."""
HAS_COMPOSITE = hasattr(scripts.Script, "postprocess_image_after_composite")
IMG2IMG = {"inside_mask": "mask", "match_input": "match"}
"""What only img2img has: second pictures that are at hand there, by our arguments."""
ARGUMENTS = ("enabled", *FIRST, "stage", "save_before", "recipe", PRESET.name, *LATER, *IMG2IMG)
"""What the host passes, in order; an API client may pass one dict of these instead."""
AXES = "_nuli_axes"
"""Where an XYZ plot leaves its values, on the processing object."""
_lines: dict[str, Any] = {}
"""The accordions' places for what went wrong, by tab."""
_comments: dict[str, Any] = {}
"""The host's comments under its pictures, by tab."""


class AutoEnhance(scripts.Script):
    def title(self) -> str:
        return "NUl Enhance"

    def show(self, is_img2img: bool) -> Any:
        return scripts.AlwaysVisible

    def ui(self, is_img2img: bool) -> list[Any]:
        """The components of ARGUMENTS, and how pasted parameters fill them."""
        tab = "img2img" if is_img2img else "txt2img"
        prefix = f"nuli_auto_{tab}"
        own: dict[str, Any] = {}

        def draw_more() -> None:
            if is_img2img:
                with gr.Row():
                    own["inside_mask"] = gr.Checkbox(
                        False, label="Only inside the inpaint mask", elem_id=f"{prefix}_inside_mask"
                    )
                    own["match_input"] = gr.Checkbox(
                        False, label="Match the input's colours", elem_id=f"{prefix}_match_input"
                    )
            own["stage"] = gr.Radio(
                list(STAGES),
                value=STAGES[0],
                label="When",
                info="The whole picture, or the inpainted part before it is laid over it",
                elem_id=f"{prefix}_stage",
                visible=HAS_COMPOSITE and is_img2img,  # txt2img lays nothing over anything
            )
            own["save_before"] = gr.Checkbox(False, label="Save the picture before", elem_id=f"{prefix}_save_before")

        with ui_components.InputAccordion(False, label="NUl Enhance", elem_id=prefix) as enabled:
            _lines[tab] = gr.HTML("", visible=False, elem_id=f"{prefix}_told")
            drawn = draw(prefix, draw_more)
        components = {**drawn.options, **own, "enabled": enabled, "recipe": drawn.recipe, PRESET.name: drawn.preset}
        # No paste_field_names: "send to img2img" would take the recipe along and apply it a second time.
        fields = [
            (enabled, infotext.was_enhanced),
            (drawn.preset, lambda d: NONE if infotext.was_enhanced(d) else None),
            *((control, _pasted(name)) for name, control in drawn.options.items()),
            (own["stage"], lambda d: d.get(infotext.STAGE, STAGES[0]) if infotext.was_enhanced(d) else None),
            *((own[name], partial(infotext.had, IMG2IMG[name])) for name in IMG2IMG if name in own),
            (drawn.recipe, infotext.recipe),
        ]
        self.infotext_fields = [(control, pasted(read)) for control, read in fields]
        return [components[name] for name in ARGUMENTS if name in components]

    def process(self, p: Any, *args: Any) -> None:
        """A new run: what an earlier one, such as another cell of an XYZ plot, wrote is not about its pictures."""
        _forget(p)

    def postprocess_image(self, p: Any, pp: Any, *args: Any) -> None:
        self._enhance(p, pp, args, STAGES[1])

    def postprocess_image_after_composite(self, p: Any, pp: Any, *args: Any) -> None:
        self._enhance(p, pp, args, STAGES[0])

    def postprocess(self, p: Any, processed: Any, *args: Any) -> None:
        if _inner(p):
            return
        engine.release()
        # SD.Next shows only those that it has itself
        processed.comments = processed.comments or "\n".join(getattr(p, "comments", ()))

    def _enhance(self, p: Any, pp: Any, args: Sequence[Any], stage: str) -> None:
        if _inner(p):
            return
        chosen = read(args, getattr(p, AXES, {}))
        wanted = chosen["stage"] if HAS_COMPOSITE and chosen["stage"] in STAGES else STAGES[not HAS_COMPOSITE]
        if wanted != stage:
            return
        _forget(p)  # the batch's previous picture
        if not chosen["enabled"] or engine.stopped():
            return
        before = pp.image
        # Under the picture rather than over the page, where the host can: that stays until it is read.
        tell = getattr(p, "comment", None)
        enhanced = engine.enhance_safely(before, lambda: _wanted(chosen, p, before, stage), tell)
        if enhanced is None:
            return
        if chosen["save_before"] and enhanced.image is not before:
            _save_before(p, before)
        pp.image = enhanced.image
        p.extra_generation_params.update(enhanced.infotext)
        if stage != STAGES[0]:
            p.extra_generation_params[infotext.STAGE] = stage


def note_component(component: Any, **arguments: Any) -> None:
    """Callback on_after_component: what we say under the pictures is said in the accordion as well."""
    what, _, tab = str(arguments.get("elem_id")).rpartition("_")
    if what == "html_log":
        _comments[tab] = component
    elif what == "generation_info" and tab in _lines and tab in _comments:  # comes with them, and tells of its change
        component.change(_ours, [_comments.pop(tab)], [_lines.pop(tab)], queue=False, **EVENT)


def _ours(comments: str | None) -> Any:
    """Of the host's HTML with all comments, the lines that are ours."""
    lines = re.findall(rf"{engine.LEFT}[^<]*", comments or "")
    html = "".join(f'<div class="nuli-status error" role="status">{line}</div>' for line in lines)
    return gr.update(value=html, visible=bool(lines))


def read(args: Sequence[Any], axes: dict[str, Any]) -> dict[str, Any]:
    """The arguments by name, those of an XYZ plot over them; None and what is absent are left to the defaults."""
    if args and isinstance(args[0], dict):
        values = {"enabled": True, **args[0]}
    else:
        values = dict(zip(ARGUMENTS, args, strict=False))
        if PRESET.name in axes:  # the values that the accordion shows would hide the preset's own
            values = {name: value for name, value in values.items() if name not in NAMES}
    if axes:  # whoever plots our options wants to see them at work
        values = {**values, "enabled": True, **axes}
    chosen = {name: None for name in ARGUMENTS}
    return {**chosen, **values}


def _wanted(chosen: dict[str, Any], p: Any, image: Any, stage: str) -> engine.Wanted:
    """What the arguments ask for. Raises OptionError for a name or value that is none."""
    unknown = [name for name in chosen if name not in ARGUMENTS and name not in {row.name for row in table()}]
    if unknown:
        raise OptionError(f"there is no argument {unknown[0]!r}: there are {', '.join(ARGUMENTS)}")
    values = option_values(chosen)
    if reads_prompt(values.get("scorer", "auto")) and not values.get("prompt"):
        values["prompt"] = inputs.prompt(p)
    at_hand = {"mask": inputs.inpaint_mask, "match": inputs.input_picture}
    second = {
        name: at_hand[name](p, image.size, composed=stage == STAGES[0])
        for argument, name in IMG2IMG.items()
        if chosen[argument]
    }
    return engine.Wanted(values, chosen["recipe"] or "", second)


def _pasted(name: str) -> Any:
    def value(params: dict[str, Any]) -> Any:
        found = infotext.option(params, name)
        if found is None and not infotext.was_enhanced(params):
            return None
        try:
            return control_value(name, found)
        except OptionError:
            return None  # from another version: the control stays as it is

    return value


def _inner(p: Any) -> bool:
    """Whether adetailer is at work on a part of a picture; the whole comes to us later."""
    # not its _ad_disabled, which the whole picture's p bears too wherever adetailer has nothing to do
    return bool(getattr(p, "_ad_inner", False))


def _forget(p: Any) -> None:
    for key in infotext.KEYS:
        p.extra_generation_params.pop(key, None)


def _save_before(p: Any, image: Any) -> None:
    if p.do_not_save_samples or not shared.opts.samples_save:
        return
    i = p.batch_index
    text = processing.create_infotext(
        p, p.prompts, p.seeds, p.subseeds, index=i, all_negative_prompts=p.negative_prompts
    )
    images.save_image(
        image,
        p.outpath_samples,
        "",
        p.seeds[i],
        p.prompts[i],
        shared.opts.samples_format,
        info=text,
        p=p,
        suffix="-before-nuli",
    )
