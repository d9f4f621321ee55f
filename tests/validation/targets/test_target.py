"""Types and JSON Schemas that answers are made into."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import enum
import json
import re
import subprocess
import sys
import typing
import uuid
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NotRequired, Optional, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)
from typing_extensions import TypedDict

from fairlead.errors import InvalidRequest
from fairlead.validation.targets.target import MAX_HELD, MAX_NAME, Target, Targets

Item = TypeVar("Item")


class Colour(enum.Enum):
    """An enum of strings."""

    RED = "red"
    BLUE = "blue"


class Cat(BaseModel):
    """One member of a union."""

    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    """The other one."""

    kind: Literal["dog"]
    name: str


class Booking(BaseModel):
    """Something of everything."""

    model_config = ConfigDict(strict=True)

    guests: int = Field(alias="numberOfGuests", gt=0)
    at: dt.time
    price: Decimal
    ref: uuid.UUID
    colour: Colour
    pet: Cat | Dog | None = Field(None, discriminator="kind")
    tags: list[str] = Field(default_factory=lambda: ["new"])
    note: str = Field("", validation_alias=AliasChoices("remark", "note"))


class Page(BaseModel, Generic[Item]):
    """A generic model."""

    items: list[Item]


class Node(BaseModel):
    """A model that holds itself."""

    name: str
    children: list[Node] = []


class Checked(BaseModel):
    """A model whose validators are an application's."""

    size: int

    @field_validator("size")
    @classmethod
    def _check(cls, value: int, info: ValidationInfo) -> int:
        if value == 1:
            raise ValueError("must not be 1, as that is taken")
        if value == 2:
            raise KeyError("a secret of the application")
        if value == 3:
            raise RecursionError
        if value == 4:
            raise AssertionError("four is out of the question")
        return value * (info.context or {}).get("factor", 1)


class Address(TypedDict):
    """A dictionary with fields."""

    street: str
    city: NotRequired[str]


class OldAddress(typing.TypedDict, total=False):
    """One of the standard library."""

    street: typing.Required[str]
    inner: list[OldInner]
    either: OldInner | None
    maybe: Optional[Annotated[OldInner, "a note"]]  # noqa: UP045 - the older spelling


class OldInner(typing.TypedDict):
    """One inside another."""

    zip: int


class Endless(typing.TypedDict):
    """One that holds itself."""

    inner: Endless | None


@dataclasses.dataclass
class Point:
    """A dataclass."""

    x: int
    y: int = 0


@dataclasses.dataclass
class Line:
    """A dataclass of dataclasses."""

    start: Point
    points: list[Point]


REF = "c56a4180-65aa-42ec-a945-5fd21dec0538"
BOOKING = {"numberOfGuests": 2, "at": "14:30:00", "price": "12.50", "ref": REF, "colour": "red"}


def errors_of(kind: Any, value: Any) -> list[tuple[str, str, str]]:
    """What is wrong, as path, kind and message."""
    return [(error.path, error.kind, error.message) for error in Target.of(kind).judge(value)[1]]


def test_a_model_is_made_from_plain_data():
    """Aliases name the properties, strings become what the fields are, also in a strict model, defaults fill the rest."""
    booking, errors = Target.of(Booking).judge(BOOKING)
    assert errors == ()
    assert booking == Booking(
        numberOfGuests=2, at=dt.time(14, 30), price=Decimal("12.50"), ref=uuid.UUID(REF), colour=Colour.RED
    )
    assert booking is not None
    assert (booking.tags, booking.note) == (["new"], "")


def test_the_schema_is_that_of_what_is_read():
    """It names aliases, and requires what has no default."""
    schema = json.loads(Target.of(Booking).schema)
    assert set(schema["properties"]) == {"numberOfGuests", "at", "price", "ref", "colour", "pet", "tags", "remark"}
    assert set(schema["required"]) == {"numberOfGuests", "at", "price", "ref", "colour"}


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (Address, {"street": "a"}, {"street": "a"}),
        (OldAddress, {"street": "a", "inner": [{"zip": 1}]}, {"street": "a", "inner": [{"zip": 1}]}),
        (list[OldInner], [{"zip": "1"}], [{"zip": 1}]),
        (dict[str, OldInner], {"a": {"zip": 1}}, {"a": {"zip": 1}}),
        (Point, {"x": 1}, Point(1)),
        (Line, {"start": {"x": 1}, "points": [{"x": 2, "y": 3}]}, Line(Point(1), [Point(2, 3)])),
        (Colour, "blue", Colour.BLUE),
        (list[Point], [{"x": 1}], [Point(1)]),
        (list[Colour], ["red"], [Colour.RED]),
        (dict[int, str], {"1": "a"}, {1: "a"}),
        (tuple[int, str], [1, "a"], (1, "a")),
        (set[int], [1, 1], {1}),
        (Literal["a", "b"], "a", "a"),
        (int | None, None, None),
        (None, None, None),
        (Cat | Dog, {"kind": "dog", "name": "Rex"}, Dog(kind="dog", name="Rex")),
        (Annotated[int, Field(gt=3)], 4, 4),
        (Page[Cat], {"items": [{"kind": "cat", "lives": 9}]}, Page[Cat](items=[Cat(kind="cat", lives=9)])),
        (Node, {"name": "a", "children": [{"name": "b"}]}, Node(name="a", children=[Node(name="b")])),
        (dt.date, "2026-01-31", dt.date(2026, 1, 31)),
        (dt.timedelta, "PT90S", dt.timedelta(seconds=90)),
        (bytes, "abc", b"abc"),
        (Any, {"a": [1]}, {"a": [1]}),
        ({"type": "string"}, 5, 5),
    ],
    ids=str,
)
def test_values_become_what_the_type_says(kind, value, expected):
    """Models, dictionaries, dataclasses, enums, containers, unions, scalars; a JSON Schema leaves plain data as it is."""
    made, errors = Target.of(kind).judge(value)
    assert errors == ()
    assert (made, type(made)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Booking, "Booking"),
        (Page[Cat], "Page_Cat"),
        (list[Cat], "list_Cat"),
        (Cat | Dog, "Cat_Dog"),
        (Optional[Cat], "Cat"),  # noqa: UP045 - the older spelling
        (Annotated[Cat, "a note"], "Cat"),
        (tuple[int, ...], "tuple_int"),
        (Literal["a b", 1], "Literal_a_b_1"),
        (None, "None"),
        ({"title": "A fine schema!"}, "A_fine_schema"),
        ({"title": "ä" * 10}, "answer"),
        ({"title": 5}, "answer"),
        ({}, "answer"),
        ({"title": "x" * 100}, "x" * MAX_NAME),
    ],
    ids=str,
)
def test_a_target_has_a_name_that_providers_take(kind, name):
    """Made of the type's own, or of the schema's title."""
    assert Target.of(kind).name == name


@given(st.text(max_size=100))
def test_every_title_becomes_a_name(title):
    """Whatever it holds."""
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", Target.of({"title": title}).name)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (Booking, {**BOOKING, "numberOfGuests": 0}, [("/numberOfGuests", "exclusiveMinimum", "should be greater than 0; it is 0")]),
        (Booking, {**BOOKING, "colour": "pink"}, [("/colour", "enum", "should be 'red' or 'blue'; it is \"pink\"")]),
        (Booking, {**BOOKING, "tags": ["a", 1]}, [("/tags/1", "type", "should be a valid string; it is 1")]),
        (Booking, {**BOOKING, "tags": {}}, [("/tags", "type", "should be a list; it is an object")]),
        (Booking, {**BOOKING, "pet": {"kind": "dog"}}, [("/pet/name", "required", "is required, and missing")]),
        (Cat, [], [("", "type", "should be an object; it is a list")]),
        (Point, {}, [("/x", "required", "is required, and missing")]),
        (dict[str, int], {"a/b~c": "x"}, [("/a~1b~0c", "type", 'should be a valid integer, unable to parse string as an integer; it is "x"')]),
        (Checked, {"size": 1}, [("/size", "validator", "must not be 1, as that is taken")]),
        (Checked, {"size": 4}, [("/size", "validator", "four is out of the question")]),
        (Checked, {"size": 2}, [("", "validator", "could not be checked: a validator of it failed with KeyError")]),
        (Checked, {"size": 3}, [("", "validator", "is nested too deeply to be checked")]),
        (str, "\ud800", [("", "schema", "holds half of a surrogate pair, or is nested too deeply to be checked")]),
        (int, float("nan"), [("", "schema", "should be a finite number; it is NaN")]),
        (int, b"x", [("", "type", "should be a valid integer, unable to parse string as an integer; it is no plain data")]),
    ],
    ids=str,
)  # fmt: skip
def test_errors_say_where_and_what(kind, value, expected):
    """As JSON Pointers into the value, in plain words, with nothing of the application but its own messages."""
    assert errors_of(kind, value) == expected


def test_what_is_missing_inside_what_is_missing_is_named_in_full():
    """Where an alias leads to an element of a list."""

    class Inner(BaseModel):
        first: int = Field(validation_alias=AliasPath("values", 0))

    class Outer(BaseModel):
        inner: Inner

    assert [path for path, *_ in errors_of(Outer, {"inner": {}})] == ["/inner/values/0"]


def test_an_error_that_cannot_be_told_is_an_error_all_the_same():
    """An application's exception may not even have a message."""

    class MuteError(ValueError):
        def __str__(self) -> str:
            raise ZeroDivisionError

    def fail(value: int) -> int:
        raise MuteError

    [(path, kind, _)] = errors_of(Annotated[int, AfterValidator(fail)], 1)
    assert (path, kind) == ("", "validator")


def test_each_member_of_a_union_complains_at_its_place():
    """The names of members are no part of the path."""
    assert [path for path, *_ in errors_of(dict[str, int | list[int]], {"a": ["x"]})] == ["/a", "/a/0"]


def test_errors_are_bounded():
    """A long input is clipped, and a thousand wrong elements make fifty errors."""
    errors = errors_of(list[int], ["x" * 10_000] * 1_000)
    assert len(errors) == 50
    assert max(len(message) for *_, message in errors) < 200


def test_a_value_nested_too_deeply_is_refused():
    """And does not exhaust the stack."""
    value: dict[str, Any] = {"name": "a"}
    for _ in range(5_000):
        value = {"name": "a", "children": [value]}
    assert errors_of(Node, value) == [("", "validator", "is nested too deeply to be checked")]


def test_validators_find_the_context():
    """What the caller hands over stands in `info.context`."""
    made, _ = Target.of(Checked).judge({"size": 5}, {"factor": 2})
    assert made == Checked(size=10)


def test_an_instance_is_taken_as_it_is():
    """What an application gives in place of an answer may be of the type already."""
    cat = Cat(kind="cat", lives=9)
    assert Target.of(Cat).judge(cat) == (cat, ())


def test_aliases_count_where_the_configuration_prefers_names():
    """As the schema names them."""

    class ByName(BaseModel):
        model_config = ConfigDict(validate_by_alias=False, validate_by_name=True)
        size: int = Field(alias="SIZE")

    made, errors = Target.of(ByName).judge({"SIZE": 1})
    assert (made.size if made else None, errors) == (1, ())


def test_bytes_are_read_as_their_type_encodes_them():
    """Base64, where the configuration says so."""

    class Blob(BaseModel):
        model_config = ConfigDict(val_json_bytes="base64")
        data: bytes

    made, _ = Target.of(Blob).judge({"data": base64.b64encode(b"\x00\xff").decode()})
    assert made == Blob(data=b"\x00\xff")


def test_a_default_that_is_not_json_is_left_out_of_the_schema():
    """Without a warning; the property is optional all the same."""

    class Odd(BaseModel):
        value: Any = object()

    assert "required" not in json.loads(Target.of(Odd).schema)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (5, "`a value of int`.*no type that pydantic reads.*a JSON Schema as a dict"),
        ("Unheard", "`Unheard`.*not defined"),
        (list["Unheard"], "`list_Unheard`.*not defined"),  # type: ignore[name-defined]  # noqa: F821
        (re.Match, "no type that pydantic reads"),
        (typing.Callable[[int], int], "has no JSON Schema"),
        ({"enum": {1, 2}}, "holds something that JSON cannot"),
        ({"const": float("nan")}, "holds something that JSON cannot"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_for_is_refused(kind, words):
    """The error says why, and what can be passed instead."""
    with pytest.raises(InvalidRequest, match=words):
        Target.of(kind)


def test_an_endless_typed_dict_is_no_loop():
    """It is read where this Python's pydantic can; else the remedy names the one that works."""
    try:
        read: Any = Target.of(Endless).judge({"inner": {"inner": None}})[0]
    except InvalidRequest as refused:
        read = refused.message.replace("typing_extensions", "").count("typing.TypedDict") and {"inner": {"inner": None}}
    assert read == {"inner": {"inner": None}}


def test_a_type_whose_hooks_fail_is_refused():
    """Whatever they raise; the cause is kept for the application."""

    class Broken:
        @classmethod
        def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
            raise ZeroDivisionError

    with pytest.raises(InvalidRequest, match="ZeroDivisionError") as caught:
        Target.of(Broken)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_target_is_made_once():
    """For a type, and for a schema that says the same."""
    targets = Targets()
    assert targets.of(Booking) is targets.of(Booking)
    assert targets.of(list[Cat]) is targets.of(list[Cat])
    assert targets.of({"type": "string"}) is targets.of({"type": "string"})
    assert targets.of({"type": "string"}) is not targets.of({"type": "integer"})
    assert targets.of(Booking) is not Targets().of(Booking)


def test_a_type_without_a_hash_is_no_obstacle():
    """It is made each time."""
    kind = Annotated[int, ["a list has no hash"]]
    assert Targets().of(kind).judge(5) == (5, ())


def test_the_oldest_target_is_let_go():
    """Schemas that are made on the fly do not pile up."""
    targets = Targets()
    first = targets.of({"title": "first"})
    for number in range(MAX_HELD - 1):
        targets.of({"title": str(number)})
    assert targets.of({"title": "first"}) is first
    targets.of({"title": "one more"})
    assert targets.of({"title": "first"}) is not first


def test_pydantic_is_loaded_for_a_type_alone():
    """The module and targets of a JSON Schema do without."""
    code = (
        "import sys; from fairlead.validation.targets.target import Target; Target.of({'type': 'string'}).judge('a'); "
        "print('pydantic' in sys.modules); Target.of(int); print('pydantic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout.split() == ["False", "True"]
