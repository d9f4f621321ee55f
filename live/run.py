"""A run: vendor after vendor, dialect after dialect, feature after feature, and what became of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import msgspec

from fairlead.dialects import DIALECTS, dialect
from fairlead.dialects.codec import Dialect
from fairlead.errors import (
    BudgetExceeded,
    ConfigError,
    FairleadError,
    QuotaExhausted,
    UpstreamAuth,
    UpstreamTls,
    UpstreamUnreachable,
)
from live.caller import Caller, NoForm
from live.features import FEATURES, Failed, Feature
from live.house import House
from live.subjects import Subject
from live.tape import Taped
from live.wallet import CapReached, Wallet

Status = Literal["passed", "failed", "capped", "skipped"]
_HOPELESS = (ConfigError, QuotaExhausted, UpstreamAuth, UpstreamTls, UpstreamUnreachable)
"""After one of these there is no use in asking the same vendor on."""
_NS_PER_MS = 1_000_000


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one feature with one vendor in one dialect."""

    vendor: str
    model: str
    dialect: str
    feature: str
    status: Status
    why: str | None = None
    """`None` where it passed."""
    calls: int = 0
    cost_nanousd: int | None = 0
    """`None` where nobody knows."""
    duration_ms: int = 0


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """A feature to try."""

    subject: Subject
    spoken: Dialect
    feature: Feature

    @property
    def lacking(self) -> str | None:
        """Why it is not tried; `None` where it is."""
        if self.feature.name in self.subject.models.lacks:
            return "the model does not offer it"
        if self.feature.counts and self.spoken.count_path is None:
            return "the dialect has no count of tokens"
        if self.feature.kind == "embeddings" and self.subject.models.embeddings is None:
            return "no model for embeddings is known"
        return None


def plan(subjects: Sequence[Subject], wanted: Sequence[str] = ()) -> list[Planned]:
    """Everything that there is to try.

    Args:
        wanted: only features of these names; all where it is empty.

    Raises:
        ValueError: one is wanted that does not exist.
    """
    unknown = sorted(set(wanted) - {feature.name for feature in FEATURES})
    if unknown:
        names = ", ".join(feature.name for feature in FEATURES)
        raise ValueError(f"no feature {unknown[0]!r}; there are {names}")
    return [each for subject in subjects for each in _of(subject) if not wanted or each.feature.name in wanted]


async def run(
    house: House,
    wallet: Wallet,
    planned: Sequence[Planned],
    *,
    keep: Callable[[Result, list[Taped]], None],
    done: Callable[[Result], None],
) -> list[Result]:
    """Try all of it; one that goes wrong keeps no other from being tried, unless its vendor cannot be reached.

    Args:
        keep: is given what went over the wire for a feature that was tried.
        done: is told of each result as it comes.
    """
    results: list[Result] = []
    hopeless: dict[str, str] = {}
    for each in planned:
        why = each.lacking or hopeless.get(each.subject.name)
        result = _result(each, "skipped", why) if why is not None else await _try(house, wallet, each, hopeless)
        taped = house.tapes[each.subject.name].take()
        if taped:
            keep(result, taped)
        results.append(result)
        done(result)
    return results


async def _try(house: House, wallet: Wallet, each: Planned, hopeless: dict[str, str]) -> Result:
    caller = Caller(house, wallet, each.subject, each.spoken)
    clock = house.foundation.clock
    began_ns = clock.monotonic_ns()
    status, why = await _judged(each, caller, hopeless)
    return _result(
        each, status, why,
        calls=caller.calls, cost_nanousd=caller.cost_nanousd,
        duration_ms=(clock.monotonic_ns() - began_ns) // _NS_PER_MS,
    )  # fmt: skip


async def _judged(each: Planned, caller: Caller, hopeless: dict[str, str]) -> tuple[Status, str | None]:
    try:
        await each.feature.run(caller)
    except Failed as error:
        return "failed", str(error)
    except (CapReached, BudgetExceeded) as error:
        return "capped", str(error)
    except NoForm as error:
        return "skipped", str(error)
    except FairleadError as error:
        if isinstance(error, _HOPELESS):
            hopeless[each.subject.name] = f"not tried, as {each.feature.name!r} found: {error.message}"
        return "failed", f"{error.code}: {error.message}"
    except Exception as error:
        return "failed", f"Fairlead itself: {type(error).__name__}: {error}"
    return "passed", None


def asked_in(spoken: Dialect) -> Dialect:
    """The dialect that callers use: the vendor's own, else, as not each has a path on the gateway, one of its kind."""
    return (
        spoken if spoken.paths else next(each for each in DIALECTS.values() if each.paths and each.kind == spoken.kind)
    )


def _of(subject: Subject) -> Iterator[Planned]:
    for name in subject.vendor.speaks:
        spoken = asked_in(dialect(name))
        for feature in FEATURES:
            if feature.kind == spoken.kind:
                yield Planned(subject=subject, spoken=spoken, feature=feature)


def _result(each: Planned, status: Status, why: str | None, **rest: int | None) -> Result:
    models = each.subject.models
    model = models.embeddings if each.feature.kind == "embeddings" else models.chat
    return Result(
        vendor=each.subject.name, model=model or "", dialect=each.spoken.name, feature=each.feature.name,
        status=status, why=why, **rest,  # type: ignore[arg-type] # numbers all of them
    )  # fmt: skip
