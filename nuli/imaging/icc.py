"""ICC profiles for colours that a file tells by numbers: primaries, white point and transfer function."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

SRGB = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
ADOBE_RGB = (0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
ADOBE_GAMMA = 563 / 256
_C, _DCI = (0.31, 0.316), (0.314, 0.351)
PRIMARIES = {
    1: SRGB,
    4: (*_C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (0.3127, 0.329, 0.64, 0.33, 0.29, 0.6, 0.15, 0.06),
    **dict.fromkeys((6, 7), (0.3127, 0.329, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07)),
    8: (*_C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (0.3127, 0.329, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
    11: (*_DCI, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    12: (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    22: (0.3127, 0.329, 0.63, 0.34, 0.295, 0.605, 0.155, 0.077),
}
"""Chromaticities x, y of white, red, green, blue by the number that ITU-T H.273, table 2, gives them."""
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_BT709_CURVE = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
CURVES: dict[int, tuple[float, ...]] = {
    **dict.fromkeys((1, 6, 11, 12, 14, 15), _BT709_CURVE),
    4: (2.2,),
    5: (2.8,),
    7: (1 / 0.45, 1 / 1.1115, 0.1115 / 1.1115, 1 / 4.0, 0.0912),
    8: (1.0,),
    13: _SRGB_CURVE,
}
"""Transfer functions by their number in ITU-T H.273, table 3: a gamma alone, or gamma, a, b, c, d of
(a v + b) ** gamma from d on, and c v below. Logarithmic ones, PQ (16) and HLG (18) have no such form."""
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_D50 = np.array([0.9642, 1.0, 0.8249])


@dataclass(frozen=True)
class Colours:
    """What the numbers of a picture mean."""

    chromaticities: tuple[float, ...] = SRGB
    """x, y of white, red, green, blue."""
    curve: tuple[float, ...] = _SRGB_CURVE
    """Parameters as in `CURVES`; more than five are samples, 0..1, of light over the code values."""

    @property
    def is_srgb(self) -> bool:
        """Whether they are sRGB's, to the accuracy of file formats."""
        near = np.allclose(self.chromaticities, SRGB, atol=0.002)
        return near and len(self.curve) == 5 and np.allclose(self.curve, _SRGB_CURVE, atol=0.002)


def of_cicp(primaries: int, transfer: int) -> Colours | None:
    """The colours that two numbers of ITU-T H.273 stand for; 2, unspecified, is read as sRGB's. None: no profile of
    curves can say it."""
    chromaticities, curve = PRIMARIES.get(1 if primaries == 2 else primaries), CURVES.get(transfer)
    curve = _SRGB_CURVE if transfer == 2 else curve
    return Colours(chromaticities, curve) if chromaticities and curve else None


def profile(colours: Colours, grey: bool = False) -> bytes:
    """An ICC profile, version 4.3 (ICC.1:2010), of colours or of greys; b"" for numbers that make no colours."""
    matrix, adaptation = _matrices(colours.chromaticities)
    if matrix is None:
        return b""
    curve = _curve(colours.curve)
    tags = {b"desc": _text("NUlIE: colours of the source"), b"cprt": _text("CC0"), b"wtpt": _xyz(_D50)}
    tags[b"chad"] = b"sf32" + bytes(4) + b"".join(_fixed(value) for value in adaptation.ravel())
    if grey:
        tags[b"kTRC"] = curve
    else:
        for i, name in enumerate((b"r", b"g", b"b")):
            tags |= {name + b"XYZ": _xyz(matrix[:, i]), name + b"TRC": curve}
    table, data = struct.pack(">I", len(tags)), b""
    places: dict[bytes, int] = {}  # equal ones are stored once
    start = 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        if value not in places:
            places[value] = start + len(data)
            data += value + bytes(-len(value) % 4)
        table += struct.pack(">4sII", name, places[value], len(value))
    space = b"GRAY" if grey else b"RGB "
    head = struct.pack(">I4sI4s4s4s12s4s", start + len(data), b"", 0x04300000, b"mntr", space, b"XYZ ", _DATE, b"acsp")
    head += bytes(24) + struct.pack(">I", 1) + b"".join(_fixed(value) for value in _D50)
    return head.ljust(128, b"\0") + table + data


_DATE = struct.pack(">6H", 2026, 1, 1, 0, 0, 0)


def _matrices(chromaticities: tuple[float, ...]) -> tuple[np.ndarray | None, np.ndarray]:
    """RGB to XYZ, adapted to D50 by Bradford's method, and that adaptation; None for primaries that span nothing."""
    points = np.array(chromaticities, float).reshape(4, 2)
    if not (np.isfinite(points).all() and (points[:, 1] > 1e-4).all() and (np.abs(points) < 4).all()):
        return None, np.eye(3)
    xyz = np.column_stack([points[:, 0], points[:, 1], 1 - points.sum(1)]) / points[:, 1:]
    white, primaries = xyz[0], xyz[1:].T
    if abs(np.linalg.det(primaries)) < 1e-6:
        return None, np.eye(3)
    cones = _BRADFORD @ white
    if not (np.abs(cones) > 1e-6).all():
        return None, np.eye(3)
    adaptation = np.linalg.inv(_BRADFORD) @ np.diag(_BRADFORD @ _D50 / cones) @ _BRADFORD
    matrix = adaptation @ (primaries * np.linalg.solve(primaries, white))
    return (matrix if np.abs(matrix).max() < 4 else None), adaptation


def _fixed(value: float) -> bytes:
    """A number as s15Fixed16."""
    return struct.pack(">i", round(max(-32768.0, min(float(value), 32767.0)) * 65536))


def _xyz(values: np.ndarray) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(_fixed(value) for value in values)


def _text(text: str) -> bytes:
    data = text.encode("utf-16-be")
    return b"mluc" + struct.pack(">IIIHHII", 0, 1, 12, 0x656E, 0x5553, len(data), 28) + data


def _curve(curve: tuple[float, ...]) -> bytes:
    """A tone curve: parameters, or samples."""
    if len(curve) in (1, 5):
        kind = {1: 0, 5: 3}[len(curve)]
        return b"para" + struct.pack(">IHH", 0, kind, 0) + b"".join(_fixed(value) for value in curve)
    samples = np.rint(np.clip(curve, 0, 1) * 65_535).astype(">u2")
    return b"curv" + struct.pack(">II", 0, len(samples)) + samples.tobytes()
