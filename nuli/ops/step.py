"""A step: one op with the values of its parameters."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import RecipeError, shown
from .registry import check_values, get_op

DECIMALS = 4
"""Values are kept to this many decimals, so that every written form holds them exactly."""


@dataclass(frozen=True)
class Step:
    """One op with its values, in the order of the op's parameters. Raises RecipeError."""

    op: str
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        try:
            values = tuple(round(float(v), DECIMALS) + 0.0 for v in self.values)  # + 0.0: no minus zero
        except (TypeError, ValueError, OverflowError):
            raise RecipeError(f"{self.op}: {shown(self.values)} are not numbers that it can use") from None
        if not isinstance(self.op, str):
            raise RecipeError(f"a step names its op, not {shown(self.op)}")
        check_values(get_op(self.op), values)
        object.__setattr__(self, "values", values)

    @property
    def is_noop(self) -> bool:
        """Whether the step changes nothing."""
        params = get_op(self.op).params
        return all(p.shapes or v == p.identity for p, v in zip(params, self.values, strict=True))

    def words(self) -> str:
        """'contrast +12 %'; parameters that do nothing are left out."""
        op = get_op(self.op)
        parts = [
            f"{param.name} {param.words(value)}" if i else param.words(value)
            for i, (param, value) in enumerate(zip(op.params, self.values, strict=True))
            if param.shapes or value != param.identity
        ]
        # a step that does nothing yet tells its first value
        return f"{op.words} {', '.join(parts) if not self.is_noop else op.params[0].words(self.values[0])}"

    def merged(self, other: Step) -> Step:
        """One step that does about what two of the same op do: factors are multiplied, other values added up."""
        values = []
        for param, one, two in zip(get_op(self.op).params, self.values, other.values, strict=True):
            both = one * two if param.identity == 1 else one + two - param.identity
            values.append(one if param.shapes else min(max(both, param.limits[0]), param.limits[1]))
        return Step(self.op, tuple(values))
