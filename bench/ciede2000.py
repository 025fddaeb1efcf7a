"""The colour difference CIEDE2000, of sRGB pictures and of Lab colours.

Equation numbers are those of G. Sharma, W. Wu, E. N. Dalal: The CIEDE2000 Color-Difference Formula:
Implementation Notes, Supplementary Test Data, and Mathematical Observations. Color Research and Application
30 (2005) 21-30.
"""

from __future__ import annotations

import numpy as np

TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
"""Linear sRGB to CIE XYZ (IEC 61966-2-1); D65 white has Y = 1."""


def to_linear(x: np.ndarray) -> np.ndarray:
    """sRGB code values 0..1 to linear light."""
    return np.where(x <= 0.04045, x / 12.92, ((np.maximum(x, 0.04045) + 0.055) / 1.055) ** 2.4)


def to_srgb(x: np.ndarray) -> np.ndarray:
    """Linear light to sRGB code values, clipped to 0..1."""
    x = np.clip(x, 0, 1)
    return np.where(x <= 0.0031308, x * 12.92, 1.055 * np.maximum(x, 0.0031308) ** (1 / 2.4) - 0.055)


def to_lab(x: np.ndarray) -> np.ndarray:
    """sRGB code values [...,3] in 0..1 to CIE Lab under D65, float64; white is (100, 0, 0)."""
    xyz = to_linear(np.asarray(x, np.float64)) @ (TO_XYZ / TO_XYZ.sum(1, keepdims=True)).T
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


def difference(lab1: np.ndarray, lab2: np.ndarray) -> np.ndarray:
    """CIEDE2000 of Lab colours [...,3], with kL = kC = kH = 1 -> [...]."""
    (l1, a1, b1), (l2, a2, b2) = (np.moveaxis(np.asarray(lab, np.float64), -1, 0) for lab in (lab1, lab2))
    c7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7  # (2), (3)
    g = 0.5 * (1 - np.sqrt(c7 / (c7 + 25**7)))  # (4)
    a1, a2 = (1 + g) * a1, (1 + g) * a2  # (5)
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)  # (6)
    h1, h2 = (np.degrees(np.arctan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))  # (7)

    grey = c1 * c2 == 0
    far = np.abs(h2 - h1) > 180
    turn = np.where(grey, 0, h2 - h1 - np.where(far, 360 * np.sign(h2 - h1), 0))  # (10)
    d_l, d_c = l2 - l1, c2 - c1  # (8), (9)
    d_h = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))  # (11)

    light, chroma = (l1 + l2) / 2, (c1 + c2) / 2  # (12), (13)
    total = h1 + h2
    hue = np.where(grey, total, (total + np.where(far, np.where(total < 360, 360, -360), 0)) / 2)  # (14)
    t = (
        1
        - 0.17 * np.cos(np.radians(hue - 30))
        + 0.24 * np.cos(np.radians(2 * hue))
        + 0.32 * np.cos(np.radians(3 * hue + 6))
        - 0.20 * np.cos(np.radians(4 * hue - 63))
    )  # (15)
    theta = 30 * np.exp(-(((hue - 275) / 25) ** 2))  # (16)
    r_c = 2 * np.sqrt(chroma**7 / (chroma**7 + 25**7))  # (17)
    s_l = 1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2)  # (18)
    s_c = 1 + 0.045 * chroma  # (19)
    s_h = 1 + 0.015 * chroma * t  # (20)
    r_t = -np.sin(np.radians(2 * theta)) * r_c  # (21)
    l, c, h = d_l / s_l, d_c / s_c, d_h / s_h  # noqa: E741
    return np.sqrt(np.maximum(0, l**2 + c**2 + h**2 + r_t * c * h))  # (22)


def mean_difference(x: np.ndarray, y: np.ndarray) -> float:
    """Mean CIEDE2000 of two sRGB pictures [H,W,3] in 0..1."""
    return float(difference(to_lab(x), to_lab(y)).mean())
