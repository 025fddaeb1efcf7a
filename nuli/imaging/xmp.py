"""XMP packets, edited as text: what is not changed stays as it is, byte for byte. (ISO 16684-1)"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from html import escape
from xml.parsers import expat

MAX_XMP = 1 << 26
"""Bytes of a packet that is looked into."""
MAX_NODES = 50_000
"""Elements and attributes of a packet that is looked into."""
_DEEPEST = 100  # elements within each other; what is known has twelve
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_LONGEST_VALUE = 4096  # characters of text in an element that are kept: values that are edited are numbers
_TAG = re.compile(rb"""<[^\s/>"']+((?:[^>"']|"[^"]*"|'[^']*')*)>""")
_ATTRIBUTE = re.compile(rb"""([^\s=]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_END = b"<?xpacket end"

Name = tuple[str, str]  # namespace and local name


class XmpError(ValueError):
    """A packet that can't be edited: no well-formed XML, not in UTF-8, too large, or with declarations of its own."""


@dataclass
class Property:
    """A property, as an attribute or as an element."""

    name: Name
    owner: int
    """Number of the element that it describes."""
    value: str
    place: tuple[int, int]
    """Where all of it lies, for an attribute with the space before it."""
    inside: tuple[int, int]
    """Where its value lies."""
    number: int = -1
    """Of the element that it is; -1 for an attribute."""


@dataclass
class Packet:
    """A packet of XMP, its parts, and the changes to make. Raises XmpError for one that can't be edited."""

    data: bytes
    nodes: list[Property] = field(default_factory=list)
    """The elements, in the order of the document; `owner` is the element around it, -1 for none."""
    attributes: list[Property] = field(default_factory=list)
    _children: dict[int, list[Property]] = field(default_factory=dict)
    _declared: list[tuple[str, tuple[int, int]]] = field(default_factory=list)
    _edits: dict[tuple[int, int], bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.data) > MAX_XMP:
            raise XmpError("too large")
        stack: list[int] = []
        parser = expat.ParserCreate("utf-8", "\n")
        parser.ordered_attributes = parser.buffer_text = True

        def refuse(*_: object) -> None:
            raise XmpError("has declarations of its own")

        def start(name: str, attributes: list[str]) -> None:
            begin = parser.CurrentByteIndex
            tag = _TAG.match(self.data, begin)
            if tag is None or len(self.nodes) + len(self.attributes) >= MAX_NODES or len(stack) >= _DEEPEST:
                raise XmpError("no tag where one should be, or too many")
            number = len(self.nodes)
            place = begin, tag.end()
            node = Property(_name(name), stack[-1] if stack else -1, "", place, (tag.end(), tag.end()), number)
            self.nodes.append(node)
            self._children.setdefault(node.owner, []).append(node)
            stack.append(number)
            named = iter(zip(attributes[::2], attributes[1::2], strict=True))
            for found in _ATTRIBUTE.finditer(self.data, tag.start(1), tag.end(1)):
                value = found.span(2) if found[2] is not None else found.span(3)
                begin = found.start()  # with the space before it; a pattern would look for that anew at each space
                while self.data[begin - 1 : begin].isspace():
                    begin -= 1
                place = begin, found.end()
                if found[1] == b"xmlns" or found[1].startswith(b"xmlns:"):
                    self._declared.append((self.data[slice(*value)].decode("utf-8", "replace"), place))
                elif pair := next(named, None):
                    self.attributes.append(Property(_name(pair[0]), number, pair[1], place, value))

        def end(_: str) -> None:
            node, place = self.nodes[stack.pop()], parser.CurrentByteIndex
            begin, opened = node.place
            if self.data[opened - 2 : opened] == b"/>":
                return
            node.place, node.inside = (begin, self.data.index(b">", place) + 1), (opened, place)

        def text(data: str) -> None:
            node = self.nodes[stack[-1]]
            if len(node.value) < _LONGEST_VALUE:
                node.value += data

        parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
        parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
        try:
            parser.Parse(self.data, True)
        except expat.ExpatError as error:
            if stack or not self.nodes:  # what stands behind the packet does not matter
                raise XmpError(str(error)) from error

    def properties(self, wanted: Callable[[Name], bool] | Name) -> Iterator[Property]:
        """The properties of a name, or of the names that `wanted` accepts; attributes come first."""
        for item in (*self.attributes, *self.nodes):
            if item.name == wanted or (callable(wanted) and wanted(item.name)):
                yield item

    def structures(self, namespaces: Collection[str]) -> list[dict[str, Property]]:
        """The properties in some namespaces by their local names, those that describe the same thing together."""
        groups: dict[int, dict[str, Property]] = {}
        for item in self.properties(lambda name: name[0] in namespaces):
            groups.setdefault(item.owner, {}).setdefault(item.name[1], item)
        return list(groups.values())

    def items(self, node: Property) -> list[Property]:
        """The values in the array that an element holds, in order."""
        arrays = [n.number for n in self._children.get(node.number, ()) if n.name[0] == RDF]
        return [n for number in arrays for n in self._children.get(number, ()) if n.name == (RDF, "li")]

    def set(self, item: Property, value: str) -> None:
        """Give a property another value."""
        if item.value.strip() != value:
            self._edits[item.inside] = escape(value).encode()

    def remove(self, item: Property) -> None:
        """Take a property away with all that it holds."""
        self._edits[item.place] = b""

    def remove_all(self, wanted: Callable[[Name], bool] | Name) -> bool:
        """Take away all `properties`; returns whether there are any."""
        items = list(self.properties(wanted))
        for item in items:
            self.remove(item)
        return bool(items)

    def result(self) -> bytes:
        """The packet with its changes; namespaces that nothing of it uses any more are not declared any more."""
        if not self._edits:
            return self.data
        edited = Packet(self._applied(self._edits))
        used = {item.name[0] for item in (*edited.nodes, *edited.attributes)}
        before = {item.name[0] for item in (*self.nodes, *self.attributes)}
        return edited._applied({place: b"" for uri, place in edited._declared if uri in before - used})

    def _applied(self, edits: dict[tuple[int, int], bytes]) -> bytes:
        parts, last = [], 0
        for (begin, end), new in sorted(edits.items(), key=lambda edit: (edit[0][0], -edit[0][1])):
            if begin >= last:  # else it lies in what is taken away
                parts += [self.data[last:begin], new]
                last = end
        return b"".join([*parts, self.data[last:]])


def _name(name: str) -> Name:
    uri, _, local = name.rpartition("\n")
    return uri, local


def is_empty(xmp: bytes) -> bool:
    """Whether a packet says nothing about anything. Raises XmpError."""
    packet = Packet(xmp)
    about = {(RDF, "about"), ("", "about")}
    subjects = [n.number for n in packet.nodes if n.name == (RDF, "Description")]
    described = {p.owner for p in (*packet.attributes, *packet.nodes) if p.name not in about}
    return not any(number in described for number in subjects)


def without_padding(xmp: bytes) -> bytes:
    """A packet without the room that it has for others to write in."""
    before, end, after = xmp.rpartition(_END)
    return before.rstrip() + b"\n" + end + after if end else xmp


def edit(xmp: bytes, change: Callable[[Packet], object]) -> bytes:
    """A packet with a change made. Raises XmpError."""
    packet = Packet(xmp)
    change(packet)
    return packet.result()


def edited(xmp: bytes, change: Callable[[Packet], object]) -> bytes:
    """A packet with a change made, where it can be read."""
    try:
        return edit(xmp, change) if xmp else xmp
    except XmpError:
        return xmp
