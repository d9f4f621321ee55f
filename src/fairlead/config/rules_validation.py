"""What a model's `validation` must keep beyond types."""

from __future__ import annotations

from collections.abc import Iterator

from fairlead.config.lines import KeyPath
from fairlead.config.problem import Problem, suggestion, written
from fairlead.config.schema import Config, Model, Validation
from fairlead.validation.fields.locales import Habits, habits
from fairlead.validation.fields.unclear import Unclear
from fairlead.verdict import RUNGS, Rung

_ANY = "*"
"""The entry for every name that no other has."""


def validation_faults(config: Config, name: str, model: Model, validation: Validation) -> Iterator[Problem]:
    """Every rule that the `validation` of the model of this name breaks."""
    place: KeyPath = ("models", name, "validation")
    here = written(place)
    yield from _last_rungs(place, validation)
    if validation.escalate is not None:
        for message in _escalate_faults(config, name, model, validation.escalate):
            yield Problem((*place, "escalate"), f"`{here}.escalate`{message}")
    if not _is_json(validation.fallback):
        yield Problem(
            (*place, "fallback"), f"`{here}.fallback` holds what JSON has no form for; write dates and times as strings"
        )
    if validation.locale is not None and not _is_known(validation.locale):
        yield Problem(
            (*place, "locale"),
            f"`{here}.locale`: {validation.locale!r} is no locale that is known; "
            "write a language and a region, as in `en-US`",
        )


def _last_rungs(place: KeyPath, validation: Validation) -> Iterator[Problem]:
    """Whoever names a model to escalate to, or a value, means them to be reached."""
    here, up_to = written(place), validation.up_to
    if up_to == "escalate" and validation.escalate is None:
        yield Problem((*place, "up_to"), f'`{here}.up_to = "escalate"` needs `escalate`, the model to ask')
    if up_to == "fallback" and validation.fallback is None:
        yield Problem((*place, "up_to"), f'`{here}.up_to = "fallback"` needs `fallback`, the value to answer with')
    named: dict[Rung, object] = {"escalate": validation.escalate, "fallback": validation.fallback}
    for rung, value in named.items():
        if value is not None and RUNGS.index(up_to) < RUNGS.index(rung):
            yield Problem(
                (*place, rung),
                f'`{here}.{rung}` is never reached with `up_to = "{up_to}"`; set `up_to = "{rung}"`, or remove it',
            )


def _escalate_faults(config: Config, name: str, model: Model, other: str) -> Iterator[str]:
    known = {each: entry for each, entry in config.models.items() if each not in (_ANY, name)}
    if other == _ANY:
        yield f" is `{_ANY}`, which is every name and no model; name one of `[models]`, or remove it"
    elif other == name:
        yield " is the model itself, which `attempts` asks again; name a stronger one, or remove it"
    elif other not in known:
        yield f": no model {other!r}; {suggestion(other, known)}"
    elif config.gateway.auth == "passthrough" and not known[other].providers <= model.providers:
        yield (
            ': with `auth = "passthrough"` the caller\'s key must not go to a second provider; '
            "name a model of the same provider, or remove it"
        )


def _is_known(locale: str) -> bool:
    """Whether anything can be read by it."""
    try:
        return habits(locale) != Habits()
    except Unclear:
        return False


def _is_json(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(_is_json, value.values()))
    if isinstance(value, list):
        return all(map(_is_json, value))
    return value is None or isinstance(value, str | int | float | bool)
