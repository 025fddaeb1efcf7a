"""The nodes as ComfyUI wants them, made from the specs (its V3 API). What they do is loaded when one is first used."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import ComfyExtension, io

from ..errors import NuliError
from .specs import CATEGORY, NODES, Node, Socket
from .widgets import Widget, options_of

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
                    *(_socket(one) for one in spec.inputs),
                    *(_widget(one) for one in spec.widgets),
                    *(_socket(one, optional=True) for one in spec.optional),
                ],
                outputs=[
                    # an input and an output may not have one id
                    _TYPES[one.kind].Output(f"new_{one.name}", one.name, one.help, spec.lists)
                    for one in spec.outputs
                ],
                is_input_list=spec.lists,
                hidden=[io.Hidden.unique_id],
            )

        @classmethod
        def validate_inputs(cls, ops: str = "all", more: str = "") -> bool | str:
            """Complain of what is typed before the pictures are made, not after."""
            from ..enhancer import check_options

            try:
                check_options(options_of({"ops": ops, "more": more}, spec.widgets))
            except NuliError as error:
                return str(error)
            return True

        @classmethod
        def execute(cls, **values: Any) -> io.NodeOutput:
            from . import host, work

            if spec.lists:  # every value comes as a list then; of all but what is connected, one
                connected = {one.name for one in spec.inputs}
                values = {name: value if name in connected else value[0] for name, value in values.items()}
            return io.NodeOutput(*getattr(work, spec.run)(host.runtime(cls.hidden.unique_id), **values))

    NUlNode.__name__ = NUlNode.__qualname__ = spec.id
    return NUlNode


def _socket(socket: Socket, optional: bool = False) -> io.Input:
    return _TYPES[socket.kind].Input(socket.name, tooltip=socket.help, optional=optional)


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
