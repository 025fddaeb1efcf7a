"""The Extras tab's operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr
from modules import scripts_postprocessing, shared, ui_components

from ..options import INPUTS, PRESET
from . import engine
from .controls import draw, option_values

if TYPE_CHECKING:
    from PIL import Image

HAS_COPIES = hasattr(scripts_postprocessing.PostprocessedImage, "create_copy")
"""Whether a script can give the host further pictures to save."""
VIDEO = "it is a video. Enhance its frames, all with one correction, with --together of the command line"
WHITE = (
    "it is white all over. If it was a 16-bit picture, the WebUI could not read it: convert it to 8 bits, "
    "or use the tab NUl Enhance or the command line"
)


class Extras(scripts_postprocessing.ScriptPostprocessing):
    name = "NUl Enhance"
    order = 3500  # after upscaling and face restoration, before what crops and flips for training

    def ui(self) -> dict[str, Any]:
        """The arguments of `process`, by name."""
        own: dict[str, Any] = {}

        def draw_more() -> None:
            with gr.Row():
                for one in INPUTS:
                    own[one.name] = gr.Image(label=one.label, type="pil", elem_id=f"nuli_extras_{one.name}", height=200)
            own["save_before"] = gr.Checkbox(
                False, label="Save the picture before, too", elem_id="nuli_extras_save_before", visible=HAS_COPIES
            )

        with ui_components.InputAccordion(False, label="NUl Enhance", elem_id="nuli_extras") as enable:
            drawn = draw("nuli_extras", draw_more)
        return {"enable": enable, PRESET.name: drawn.preset, **drawn.options, **own, "recipe": drawn.recipe}

    def process(
        self,
        pp: scripts_postprocessing.PostprocessedImage,
        enable: bool | None = None,
        recipe: str | None = None,
        save_before: bool | None = None,
        **values: Any,
    ) -> None:
        """Enhance one picture; the Extras API fills `enable`, as everything else, with None."""
        if not enable:
            return
        second = {one.name: values.get(one.name) for one in INPUTS}
        before, enhanced = pp.image, None
        try:
            if before is None:  # SD.Next's videos
                engine.say(VIDEO)
            elif _is_white(before):  # nothing makes that better, and whoever saved it would lose the picture
                engine.say(WHITE)
            elif not engine.stopped():
                enhanced = engine.enhance_safely(
                    before, lambda: engine.Wanted(option_values(values), recipe or "", second)
                )
        finally:
            if shared.state.job_no >= shared.state.job_count:  # the last one of a batch
                engine.release()
        if enhanced is None:
            return
        if save_before and HAS_COPIES and enhanced.image is not before:
            pp.extra_images.append(pp.create_copy(before, nametags=["before"], disable_processing=True))
        pp.image = enhanced.image
        pp.info.update(enhanced.infotext)

    def postprocess(self, pictures: list[Image.Image], **values: Any) -> None:
        """After the last picture, on SD.Next alone, which does not count them."""
        engine.release()


def _is_white(image: Image.Image) -> bool:
    """Whether there is nothing but white, which the host makes of a 16-bit grey picture."""
    extrema = image.getextrema()
    bands = extrema if isinstance(extrema[0], tuple) else (extrema,)
    return all(darkest == 255 for darkest, _ in bands)
