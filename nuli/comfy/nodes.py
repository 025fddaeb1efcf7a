"""The nodes as ComfyUI wants them, made from the specs (its V3 API). What they do is loaded when one is first used."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import ComfyExtension, io, ui

from ..errors import NuliError
from .specs import CATEGORY, NODES, Node, Socket
from .widgets import MORE, Widget, options_of

_TYPES = {"IMAGE": io.Image, "MASK": io.Mask, "STRING": io.String, "FLOAT": io.Float, "INT": io.Int, "COMBO": io.Combo}


class Pack(ComfyExtension):
    """What the pack brings."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [_node(spec) for spec in NODES]


def _node(spec: Node) -> type[io.ComfyNode]:
    class NUlNode(io.ComfyNode):
        @classmethod
        def define_schema(cls) -> io.Schema:
            return io.Schema(
                node_id=spec.id,
                display_name=spec.title,
                category=CATEGORY,
                description=spec.help,
                inputs=[
                    *(_socket(one, lazy=spec.has_more) for one in spec.inputs),
                    *(_widget(one) for one in spec.widgets),
                    *(_socket(one, lazy=spec.has_more, optional=True) for one in spec.optional),
                ],
                outputs=[
                    # an input and an output may not have one id
                    _TYPES[one.kind].Output(f"new_{one.name}", one.name, one.help, spec.lists)
                    for one in spec.outputs
                ],
                is_input_list=spec.lists,
            )

        @classmethod
        def validate_inputs(cls, more: str = "") -> bool | str:
            """Refuse the prompt for what is typed wrong there. ComfyUI marks every widget that is named here, whichever
            is wrong."""
            from ..enhancer import check_options

            try:
                check_options(options_of({MORE: more}, spec.widgets, mode="hard"))  # which may use every op
            except NuliError as error:
                return str(error)
            return True

        @classmethod
        def check_lazy_status(cls, **values: Any) -> list[str]:
            """Complain of options before the pictures are made, not after; then ask for the pictures."""
            from ..enhancer import check_options

            if spec.has_more:
                check_options(options_of(values, spec.widgets))
            return [name for name, value in values.items() if value is None]

        @classmethod
        def execute(cls, **values: Any) -> io.NodeOutput:
            from . import host, work

            if spec.lists:  # every value comes as a list then; of all but what is connected, one
                connected = {one.name for one in spec.inputs}
                values = {name: value if name in connected else value[0] for name, value in values.items()}
            told: list[str] = []
            made = getattr(work, spec.run)(host.runtime(told.append), **values)
            return io.NodeOutput(*made, ui=ui.PreviewText(work.report(told)) if told else None)

    NUlNode.__name__ = NUlNode.__qualname__ = spec.id
    return NUlNode


def _socket(socket: Socket, lazy: bool, optional: bool = False) -> io.Input:
    return _TYPES[socket.kind].Input(socket.name, tooltip=socket.help, optional=optional, lazy=lazy)


def _widget(widget: Widget) -> io.Input:
    how: dict[str, Any] = {"default": widget.default, "tooltip": widget.help}
    if widget.choices:
        how["options"] = list(widget.choices)
    elif widget.kind == "STRING":
        how["multiline"] = widget.multiline
    else:
        how |= {"min": widget.minimum, "max": widget.maximum, "step": widget.step}
    if widget.name == "seed":  # of itself the page takes another one each time
        how["control_after_generate"] = False
    return _TYPES[widget.kind].Input(widget.name, **how)
