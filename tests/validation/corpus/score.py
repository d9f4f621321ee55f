"""How many cases a contestant reads right, refuses although they can be known, or takes a wrong value for.

    python -m tests.validation.corpus.score [--wrong] [--refused] [--category NAME] FOLDER...

Prints Fairlead's score by category, and the cases that it does not read right if asked to.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.validation.corpus.cases import Case, read, same
from tests.validation.corpus.contestants import Contestant, Refused, fairlead


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What became of a number of cases."""

    cases: int
    knowable: int
    uncertain: int
    right: int
    refused: int
    """Cases without a value that have one."""
    wrong: int
    """Cases with a value that is not theirs."""

    @property
    def right_part(self) -> float:
        """Of all cases."""
        return self.right / self.cases

    @property
    def refused_part(self) -> float:
        """Of the cases that have a value."""
        return self.refused / self.knowable if self.knowable else 0.0

    @property
    def wrong_part(self) -> float:
        """Of the uncertain cases."""
        return self.wrong / self.uncertain if self.uncertain else float(self.wrong > 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one case: `right`, `refused` or `wrong`."""

    case: Case
    result: str
    value: Any = Refused


def outcomes(contestant: Contestant, cases: Iterable[Case]) -> list[Outcome]:
    """Each case read."""
    return [outcome(case, contestant(case)) for case in cases]


def outcome(case: Case, value: Any) -> Outcome:
    """One value held against what it should be."""
    if value is Refused:
        return Outcome(case=case, result="refused" if case.knowable else "right")
    fits = case.knowable and same(value, case.expected)
    return Outcome(case=case, result="right" if fits else "wrong", value=value)


def score(told: Iterable[Outcome]) -> Score:
    """All of them counted."""
    told = list(told)
    results = Counter(one.result for one in told)
    uncertain = sum(one.case.uncertain for one in told)
    knowable = sum(one.case.knowable for one in told)
    counts = {result: results[result] for result in ("right", "refused", "wrong")}
    return Score(cases=len(told), knowable=knowable, uncertain=uncertain, **counts)


def by_category(told: Iterable[Outcome]) -> dict[str, Score]:
    """The scores of each category, in the order of their names."""
    told = list(told)
    names = sorted({one.case.category for one in told})
    return {name: score(one for one in told if one.case.category == name) for name in names}


def main() -> None:
    """Prints what the module says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--wrong", action="store_true", help="print the cases for which a wrong value is taken")
    parser.add_argument(
        "--refused", action="store_true", help="print the cases that are refused although they can be known"
    )
    parser.add_argument("--category")
    args = parser.parse_args()
    cases = [case for folder in args.folders for case in read(folder)]
    told = [one for one in outcomes(fairlead(), cases) if args.category in (None, one.case.category)]
    for name, part in {**by_category(told), "all": score(told)}.items():
        print(f"{name:18} {part.cases:5} right {part.right_part:7.2%} refused {part.refused:3} wrong {part.wrong:3}")
    for one in told:
        if (one.result == "wrong" and args.wrong) or (one.result == "refused" and args.refused):
            print(one.result, one.case.id, one.case.schema_name, repr(one.case.text[:300]))
            print("   expected", json.dumps(one.case.expected) if one.case.knowable else "that nobody knows")
            print("   got", "nothing" if one.value is Refused else json.dumps(one.value)[:300])


if __name__ == "__main__":
    main()
