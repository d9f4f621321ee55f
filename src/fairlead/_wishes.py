"""What a caller may say of an extraction; what cannot be meant is told before anything is sent."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, Literal, get_args, get_origin

import msgspec

from fairlead.call import Held
from fairlead.core.money import parse_usd
from fairlead.errors import InvalidRequest
from fairlead.validation.fields.locales import Habits, habits
from fairlead.validation.fields.unclear import Unclear

if TYPE_CHECKING:
    from fairlead.config.build import Runtime
    from fairlead.config.schema import Validation

AskingNobody = Literal["parse", "extract", "repair", "coerce"]
"""How far what a model wrote is brought towards its schema without asking again."""
UpTo = Literal["parse", "extract", "repair", "coerce", "reask", "escalate"]
"""How far at all."""
NO_FALLBACK: Final = object()
"""Stands for a fallback that is not given: `None` is one."""

OPTIONS: Final = frozenset(
    {
        "context",
        "escalate",
        "fallback",
        "locale",
        "max_reask_tokens",
        "max_reask_usd",
        "min_confidence",
        "priority",
        "reasks",
        "repair_cut",
        "session",
        "tags",
        "timeout_s",
        "up_to",
    }
)
_OF_REASKS: Final = ("reasks", "max_reask_tokens", "max_reask_usd", "escalate")
_TAKEN: Final = frozenset({"response_format", "stream", "n"})
_OF_PROVIDERS: Final = frozenset({"session_id"})
"""Parameters of chat requests whose names are near to those of options."""
_NEAR: Final = 0.8
"""How alike two names are of which one is the other misspelt, as `difflib` counts."""
_NANO_USD: Final = Decimal(1).scaleb(-9)


def check_parameters(parameters: Collection[str], *, is_stream: bool) -> None:
    """What goes into the request.

    Raises:
        InvalidRequest: it says again what the answer is to be, or is an option that is misspelt or has no place here.
    """
    for name in sorted(parameters):
        if name in _TAKEN:
            raise InvalidRequest(f"`{name}=` has no place in an extraction: the type says what the answer is to be")
        if is_stream and name in _OF_REASKS:
            raise InvalidRequest(
                f"`{name}=` has no place in a stream: what has been shown cannot be asked for again; use `extract`"
            )
        near = get_close_matches(name, OPTIONS, n=1, cutoff=_NEAR)
        if near and name not in _OF_PROVIDERS:
            raise InvalidRequest(f"`{name}=` is no option; did you mean `{near[0]}=`?")


def check_fallback(fallback: Any) -> None:
    """What stands in where there is no value.

    Raises:
        InvalidRequest: a function that takes something else than nothing or the error.
    """
    if is_asked(fallback) and not _takes(fallback) and not takes_error(fallback):
        raise InvalidRequest(
            "`fallback=` is a value, or a function that takes nothing or the error; this one takes more"
        )


def is_asked(fallback: Any) -> bool:
    """Whether it makes the value; a class is a value itself, and so is what stands for a type."""
    return callable(fallback) and not isinstance(fallback, type) and get_origin(fallback) is None


def takes_error(fallback: Any) -> bool:
    """Whether it wants to know what went wrong; who does not say what it takes is told nothing."""
    return _takes(fallback, None)


def _takes(fallback: Any, *arguments: Any) -> bool:
    try:
        inspect.signature(fallback).bind(*arguments)
    except TypeError:
        return False
    except ValueError:
        return not arguments
    return True


def held_to(
    *,
    context: Any,
    up_to: UpTo | None,
    locale: str | None,
    min_confidence: float | None,
    repair_cut: bool | None,
    reasks: int | None = None,
    max_reask_tokens: int | None = None,
    max_reask_usd: float | None = None,
    escalate: str | None = None,
) -> Held:
    """How far a call is to go, as its caller says it.

    Raises:
        InvalidRequest: something that cannot be meant.
    """
    if not isinstance(repair_cut, bool | None):
        raise InvalidRequest("`repair_cut=` is True or False")
    return Held(
        up_to=_rung(up_to, escalate),
        attempts=_count("reasks", reasks),
        max_tokens=_count("max_reask_tokens", max_reask_tokens),
        max_nanousd=None if max_reask_usd is None else _nanousd(max_reask_usd),
        locale=_locale(locale, context),
        is_cut_repaired=repair_cut,
        escalate=escalate,
        min_confidence=None if min_confidence is None else _share(min_confidence),
    )


def held_to_shown(
    *,
    context: Any,
    up_to: AskingNobody | None,
    locale: str | None,
    min_confidence: float | None,
    repair_cut: bool | None,
) -> Held:
    """The same for a stream, of which all is shown.

    Raises:
        InvalidRequest: something that cannot be meant, or means to ask again.
    """
    if up_to in ("reask", "escalate"):
        raise InvalidRequest(
            f"`up_to={up_to!r}` has no place in a stream: what has been shown cannot be asked for again; use `extract`, "
            "or `coerce` at most"
        )
    held = held_to(context=context, up_to=up_to, locale=locale, min_confidence=min_confidence, repair_cut=repair_cut)
    return msgspec.structs.replace(held, is_shown=True)


def settled(held: Held, model: str, configured: Validation | None, runtime: Runtime) -> Held:
    """The same beside what is configured.

    Args:
        configured: what the configuration says of that model; `None`: nothing, or it is elsewhere.

    Raises:
        InvalidRequest: there is no such model to ask at last.
    """
    name, further = held.escalate, "escalate" if configured is None else configured.up_to
    if name is None and held.up_to == "escalate" and (configured is None or configured.escalate is None):
        raise InvalidRequest('`up_to="escalate"` needs `escalate=`, the model to ask where asking again fails')
    if name is None:
        return held
    if name == model:
        raise InvalidRequest(f"`escalate=` is another model than the one that is asked first, and not {name!r} again")
    if not (runtime.is_remote or name in runtime.aliases or (runtime.takes_any and name != "*")):
        raise InvalidRequest(f"`escalate=` names no model: {name!r}; {_instead(name, runtime.aliases)}")
    if held.up_to is None and further != "fallback":
        return msgspec.structs.replace(held, up_to="escalate")
    return held


def _instead(name: str, names: Collection[str]) -> str:
    near = get_close_matches(name[:128], names, n=1)
    return f"did you mean {near[0]!r}?" if near else "name a table of `[models]`"


def _rung(up_to: Any, escalate: Any) -> UpTo | None:
    if up_to == "fallback":
        raise InvalidRequest('`up_to="fallback"` is said by `fallback=`, the value that stands in')
    if up_to is not None and up_to not in get_args(UpTo):
        raise InvalidRequest(f"`up_to=` is one of {', '.join(get_args(UpTo))}; {up_to!r:.40} is none of them")
    if escalate is not None and not isinstance(escalate, str):
        raise InvalidRequest("`escalate=` is the name of a model")
    if escalate is not None and up_to not in (None, "escalate"):
        raise InvalidRequest(f"`escalate=` has no effect with `up_to={up_to!r}`; leave one of them out")
    rung: UpTo | None = up_to
    return rung


def _count(name: str, value: Any) -> int | None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
        raise InvalidRequest(f"`{name}=` is a whole number, 0 or more")
    count: int | None = value
    return count


def _nanousd(value: Any) -> int:
    """A bound in dollars; what is finer than we count is rounded down."""
    try:
        amount = Decimal(str(value)) if isinstance(value, int | float | Decimal) else Decimal("nan")
        found = parse_usd(amount.quantize(_NANO_USD, rounding=ROUND_DOWN))
    except (InvalidOperation, ValueError):
        found = -1
    if found < 0 or isinstance(value, bool):
        raise InvalidRequest("`max_reask_usd=` is an amount in dollars, 0 or more, such as `0.05`")
    return found


def _share(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise InvalidRequest("`min_confidence=` is a number from 0 to 1")
    return float(value)


def _locale(locale: Any, context: Any) -> str | None:
    """The caller's own, or that of the validators' context where it is one."""
    if locale is not None:
        if not isinstance(locale, str) or not _is_known(locale):
            raise InvalidRequest(f"`locale={locale!r:.40}` is not known; write a language and a region, as in `en-US`")
        return locale
    found = context.get("locale") if isinstance(context, Mapping) else None
    return found if isinstance(found, str) and _is_known(found) else None


def _is_known(locale: str) -> bool:
    try:
        return habits(locale) != Habits()
    except Unclear:
        return False
