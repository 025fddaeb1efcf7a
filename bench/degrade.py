"""Known damage for good photos: chains of steps drawn at random, in two families.

"mild" and "strong" make what photos commonly lack (light, contrast, colour, sharpness). "unseen-mild" and
"unseen-strong" share no step with them and none with nuli's ops: they tell whether an enhancer that was
fitted to the first kind helps with another. Strong chains are the mild ones at twice the size.

Three tracks beside them have one fault each: "cast" is a camera's wrong white balance, 10 to 15 dE of it, "washed" a
pale picture with grey blacks, as a diffusion model without its VAE makes them, and "unfinished" a photo as it leaves a
camera or a raw converter that adds nothing: flat, dark because the exposure protected the lights, pale, its white
balance slightly wrong.

Every step takes the picture [H,W,3] in 0..1, the size of the chain (1 or 2), and values from its ranges.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from ciede2000 import TO_XYZ, mean_difference, to_linear, to_srgb

SMALLEST = 1.5
"""Mean CIEDE2000 by which a chain must change the picture; others are drawn anew."""
TRIES = 200

LUMA = np.array([0.299, 0.587, 0.114])
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
BRIGHT = 0.4
"""Light from which on a photo's exposure may be made for it; 1 is white."""
SENSORS = np.array(
    [
        [[0.6596, -0.2079, -0.0562], [-0.4782, 1.3016, 0.1933], [-0.0970, 0.1581, 0.5181]],  # Sony RX100
        [[0.4913, -0.0541, -0.0202], [-0.6130, 1.3513, 0.2906], [-0.1564, 0.2151, 0.7183]],  # Sony A7R
        [[0.8380, -0.2630, -0.0639], [-0.2887, 1.0725, 0.2496], [-0.0627, 0.1427, 0.5438]],  # Olympus E-M10
    ]
)
"""From CIE XYZ to the channels of cameras, as Adobe's DNG converter states them for D65."""


def exposure(x: np.ndarray, size: int, stops: float) -> np.ndarray:
    return to_srgb(to_linear(x) * 2 ** (size * stops))


def contrast(x: np.ndarray, size: int, factor: float) -> np.ndarray:
    """Around the mean luma."""
    mean = (x @ LUMA).mean()
    return mean + factor**size * (x - mean)


def gamma(x: np.ndarray, size: int, power: float) -> np.ndarray:
    return x ** (power**size)


def saturation(x: np.ndarray, size: int, factor: float) -> np.ndarray:
    grey = (x @ LUMA)[..., None]
    return grey + factor**size * (x - grey)


def cast(x: np.ndarray, size: int, red: float, blue: float) -> np.ndarray:
    """Multiply red and blue, the luma of grey kept."""
    gains = np.exp(size * np.array([red, 0, blue]))
    return x * (gains / (gains @ LUMA))


def blur(x: np.ndarray, size: int, radius: float) -> np.ndarray:
    """Gaussian; its standard deviation is a part of the short side."""
    sigma = size * radius * min(x.shape[:2])
    half = int(np.ceil(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-half, half + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    for axis in (0, 1):
        length = x.shape[axis]
        padded = np.pad(x, [(half, half) if a == axis else (0, 0) for a in range(3)], mode="edge")
        x = sum(w * padded.take(range(i, i + length), axis) for i, w in enumerate(kernel))
    return x


def haze(x: np.ndarray, size: int, density: float, horizon: float, light: float, warmth: float) -> np.ndarray:
    """Blend towards an airlight: the farther the thicker, and what is higher up in the frame is farther."""
    rows = np.linspace(0, 1, len(x))[:, None, None]
    depth = 1 / (1 + np.exp((rows - horizon) / 0.2))
    clear = np.exp(-size * density * (0.2 + 0.8 * depth))
    air = to_linear(np.array([light + warmth, light, light - warmth]))
    return to_srgb(to_linear(x) * clear + air * (1 - clear))


def tone_curve(x: np.ndarray, size: int, bend: float) -> np.ndarray:
    """S-shaped where `bend` is above 0, its inverse below: x^p / (x^p + (1 - x)^p)."""
    power = np.exp(size * bend)
    up, down = x**power, (1 - x) ** power
    return up / (up + down)


def channel_shift(x: np.ndarray, size: int, *shifts: float) -> np.ndarray:
    """Add an amount of light to each channel, or take it away."""
    return to_srgb(to_linear(x) + size * np.array(shifts))


def vignette(x: np.ndarray, size: int, amount: float, across: float, down: float) -> np.ndarray:
    """Darken by the cos^4 law, away from a centre that need not be the frame's."""
    rows = np.linspace(-1, 1, x.shape[0])[:, None, None] - down
    columns = np.linspace(-1, 1, x.shape[1])[None, :, None] - across
    return to_srgb(to_linear(x) / (1 + size * amount * (rows**2 + columns**2) / 2) ** 2)


def black_lift(x: np.ndarray, size: int, amount: float) -> np.ndarray:
    return 1 - (1 - x) * (1 - size * amount)


def to_sensor(x: np.ndarray) -> np.ndarray:
    """The light on the sensor that became sRGB values [H,W,3], 0..1.

    The tone curve is taken to be smoothstep after the power 1/2.2, as in T. Brooks et al.: Unprocessing Images for
    Learned Raw Denoising. CVPR 2019.
    """
    return (0.5 - np.sin(np.arcsin(1 - 2 * x) / 3)) ** 2.2


def smoothstep(y: np.ndarray) -> np.ndarray:
    return y * y * (3 - 2 * y)


def wrong_gains(mireds: float, green: float) -> np.ndarray:
    """What the sensor's channels gain, [3], where the light is taken for warmer or cooler by so many mireds.

    The luminance of grey is kept. The channels see narrow bands of a black body (Wien's law).
    """
    bands = np.array([600e-9, 540e-9, 455e-9])
    logs = -mireds * 1e-6 * 0.014388 / bands
    logs += np.array([0, green, 0]) - logs[1]
    gains = np.exp(logs)
    return gains / (gains @ LUMINANCE)


def wrong_white(x: np.ndarray, size: int, mireds: float, green: float) -> np.ndarray:
    """The light taken for warmer or cooler before the tone curve."""
    return smoothstep(np.clip(to_sensor(x) * wrong_gains(size * mireds, size * green), 0, 1) ** (1 / 2.2))


def unfinished(
    x: np.ndarray,
    size: int,
    stops: float,
    flat: float,
    crosstalk: float,
    mireds: float,
    green: float,
    protected: float,
    flare: float,
    *cameras: float,
) -> np.ndarray:
    """As a camera leaves a photo before anybody develops it.

    Args:
        stops: how much less light.
        flat: how much of the tone curve is missing, 0..1.
        crosstalk: how much the colours still are the sensor's, 0..1: its channels overlap, which makes them pale.
        mireds, green: the white balance, as for `wrong_white`.
        protected: how much of that the brightest are spared, 0..1, because the exposure was made for them.
        flare: share of the light that the lens spreads over the whole picture.
        cameras: weights of SENSORS.
    """
    mix = np.eye(3) + crosstalk * (sensor(cameras) - np.eye(3))
    light = to_sensor(x) @ mix.T
    gains = 2 ** (-size * stops) * wrong_gains(size * mireds, size * green)
    # the highlight-preserving gains of Brooks et al., which begin earlier here
    bright = np.maximum((light.mean(2, keepdims=True) - BRIGHT) / (1 - BRIGHT), 0) ** 2 * protected
    light *= np.maximum(bright + (1 - bright) * gains, gains)
    light += flare * (light.mean((0, 1)) - light)
    y = np.clip(light, 0, 1) ** (1 / 2.2)
    return y + (1 - flat) * (smoothstep(y) - y)


def sensor(weights: Sequence[float]) -> np.ndarray:
    """The matrix from linear sRGB to the channels of a camera between SENSORS; white stays white."""
    matrix = np.tensordot(weights, SENSORS, 1) @ TO_XYZ
    return matrix / matrix.sum(1, keepdims=True)


def pale(x: np.ndarray, size: int, spread: float, chroma: float, lift: float) -> np.ndarray:
    """Contrast and saturation taken away, black lifted."""
    return black_lift(saturation(contrast(x, size, spread), size, chroma), size, lift)


Step = Callable[..., np.ndarray]
Chain = list[tuple[Step, np.ndarray]]
Family = dict[Step, list[tuple[float, float]]]
"""Steps, and the ranges of their values."""

COMMON: Family = {
    exposure: [(-0.7, 0.7)],
    contrast: [(0.6, 1.3)],
    gamma: [(0.7, 1.4)],
    saturation: [(0.4, 1.4)],
    cast: [(-0.15, 0.15), (-0.15, 0.15)],
    blur: [(0.001, 0.003)],
}
UNSEEN: Family = {
    haze: [(0.05, 0.25), (0.2, 0.7), (0.7, 0.95), (-0.05, 0.05)],
    tone_curve: [(-0.4, 0.4)],
    channel_shift: [(-0.012, 0.018)] * 3,
    vignette: [(0.15, 0.45), (-0.2, 0.2), (-0.2, 0.2)],
    black_lift: [(0.01, 0.07)],
}
CAMERA: Family = {wrong_white: [(-250, 250), (-0.15, 0.15)]}
UNFINISHED: Family = {
    unfinished: [
        *[(-0.1, 2), (0.4, 1), (0.1, 0.8), (-35, 35), (-0.05, 0.05), (0.3, 1), (0, 0.04)],
        *[(0, 1)] * len(SENSORS),
    ]
}
WASHED: Family = {pale: [(0.55, 0.65), (0.45, 0.55), (0.05, 0.12)]}
TRACKS: dict[str, tuple[Family, int]] = {
    "mild": (COMMON, 1),
    "strong": (COMMON, 2),
    "unseen-mild": (UNSEEN, 1),
    "unseen-strong": (UNSEEN, 2),
    "cast": (CAMERA, 1),
    "washed": (WASHED, 1),
    "unfinished": (UNFINISHED, 1),
}
LIMITS = {"cast": (10.0, 15.0), "unfinished": (4.0, 26.0)}
"""Mean CIEDE2000, where another range than from SMALLEST on is wanted."""
LONGEST = 4


def draw(family: Family, rng: np.random.Generator) -> Chain:
    """1 to 4 different steps in any order, each value anywhere in its range."""
    steps = list(family)
    picked = rng.permutation(len(steps))[: rng.integers(1, LONGEST + 1)]
    return [(steps[i], np.array([rng.uniform(*r) for r in family[steps[i]]])) for i in picked]


def apply(chain: Chain, x: np.ndarray, size: int) -> np.ndarray:
    """[H,W,3] in 0..1, clipped after every step -> the same, float32."""
    x = np.asarray(x, np.float64)
    for step, values in chain:
        x = np.clip(step(x, size, *values), 0, 1)
    return x.astype(np.float32)


def degrade(x: np.ndarray, track: str, rng: np.random.Generator) -> np.ndarray:
    """A damaged copy; with equal generators a strong track repeats the mild one's chain at twice its size.

    Raises:
        ValueError: nothing shows on this picture (it is black, say).
    """
    family, size = TRACKS[track]
    least, most = LIMITS.get(track, (SMALLEST, np.inf))
    for _ in range(TRIES):
        chain = draw(family, rng)
        # a strong chain, too, must show at its mild size: else the two tracks would part here
        if all(least <= mean_difference(apply(chain, x, s), x) <= most for s in {1, size}):
            return apply(chain, x, size)
    raise ValueError(f"no {track} chain changes it enough")
