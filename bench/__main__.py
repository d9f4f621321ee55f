"""`python -m bench`: measure, print, keep; `make bench` is the same."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from bench import plot, report, results
from bench.processes import ROOT
from bench.rows import SLOW, all_rows
from bench.run import Run

_RESULTS = ROOT / "bench" / "results"
_QUICK_ROWS = "small,stream"
_QUICK_SUBJECTS = ("floor", "fairlead")
_WIDTH = 150


def main() -> int:
    """1 where a subject answered with errors."""
    options = _options()
    console = Console() if sys.stdout.isatty() else Console(width=_WIDTH)
    if options.report is not None:
        found = results.load(options.report)
        report.show(found, console)
    else:
        found = _measure(options)
        report.show(found, console)
        if not options.quick and not options.no_save:
            _keep(found, console)
    return 1 if any(window.errors for window in found.windows) else 0


def _measure(options: argparse.Namespace) -> results.Results:
    wanted = [row for row in all_rows() if options.rows is None or row.name in options.rows.split(",")]
    named = options.subject
    if named is None and options.no_peers:
        named = [name for row in wanted for name in row.starts if name not in SLOW]

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    run = Run(subjects=named, rounds=options.rounds, latency=not options.no_latency, say=say)
    return run.measure(wanted)


def _keep(found: results.Results, console: Console) -> None:
    path = _RESULTS / f"{found.taken_at[:10]}.json"
    results.save(found, path)
    path.with_suffix(".md").write_text(report.markdown(found))
    path.with_suffix(".svg").write_text(plot.draw(found))
    console.print(f"kept in {path.relative_to(ROOT)}, .md and .svg")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure Fairlead beside a bare relay.")
    parser.add_argument("--quick", action="store_true", help="floor and Fairlead only, rows small and stream")
    parser.add_argument("--rows", help="of small,stream,tls,large; default: all")
    parser.add_argument("--subject", action="append", help="a name as in the table; may be repeated; default: all")
    parser.add_argument("--rounds", type=int, help="instead of each row's own number")
    parser.add_argument("--no-peers", action="store_true", help="without LiteLLM and Portkey")
    parser.add_argument("--no-latency", action="store_true", help="CPU and requests a second only")
    parser.add_argument("--no-save", action="store_true", help="print only")
    parser.add_argument("--report", type=Path, metavar="FILE", help="print a run that was kept, and measure nothing")
    options = parser.parse_args()
    if options.quick:
        options.rows = options.rows or _QUICK_ROWS
        options.subject = options.subject or list(_QUICK_SUBJECTS)
        options.no_latency = True
    return options


if __name__ == "__main__":
    sys.exit(main())
