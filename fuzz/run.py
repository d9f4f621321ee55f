"""Run all fuzz targets, one after the other on each core, for a total time: `make fuzz HOURS=n`.

What a run finds is kept in the tree: new corpus entries, merged down to those that add coverage, in `fuzz/corpus`, and
inputs that break a promise in `fuzz/crashers/TARGET`, which the tests replay from then on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from fuzz import corpus
from fuzz.targets import NAMES, load

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
MAX_INPUT_BYTES = 4096
MAX_ENTRY_BYTES = 2048
MAX_ENTRIES = 200
"""The tree keeps so many entries of a target, the smallest first; a longer corpus is made again in minutes."""
_CASE_S = 10
_RSS_MIB = 1024
_COUNTER = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_SEED = re.compile(r"Seed: (\d+)")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of one target."""

    target: str
    seconds: float
    executions: int
    new_entries: int
    corpus_entries: int
    crashers: tuple[str, ...]
    seed: int | None


def main() -> int:
    """Fuzz; 1 where a promise was broken."""
    options = _options()
    seconds = options.hours * 3600 * options.jobs / len(options.targets)
    total = f"{options.hours:g} h" if options.hours >= 1 else f"{options.hours * 60:g} min"
    print(f"{total} on {options.jobs} core(s): {seconds:.0f} s for each of {', '.join(options.targets)}", flush=True)
    with ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(lambda name: _shown(fuzz(name, seconds)), options.targets))
    executions = sum(result.executions for result in results)
    print(f"all targets: {executions:,} executions, {sum(result.new_entries for result in results)} new entries")
    if options.json is not None:
        _write(options.json, results)
    return 1 if any(result.crashers for result in results) else 0


def fuzz(name: str, seconds: float) -> Result:
    """One target for so long, from its seeds and its corpus."""
    with tempfile.TemporaryDirectory(prefix=f"fairlead-fuzz-{name}-") as folder:
        work = Path(folder)
        known = _prepare(name, work)
        began = time.monotonic()
        log = _run(name, work, seconds)
        lasted = time.monotonic() - began
        crashers = tuple(_kept_crashers(name, work))
        counted, seed = _COUNTER.search(log), _SEED.search(log)
        if counted is None:
            raise RuntimeError(f"{name} ended in a way that libFuzzer does not explain:\n{log[-3000:]}")
        entries = _merge(name, work)
        corpus.write(name, entries)
    return Result(
        target=name,
        seconds=round(lasted, 1),
        executions=int(counted[1]),
        new_entries=len(set(entries) - known),
        corpus_entries=len(entries),
        crashers=crashers,
        seed=int(seed[1]) if seed else None,
    )


def _prepare(name: str, work: Path) -> set[bytes]:
    """Folders and dictionary; returns what the corpus holds."""
    for folder in ("seeds", "new", "merged", "crashes"):
        (work / folder).mkdir()
    target = load(name)
    known = set(corpus.read(name))
    for seed in known.union(target.SEEDS):
        (work / "seeds" / _digest(seed)).write_bytes(seed)
    words = ("".join(f"\\x{byte:02x}" for byte in word) for word in target.WORDS)
    (work / "words.dict").write_text("".join(f'"{word}"\n' for word in words))
    command = work / "again.sh"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m fuzz.one {name} {work / "crashes"} "$0" "$@"\n')
    command.chmod(0o700)
    return known


def _run(name: str, work: Path, seconds: float) -> str:
    options = [
        f"-max_total_time={max(1, round(seconds))}", f"-artifact_prefix={work / 'crashes'}/", f"-dict={work / 'words.dict'}",
        f"-max_len={MAX_INPUT_BYTES}", f"-timeout={_CASE_S}", f"-rss_limit_mb={_RSS_MIB}", "-print_final_stats=1",
    ]  # fmt: skip
    return _fuzzer(name, work, [*options, str(work / "new"), str(work / "seeds")], "log", seconds + 300)


def _merge(name: str, work: Path) -> list[bytes]:
    """The fewest inputs with the same coverage, smallest first."""
    folders = [work / "seeds", work / "new"]
    options = ["-merge=1", f"-max_len={MAX_ENTRY_BYTES}", f"-timeout={_CASE_S}", f"-rss_limit_mb={_RSS_MIB}"]
    arguments = [*options, f"-artifact_prefix={work / 'merged-'}", str(work / "merged"), *map(str, folders)]
    _fuzzer(name, work, arguments, "merge-log", 900)
    entries = sorted((path.read_bytes() for path in _files(work / "merged")), key=lambda entry: (len(entry), entry))
    return [entry for entry in entries if len(entry) <= MAX_ENTRY_BYTES][:MAX_ENTRIES]


def _fuzzer(name: str, work: Path, arguments: Sequence[str], log_name: str, limit_s: float) -> str:
    """Start libFuzzer; returns what it said."""
    log = work / log_name
    with log.open("w") as file:
        subprocess.run(
            [sys.executable, "-m", "fuzz.one", name, str(work / "crashes"), str(work / "again.sh"), *arguments],
            cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, check=False, timeout=limit_s,
        )  # fmt: skip
    return log.read_text(errors="replace")


def _kept_crashers(name: str, work: Path) -> Iterator[str]:
    for path in _files(work / "crashes"):
        if path.suffix == ".txt":
            continue
        folder = corpus.CRASHERS / name
        folder.mkdir(parents=True, exist_ok=True)
        kept = folder / _digest(path.read_bytes())
        shutil.copyfile(path, kept)
        said = path.with_suffix(".txt")
        print(f"{name}: {path.name.partition('-')[0]} kept as {kept.relative_to(ROOT)}", flush=True)
        print(said.read_text()[-2500:] if said.exists() else "a hang, or more memory than allowed", flush=True)
        yield kept.name


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _shown(result: Result) -> Result:
    rate = result.executions / result.seconds if result.seconds else 0.0
    print(
        f"{result.target:12} {result.executions:>12,} executions ({rate:,.0f} a second), {result.new_entries} new entries "
        f"of {result.corpus_entries}, {len(result.crashers)} crashers",
        flush=True,
    )
    return result


def _write(path: Path, results: Sequence[Result]) -> None:
    """The report; what it says of targets that did not run this time stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = json.loads(path.read_text())["targets"] if path.exists() else []
    rows = {row["target"]: row for row in (*before, *map(asdict, results))}
    report = {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "core_hours": round(sum(row["seconds"] for row in rows.values()) / 3600, 2),
        "executions": sum(row["executions"] for row in rows.values()),
        "targets": [rows[name] for name in NAMES if name in rows],
    }
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"written to {path}", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0, help="for all targets together")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="targets at one time, a core each")
    today = datetime.now(UTC).date().isoformat()
    parser.add_argument("--json", type=Path, default=RESULTS / f"fuzz-{today}.json", help="where the result goes")
    parser.add_argument("targets", nargs="*", default=list(NAMES), metavar="TARGET", help=", ".join(NAMES))
    options = parser.parse_args()
    unknown = sorted(set(options.targets) - set(NAMES))
    if unknown or options.hours <= 0 or options.jobs <= 0:
        parser.error(f"no targets {unknown}" if unknown else "hours and jobs are above 0")
    options.targets = list(options.targets)
    return options


if __name__ == "__main__":
    sys.exit(main())
