"""InvokeAI: a node that enhances an image. InvokeAI loads what is imported here."""

from .nuli_enhance import NuliEnhanceInvocation, NuliEnhanceOutput

__all__ = ["NuliEnhanceInvocation", "NuliEnhanceOutput"]
