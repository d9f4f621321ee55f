"""`python -m live`: ask the vendors whose keys are set; `make live` is the same."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from fairlead.core.money import format_usd, parse_usd
from fairlead.providers import facts
from live import report, subjects
from live.cassettes import Cassettes
from live.house import open_house
from live.mask import Masker
from live.run import Planned, Result, plan, run
from live.subjects import Subject
from live.tape import Taped
from live.wallet import Wallet

ROOT = Path(__file__).resolve().parent.parent
CAP_NANOUSD = 500_000_000
"""What a whole run may cost at most."""
_BUILD = ROOT / "build" / "live"
_CHECKED_IN = ROOT / "tests" / "cassettes"
_WIDTH = 160


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """1 where a feature failed, the cap was reached or a cassette could not be masked; without keys 0.

    2 where the options cannot be followed.
    """
    environ = os.environ if environ is None else environ
    options = _options(arguments)
    console = Console() if sys.stdout.isatty() else Console(width=_WIDTH)
    vendors, models = facts.load().vendors, subjects.load()
    try:
        found = subjects.present(vendors, models, environ, options.vendor)
        planned = plan(found, options.feature)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if not found:
        print(f"no key is set; set one of {', '.join(subjects.variables(vendors, models))}", file=sys.stderr)
    cassettes = Cassettes(options.record or _BUILD, Masker(secrets(found, environ)))
    wallet = Wallet(options.cap)
    results = asyncio.run(carry_out(found, planned, environ, wallet, cassettes)) if planned else []
    if options.json:
        sys.stdout.write(report.as_json(results, wallet).decode() + "\n")
    elif found:
        report.show(results, wallet, console)
        console.print(f"cassettes written to {cassettes.folder}: {cassettes.written}", highlight=False)
    for reason in cassettes.refused:
        print(reason, file=sys.stderr)
    return 1 if report.failed(results) or cassettes.refused else 0


async def carry_out(
    found: Sequence[Subject],
    planned: Sequence[Planned],
    environ: Mapping[str, str],
    wallet: Wallet,
    cassettes: Cassettes,
) -> list[Result]:
    """Try all that is planned, with a bar on standard error, and keep what went over the wire.

    Raises:
        ConfigError: a key that no header can carry.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with (
        tempfile.TemporaryDirectory(prefix="fairlead-live-") as root,
        Progress(*columns, console=Console(stderr=True), transient=True) as progress,
    ):
        bar = progress.add_task("live", total=len(planned))

        def keep(result: Result, taped: list[Taped]) -> None:
            cassettes.write(result, taped)

        def done(result: Result) -> None:
            progress.update(bar, advance=1, description=f"{result.vendor} {result.feature}")

        house = await open_house(found, environ, Path(root), wallet.cap_nanousd)
        try:
            return await run(house, wallet, planned, keep=keep, done=done)
        finally:
            await house.aclose()


def secrets(found: Sequence[Subject], environ: Mapping[str, str]) -> list[str]:
    """The credentials that a run uses."""
    return [environ[each.vendor.env] for each in found if each.vendor.env is not None]


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m live", description=__doc__)
    parser.add_argument("--vendor", action="append", default=[], help="only this one; may be repeated")
    parser.add_argument("--feature", action="append", default=[], help="only this one; may be repeated")
    parser.add_argument(
        "--cap", type=_cap, default=CAP_NANOUSD, metavar="USD", help=f"at most {format_usd(CAP_NANOUSD)}, the default"
    )
    parser.add_argument(
        "--record", type=Path, nargs="?", const=_CHECKED_IN, metavar="FOLDER",
        help="keep masked cassettes in tests/cassettes, or in FOLDER; without it in build/live",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args(arguments)


def _cap(text: str) -> int:
    try:
        amount = parse_usd(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not 0 <= amount <= CAP_NANOUSD:
        raise argparse.ArgumentTypeError(f"at most {format_usd(CAP_NANOUSD)}")
    return amount


if __name__ == "__main__":
    sys.exit(main())
