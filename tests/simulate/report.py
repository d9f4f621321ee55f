"""Write the figures of the scenarios into the documentation: `python -m tests.simulate.report [--check]`.

Tables stand between `<!-- simulated: NAME -->` and `<!-- end -->` in docs/explanation/rate-limits.md, the plot beside it.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path

import msgspec
from tests.simulate import storm, trouble

from fairlead.core.pacing import Pacing

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "explanation"
PAGE = FOLDER / "rate-limits.md"
PLOT = FOLDER / "rate-limits-storm.svg"
WAYS: dict[str, Callable[[storm.Scene], storm.Ask]] = {
    "Fairlead": lambda scene: storm.fairlead(scene, Pacing(rpm=storm.RPM, tpm=storm.TPM)),
    "decorator with doubling waits, 5 tries": storm.decorator,
    "OpenAI's SDK on its defaults": storm.sdk,
}
SILENT = msgspec.structs.replace(storm.RATES, headers=False)
_COLOURS = ("#2f6f9f", "#e0a030", "#b04a4a")


def storm_rows() -> list[storm.Figures]:
    """The hour, in each way."""
    return [storm.figures(name, storm.hour(way)) for name, way in WAYS.items()]


def learnt_rows() -> list[storm.Figures]:
    """The pipeline without configured limits, from its third minute on: ten minutes with headers, ten without."""
    return [
        storm.figures(
            name,
            storm.hour(lambda scene: storm.fairlead(scene, Pacing(learn=True)), rates=rates, minutes=10, skip=2),
        )
        for name, rates in (("learnt from headers", storm.RATES), ("learnt from refusals alone", SILENT))
    ]


def storm_table(rows: Sequence[storm.Figures]) -> str:
    """As Markdown."""
    return _table(
        (
            "",
            "answered, of capacity",
            "refused attempts",
            "attempts a call",
            "calls given up",
            "worst tenant, of its share",
            "interactive wait p50",
            "p95",
        ),
        [
            (
                row.name,
                f"{row.goodput:.1%}",
                f"{row.refused_share:.2%}",
                f"{row.attempts_a_call:.2f}",
                f"{row.given_up_share:.1%}",
                f"{row.least_share:.0%}",
                _seconds(row.interactive_p50_s),
                _seconds(row.interactive_p95_s),
            )
            for row in rows
        ],
    )


def trouble_table() -> str:
    """Providers in trouble, as Markdown."""
    lines = [("what happens", "what the provider is asked", "what callers notice"), ("---",) * 3, *trouble.rows()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _seconds(value: float) -> str:
    return "given up" if value == float("inf") else f"{value:.2f} s"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


# --- the plot ---

_WIDTH, _HEIGHT, _LEFT, _TOP, _PLOT = 860, 300, 46, 34, 340
_STYLE = "text{font:13px sans-serif;fill:#333}.head{font-weight:bold}.small{font-size:11px;fill:#777}.axis{stroke:#ddd}"


def plot(rows: Sequence[storm.Figures]) -> str:
    """Answered calls and refused attempts in each minute, as SVG."""
    answered = [row.answered_by_minute for row in rows]
    refused = [row.refused_by_minute for row in rows]
    parts = _panel("calls answered each minute", answered, _LEFT, mark=storm.RPM)
    parts += _panel("attempts refused by the provider each minute", refused, _LEFT + _PLOT + 74)
    for number, row in enumerate(rows):
        x = _LEFT + number * 290
        parts.append(f'<rect x="{x}" y="{_HEIGHT - 20}" width="12" height="12" fill="{_COLOURS[number]}"/>')
        parts.append(f'<text class="small" x="{x + 18}" y="{_HEIGHT - 10}">{escape(row.name)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}">'
        f'<style>{_STYLE}</style><rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _panel(title: str, series: Sequence[Sequence[int]], left: int, mark: int | None = None) -> list[str]:
    bottom = _HEIGHT - 56
    top = max(*(max(each) for each in series), mark or 0) * 1.05
    minutes = len(series[0])

    def y(value: float) -> float:
        return bottom - value / top * (bottom - _TOP)

    parts = [f'<text class="head" x="{left}" y="20">{escape(title)}</text>']
    for value in (0, round(top / 2.1), round(top / 1.05)):
        parts.append(f'<line class="axis" x1="{left}" x2="{left + _PLOT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(f'<text class="small" text-anchor="end" x="{left - 4}" y="{y(value) + 4:.1f}">{value:,}</text>')
    if mark is not None:
        line = f'x1="{left}" x2="{left + _PLOT}" y1="{y(mark):.1f}" y2="{y(mark):.1f}"'
        parts.append(f'<line stroke="#777" stroke-dasharray="4 3" {line}/>')
    for number, each in reversed(list(enumerate(series))):
        points = " ".join(
            f"{left + (minute + 0.5) / minutes * _PLOT:.1f},{y(value):.1f}" for minute, value in enumerate(each)
        )
        parts.append(f'<polyline fill="none" stroke="{_COLOURS[number]}" stroke-width="1.6" points="{points}"/>')
    parts.append(f'<text class="small" x="{left + _PLOT - 70}" y="{bottom + 16}">{minutes} minutes</text>')
    return parts


# --- writing ---


def filled(page: str, name: str, text: str) -> str:
    """The page with this text between its marks."""
    pattern = re.compile(rf"(<!-- simulated: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    if pattern.search(page) is None:
        msg = f"the page has no place for {name!r}"
        raise ValueError(msg)
    return pattern.sub(lambda match: match[1] + "\n" + text + "\n" + match[2], page)


def with_tables(page: str, tables: Mapping[str, str]) -> str:
    """The page with all of these."""
    for name, text in tables.items():
        page = filled(page, name, text)
    return page


def main() -> None:
    """Run the scenarios and write, or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where something would change")
    check = parser.parse_args().check
    rows = storm_rows()
    page = PAGE.read_text(encoding="utf-8")
    learnt = learnt_rows()
    tables = {"storm": storm_table(rows), "learnt": storm_table(learnt), "trouble": trouble_table()}
    wanted = {PAGE: with_tables(page, tables), PLOT: plot(rows)}
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    print("\n".join(tables.values()))
    for path in stale:
        print(f"{path.name} {'is stale' if check else 'is written'}")
        if not check:
            path.write_text(wanted[path], encoding="utf-8")
    sys.exit(1 if check and stale else 0)


if __name__ == "__main__":
    main()
