"""The node "NUl Enhance": an image in; the enhanced one, its recipe and its score out."""

from typing import Literal

from invokeai.invocation_api import (
    BaseInvocation,
    BaseInvocationOutput,
    ImageField,
    InputField,
    InvocationContext,
    OutputField,
    WithBoard,
    WithMetadata,
    invocation,
    invocation_output,
)

import nuli


@invocation_output("nuli_enhance_output")
class NuliEnhanceOutput(BaseInvocationOutput):
    """An enhanced image, and what was done to it."""

    image: ImageField = OutputField(description="The enhanced image")
    width: int = OutputField(description="The image's width")
    height: int = OutputField(description="The image's height")
    recipe: str = OutputField(description="The steps, as text that NUlIE reads; empty where nothing was changed")
    score: float = OutputField(description="What the scorer says of the result")


@invocation("nuli_enhance", title="NUl Enhance", tags=["image", "enhance"], category="image", version="1.0.0")
class NuliEnhanceInvocation(BaseInvocation, WithMetadata, WithBoard):
    """Search a chain of readable adjustments that makes an image better."""

    image: ImageField = InputField(description="The image to enhance")
    mask: ImageField | None = InputField(default=None, description="Where to change it: white yes, black no")
    mode: Literal["soft", "hard"] = InputField(default="soft", description="soft: it stays the same picture")
    seconds: float = InputField(default=0, ge=0, le=600, description="Time to search; 0: automatic")
    strength: float = InputField(default=1, ge=0, le=1.5, description="How much of what is found")
    seed: int = InputField(default=0, ge=0, le=2**32 - 1, description="Start of the random numbers")

    def invoke(self, context: InvocationContext) -> NuliEnhanceOutput:
        values = {"mode": self.mode, "strength": self.strength, "seed": self.seed}
        if self.seconds:
            values["seconds"] = self.seconds
        for item in nuli.enhance_iter(
            context.images.get_pil(self.image.image_name),
            mask=context.images.get_pil(self.mask.image_name) if self.mask else None,
            others=0,
            stop=context.util.is_canceled,
            **values,
        ):
            if isinstance(item, nuli.Event):
                context.util.signal_progress(f"NUl Enhance: {item.best_score:.2f}", item.progress)
        saved = context.images.save(image=item.image)
        recipe = item.recipe.to_line() if item.changed else ""
        return NuliEnhanceOutput(
            image=ImageField(image_name=saved.image_name),
            width=saved.width,
            height=saved.height,
            recipe=recipe,
            score=item.score_after,
        )
