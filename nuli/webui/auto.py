"""Auto-enhance: every picture that txt2img and img2img make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
from modules import images, processing, scripts, shared, ui_components

from .. import infotext
from ..errors import OptionError
from ..options import table
from ..ui.controls import control_value, options_of
from . import engine
from .controls import NAMES, draw, draw_recipe

STAGES = ("after compositing", "before compositing")
"""When to enhance; the first is the default. Compositing lays an inpainted part over its picture."""
HAS_COMPOSITE = hasattr(scripts.Script, "postprocess_image_after_composite")
ARGUMENTS = ("enabled", *NAMES, "stage", "save_before", "recipe")
"""What the host passes, in order; an API client may pass one dict of these instead."""
AXES = "_nuli_axes"
"""Where an XYZ plot leaves its values, on the processing object."""


class AutoEnhance(scripts.Script):
    def title(self) -> str:
        return "NUl Enhance"

    def show(self, is_img2img: bool) -> Any:
        return scripts.AlwaysVisible

    def ui(self, is_img2img: bool) -> list[Any]:
        """The components of ARGUMENTS, and how pasted parameters fill them."""
        prefix = "nuli_auto_img2img" if is_img2img else "nuli_auto_txt2img"
        with ui_components.InputAccordion(False, label="NUl Enhance", elem_id=prefix) as enabled:
            controls = draw(prefix)
            with gr.Row():
                stage = gr.Radio(
                    list(STAGES), value=STAGES[0], label="When", elem_id=f"{prefix}_stage", visible=HAS_COMPOSITE
                )
                save_before = gr.Checkbox(False, label="Save the picture before", elem_id=f"{prefix}_save_before")
            recipe = draw_recipe(prefix)
        # No paste_field_names: "send to img2img" would take the recipe along and apply it a second time.
        self.infotext_fields = [
            (enabled, infotext.was_enhanced),
            *((control, _pasted(name)) for name, control in controls.items()),
            (stage, lambda d: d.get(infotext.STAGE, STAGES[0]) if infotext.was_enhanced(d) else None),
            (recipe, infotext.recipe),
        ]
        return [enabled, *controls.values(), stage, save_before, recipe]

    def process(self, p: Any, *args: Any) -> None:
        """A new run: what an earlier one, such as another cell of an XYZ plot, wrote is not about its pictures."""
        _forget(p)

    def postprocess_image(self, p: Any, pp: Any, *args: Any) -> None:
        self._enhance(p, pp, args, STAGES[1])

    def postprocess_image_after_composite(self, p: Any, pp: Any, *args: Any) -> None:
        self._enhance(p, pp, args, STAGES[0])

    def postprocess(self, p: Any, processed: Any, *args: Any) -> None:
        if not _inner(p):
            engine.release()

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
        enhanced = engine.enhance_safely(before, lambda: option_values(chosen), chosen["recipe"], tell)
        if enhanced is None:
            return
        if chosen["save_before"] and enhanced.image is not before:
            _save_before(p, before)
        pp.image = enhanced.image
        p.extra_generation_params.update(enhanced.infotext)
        if stage != STAGES[0]:
            p.extra_generation_params[infotext.STAGE] = stage


def read(args: Sequence[Any], axes: dict[str, Any]) -> dict[str, Any]:
    """The arguments by name, those of an XYZ plot over them; None and what is absent are left to the defaults."""
    if args and isinstance(args[0], dict):
        values = {"enabled": True, **args[0]}
    else:
        values = dict(zip(ARGUMENTS, args, strict=False))
    if axes:  # whoever plots our options wants to see them at work
        values = {**values, "enabled": True, **axes}
    chosen = {name: None for name in ARGUMENTS}
    return {**chosen, **values}


def option_values(chosen: dict[str, Any]) -> dict[str, Any]:
    """The option values among the arguments. Raises OptionError for a name or value that is none."""
    unknown = [name for name in chosen if name not in ARGUMENTS and name not in {row.name for row in table()}]
    if unknown:
        raise OptionError(f"there is no argument {unknown[0]!r}: there are {', '.join(ARGUMENTS)}")
    given = {
        k: v for k, v in chosen.items() if v is not None and k not in ("enabled", "stage", "save_before", "recipe")
    }
    return options_of(tuple(given), tuple(given.values()))


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
    if not p.save_samples():
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
