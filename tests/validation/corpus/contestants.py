"""Who reads the cases, each as its users would have it read them: a value, or `Refused`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, time
from pathlib import Path
from typing import Any

from tests.validation.corpus import typed
from tests.validation.corpus.cases import HERE, Case

INSTRUCTOR = Path(sys.prefix) / "clients" / "instructor" / "bin" / "python"


class RefusedType:
    """That no value was given."""


Refused = RefusedType()
Contestant = Callable[[Case], Any]


def fairlead() -> Contestant:
    """The ladder's four rungs that ask no model."""
    from fairlead.validation.ladder.climb import climb
    from fairlead.validation.ladder.shape import compile_shape

    shape_of = by_schema(compile_shape)

    def reads(case: Case) -> Any:
        verdict = climb(case.text, shape_of(case), cut=case.cut, locale=case.locale)
        return verdict.value if verdict.fits else Refused

    return reads


def json_loads() -> Contestant:
    """`json.loads`, and jsonschema with its checks of formats."""
    return checked(json.loads)


def json_repair() -> Contestant:
    """`json_repair.loads`, and jsonschema with its checks of formats."""
    from json_repair import loads

    return checked(loads)


def pydantic() -> Contestant:
    """`json.loads`, and a pydantic model of the schema in its lax mode."""
    adapter_of = by_schema(lambda schema: typed.Typist(schema).adapter())

    def reads(case: Case) -> Any:
        try:
            return typed.written(adapter_of(case).validate_python(json.loads(case.text)))
        except (ValueError, RecursionError):
            return Refused

    return reads


def instructor(folders: Iterable[Path]) -> Contestant:
    """The JSON mode of instructor, in its own environment."""
    assert INSTRUCTOR.exists(), f"no {INSTRUCTOR}; `make scores` makes it"
    command = [INSTRUCTOR, HERE / "with_instructor.py", *folders]
    told = subprocess.run(command, check=True, capture_output=True, timeout=300)
    values = json.loads(told.stdout)
    return lambda case: values[case.half].get(case.id, Refused)


def checked(loads: Callable[[str], Any]) -> Contestant:
    """What is loaded, if jsonschema finds no fault in it."""
    from jsonschema import Draft202012Validator, FormatChecker

    formats = FormatChecker(("date", "email", "uuid"))
    for name, fits in {"time": is_time, "date-time": is_moment}.items():
        formats.checks(name, ValueError)(fits)
    validator_of = by_schema(lambda schema: Draft202012Validator(schema, format_checker=formats))

    def reads(case: Case) -> Any:
        try:
            value = loads(case.text)
            return value if validator_of(case).is_valid(value) else Refused
        except (ValueError, RecursionError):
            return Refused

    return reads


def is_time(text: Any) -> bool:
    """Whether it is a time as JSON writes it, with seconds; jsonschema has no check of its own."""
    return not isinstance(text, str) or time.fromisoformat(text).isoformat() == text


def is_moment(text: Any) -> bool:
    """Whether it is a moment as RFC 3339 writes it; jsonschema's own check needs another package."""
    return not isinstance(text, str) or ("T" in text and datetime.fromisoformat(text).tzinfo is not None)


def by_schema(make: Callable[[Mapping[str, Any]], Any]) -> Callable[[Case], Any]:
    """Makes one thing for each schema, once."""
    made: dict[tuple[str, str], Any] = {}

    def of(case: Case) -> Any:
        key = (case.half, case.schema_name)
        if key not in made:
            made[key] = make(case.schema)
        return made[key]

    return of
