"""Unfinished answers as values of the type that is asked for."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import inspect
import json
import sys
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, AliasChoices, AliasPath, BaseModel, ConfigDict, Field, RootModel
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import TypedDict

from fairlead.core.jsonpartial import extends
from fairlead.validation.targets.partials import Partials
from fairlead.validation.targets.target import Target

Item = TypeVar("Item")


class Colour(enum.Enum):
    """An enum whose members begin alike."""

    RED = "red"
    REDDISH = "reddish"


class Cat(BaseModel):
    """One member of a union."""

    kind: Literal["cat"]
    name: str = Field(min_length=3)


class Dog(BaseModel):
    """The other one."""

    kind: Literal["dog"]
    name: str


class Address(TypedDict):
    """A dictionary with fields."""

    street: str


@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    """A dataclass that checks itself."""

    x: int
    y: int = 0

    def __post_init__(self) -> None:
        if self.x > 100:
            raise ValueError("too far")


@pydantic_dataclass
class Box:
    """A dataclass of pydantic's."""

    corner: Point
    label: Annotated[str | None, Field(alias="Label")] = None


class Tags(RootModel[list[str]]):
    """A model around a list."""


class Booking(BaseModel):
    """Something of everything."""

    model_config = ConfigDict(populate_by_name=True)

    title: str
    guests: int | None = Field(None, alias="numberOfGuests")
    day: dt.date | None = None
    price: Decimal | None = None
    colour: Colour | None = None
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    address: Address | None = None
    points: Sequence[Point] = ()
    numbers: set[int] = set()
    either: int | str | list[str] | None = None
    extra: dict[str, Any] = {}
    note: str = Field("", validation_alias=AliasChoices("remark", AliasPath("a", 0)))
    tags: Tags | None = None


class Node(BaseModel):
    """A model that holds itself."""

    name: str
    children: list[Node] = []


class Page(BaseModel, Generic[Item]):
    """A generic model."""

    items: list[Item]


def stream(kind: Any, text: str, size: int = 1) -> list[Any]:
    """The partials of a text that comes in pieces."""
    partials = Partials(Target.of(kind))
    found = (partials.feed(text[at : at + size]) for at in range(0, len(text), size))
    return [each for each in found if each is not None]


def last(kind: Any, text: str) -> Any:
    """The partial of a text, by what is set; models as dictionaries."""
    partials = stream(kind, text)
    return plain(partials[-1]) if partials else None


def plain(value: Any) -> Any:
    """Models and dataclasses as dictionaries of what is there."""
    if isinstance(value, BaseModel):
        return {name: plain(each) for name, each in value if each is not None}
    if isinstance(value, Point):
        return {name: each for name in ("x", "y") if (each := getattr(value, name)) is not None}
    return [plain(each) for each in value] if isinstance(value, list) else value


def test_a_model_fills_up():
    """Its strings grow, its numbers are there once complete; what is not there yet is `None`."""
    partials = stream(Booking, '{"title": "Hi", "numberOfGuests": 12, "day": "2026-01-31"}')
    assert [(each.title, each.guests, each.day) for each in partials] == [
        ("", None, None),
        ("H", None, None),
        ("Hi", None, None),
        ("Hi", 12, None),
        ("Hi", 12, dt.date(2026, 1, 31)),
    ]
    assert type(partials[-1]).__name__ == "PartialBooking"
    assert partials[-1].model_fields_set == {"title", "guests", "day"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"colour": "red', {}),
        ('{"colour": "red"', {"colour": Colour.RED}),
        ('{"colour": "pink"', {}),
        ('{"price": "1.5', {}),
        ('{"price": "1.5"', {"price": Decimal("1.5")}),
        ('{"guests": 5,', {"guests": 5}),
        ('{"pet": {"name": "Rex", "kind": "do', {}),
        ('{"pet": {"name": "Rex", "kind": "dog"', {"pet": {"kind": "dog", "name": "Rex"}}),
        ('{"pet": {"kind": "cat", "name": "Mi', {"pet": {"kind": "cat"}}),
        ('{"pet": {"kind": "cat", "name": "Mia', {"pet": {"kind": "cat", "name": "Mia"}}),
        ('{"pet": {"kind": "cow"}', {}),
        ('{"address": {"street": "Ma', {"address": {"street": "Ma"}}),
        ('{"points": [{"x": 1, "y": 2}, {"x": 3,', {"points": [{"x": 1, "y": 2}, {"x": 3}]}),
        ('{"points": [{"x": 999}', {"points": [{"x": 999}]}),
        ('{"points": {', {}),
        ('{"points": [5, ', {"points": [None]}),
        ('{"numbers": [1, 2', {}),
        ('{"numbers": [1, 2]', {"numbers": {1, 2}}),
        ('{"either": "5', {}),
        ('{"either": "5"', {"either": "5"}),
        ('{"either": ["a", "b', {"either": ["a", "b"]}),
        ('{"extra": {"a": [1, {"b": "c', {"extra": {"a": [1, {"b": "c"}]}}),
        ('{"remark": "wo', {"note": "wo"}),
        ('{"a": ["wo"]', {}),
        ('{"tags": ["a", "b', {"tags": ["a", "b"]}),
        ('{"unheard": 1, "title": "x', {"title": "x"}),
        ('{"title": null, ', {}),
        ('{"title": {"x": 1}', {}),
        ('As in [1]:\n```json\n{"title": "x', {"title": "x"}),
    ],
)
def test_fields_are_there_once_they_can_be_read(text, expected):
    """Each in the way of its type."""
    assert last(Booking, text) == expected


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (list[int], "[1, 2, 3", [1, 2]),
        (list[Colour], '["red", "redd', [Colour.RED]),
        (list[Cat], '[{"kind": "cat", "name": "Mia"}, {"kind": "cat', [{"kind": "cat", "name": "Mia"}, {}]),
        (list[list[int]], "[[1], [2, 3", [[1], [2]]),
        (list, '[{"a": "b', [{"a": "b"}]),
        (Address, '{"street": "Ma', {"street": "Ma"}),
        (dict[str, int], '{"a": 1, "b": "x', {"a": 1, "b": "x"}),
        (Any, '[1, "x', [1, "x"]),
        (Page[Dog], '{"items": [{"name": "Re', {"items": [{"name": "Re"}]}),
        (Node, '{"name": "a", "children": [{"name": "b', {"name": "a", "children": [{"name": "b"}]}),
        (Tags, '["a", "b', ["a", "b"]),
        (Cat | Dog, '{"kind": "dog", "name": "x', {"kind": "dog", "name": "x"}),
        (Cat | list[int], "[1, 2", [1]),
        (Cat | None, '{"kind": "cat", "name": "Mia', {"kind": "cat", "name": "Mia"}),
        ({"type": "object"}, '[1] {"a": [1, {"b": "c', {"a": [1, {"b": "c"}]}),
        ({"type": "array"}, '{"a": 1}', None),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"type": "object"}}}, '[1] {"a": "b', {"a": "b"}),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}, "[1, ", [1]),
        ({"type": ["array", "object"]}, "[1, ", [1]),
        (str, '{"a": 1}', None),
        (int, "[5]", None),
        (Colour, '"red"', None),
        (Literal["a", "b"], '["a"]', None),
    ],
    ids=str,
)
def test_other_types_fill_up_too(kind, text, expected):
    """Lists by their elements, dictionaries and JSON Schemas as plain data, scalars not before their end."""
    assert last(kind, text) == expected


def test_dataclasses_are_made_without_being_initialised():
    """Those of pydantic with their aliases; what is not there yet is `None`."""
    box = stream(Box, '{"corner": {"x": 200, "y"')[-1]
    assert isinstance(box, Box)
    assert (box.corner.x, box.corner.y, box.label) == (200, None, None)
    assert stream(Box, '{"Label": "a b')[-1].label == "a b"


def test_a_dataclass_whose_annotations_cannot_be_resolved_has_empty_fields():
    """As nothing says what they are; the target itself is judged by pydantic, which saw where it was made."""

    class Inner(BaseModel):
        name: str

    @dataclasses.dataclass
    class Outer:
        inner: Inner

    target: Target[Any] = Target(name="x", schema=b'{"type": "object"}', kind=Outer, adapter=Target.of(Box).adapter)
    outer = Partials(target).feed('{"inner": {"name": "a"')
    assert (type(outer), outer.inner) == (Outer, None)


def test_a_part_that_only_its_whole_can_read_stays_empty():
    """Such as one that the configuration of a model lets pass."""

    class Odd:
        pass

    class Holder(BaseModel):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        odd: Annotated[Odd | None, Field(json_schema_extra={})] = None
        name: str = ""

    target: Target[Any] = Target(name="x", schema=b'{"type": "object"}', kind=Holder, adapter=Target.of(Box).adapter)
    assert plain(Partials(target).feed('{"odd": 1, "name": "a')) == {"name": "a"}


def test_a_validator_that_fails_leaves_its_field_empty():
    """Whatever it raises."""

    def fail(value: int) -> int:
        raise ZeroDivisionError

    class Broken(BaseModel):
        size: Annotated[int, AfterValidator(fail)]
        name: str

    assert last(Broken, '{"size": 1, "name": "a') == {"name": "a"}


def test_what_says_nothing_new_is_not_given():
    """White space, half a number, and what follows the end."""
    partials = Partials(Target.of(Booking))
    given = [partials.feed(piece) for piece in ['{"title": "a"', "  ", ', "numberOfGuests": 1', "2", "}", "}", " more"]]
    assert [each is not None for each in given] == [True, False, False, False, True, False, False]


def test_a_partial_does_not_change_later():
    """Each is a value of its own, also as plain data."""
    for kind in (Node, {"type": "object"}):
        partials = Partials(Target.of(kind))
        first = partials.feed('{"name": "a", "children": [{"name": "b"}, {"name": "c')
        copy = json.loads(json.dumps(plain(first)))
        partials.feed('d", "children": [{"name": "e"}]}], "more": 1}')
        assert plain(first) == copy


def test_a_dataclass_that_cannot_be_compared_yet_is_given():
    """Its own comparison may need what is not there."""

    @dataclasses.dataclass(eq=False)
    class Sized:
        size: int
        name: str

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Sized) and self.size + 1 == other.size + 1

        __hash__ = None

    partials = Partials(Target.of(Sized))
    assert [partials.feed(piece).name for piece in ('{"name": "a', "b")] == ["a", "ab"]


def test_partial_models_are_made_once():
    """For each model of a target."""
    target = Target.of(Node)
    one, other = (Partials(target).feed('{"children": [{"name": "a') for _ in range(2))
    assert one is not None
    assert other is not None
    assert type(one) is type(other) is type(one.children[0])


def test_depth_is_no_obstacle():
    """What is too deep to be looked at is not given."""
    partials = Partials(Target.of(Node))
    assert partials.feed('{"name": "a", "children": [' * 50_000) is not None
    assert Partials(Target.of({"type": "array"})).feed("[" * 100_000) is not None


def test_a_stack_that_is_nearly_full_is_no_obstacle():
    """What cannot be looked at from there is not given, and may be later."""
    partials = Partials(Target.of({"type": "array"}))

    def deeper(frames: int) -> Any:
        return deeper(frames - 1) if frames else partials.feed("[" * 150)

    assert deeper(sys.getrecursionlimit() - len(inspect.stack()) - 100) is None
    assert partials.feed("[") is not None


NODES = st.recursive(
    st.builds(lambda name: {"name": name}, st.text(max_size=4)),
    lambda inner: st.builds(
        lambda name, children: {"name": name, "children": children}, st.text(max_size=4), st.lists(inner, max_size=3)
    ),
    max_leaves=6,
)


@given(NODES, st.integers(1, 7))
def test_each_partial_is_extended_by_the_next_and_by_the_answer(node, size):
    """Of a type, as of plain data; the last one holds all of it."""
    for kind in (Node, {"type": "object"}):
        partials = [plain(each) for each in stream(kind, json.dumps(node), size)]
        assert all(extends(later, earlier) for earlier, later in zip(partials, [*partials[1:], node], strict=True))
        assert partials[-1] == node


TARGETS = [Target.of(kind) for kind in (Node, Booking, list[int], {"type": "object"})]


@given(st.text(alphabet='{}[]",:\\ namechildr12', max_size=60))
def test_no_text_makes_it_fail(text):
    """Any text gives partials or none."""
    for target in TARGETS:
        partials = Partials(target)
        for at in range(0, len(text), 3):
            partial = partials.feed(text[at : at + 3])
            assert partial is None or type(partial).__name__ in ("PartialNode", "PartialBooking", "list", "dict")


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        (Node, {"name": "word " * 20_000}),
        (list[Node], [{"name": "x", "children": [{"name": "y"}]} for _ in range(2_200)]),
        ({"type": "array"}, [{"name": "x", "children": [{"name": "y"}]} for _ in range(2_200)]),
    ],
    ids=["a string", "models", "plain data"],
)
def test_a_long_answer_in_small_pieces_costs_little_more(kind, document):
    """100 KB in pieces of 4 characters: what is complete is read once."""
    text = json.dumps(document)
    pieces = [text[at : at + 4] for at in range(0, len(text), 4)]
    partials, latest = Partials(Target.of(kind)), None
    started = time.process_time()
    for piece in pieces:
        latest = partials.feed(piece) or latest
    assert time.process_time() - started < 3
    assert plain(latest) == document
