"""One subject, one window: what it used, and what it did."""

from __future__ import annotations

import subprocess

import msgspec

from bench import clocks
from bench.generator import Outcome, Plan
from bench.processes import ROOT, module
from bench.results import Window
from bench.subjects import Subject
from bench.upstreams import CHUNKS

_BEYOND_WINDOW_S = 120.0


class GeneratorFailed(Exception):
    """The load generator itself broke; the text says how."""


def measure(subject: Subject, plan: Plan, *, row: str, kind: str, number: int) -> Window:
    """Load a subject by a plan, then wait until it has booked everything."""
    booked, keeper_ns = subject.booked(), clocks.cpu_of(subject.keeper)
    outcome = _generate(msgspec.structs.replace(plan, port=subject.port, watch=subject.worker))
    keeper_us = None
    if subject.keeper and outcome.sent_in_all:
        calls = subject.until_booked(booked + outcome.sent_in_all) - booked
        if calls >= outcome.sent_in_all:
            keeper_us = (clocks.cpu_of(subject.keeper) - keeper_ns) / 1e3 / calls
    answered, worker_ns = outcome.answered, sum(outcome.watched_cpu_ns.values())
    # A stream longer than its share of the window would be counted whole or not at all; its chunks come one by one.
    units = outcome.chunks if plan.stream else answered
    if plan.stream and keeper_us is not None:
        keeper_us /= CHUNKS
    return Window(
        row=row,
        subject=subject.name,
        kind=kind,
        round=number,
        seconds=outcome.seconds,
        answered=answered,
        chunks=outcome.chunks,
        rps=answered / outcome.seconds,
        worker_us=worker_ns / 1e3 / units if units and subject.worker else None,
        keeper_us=keeper_us,
        generator_us=outcome.own_cpu_ns / 1e3 / units if units else None,
        latency_us=outcome.latency_us,
        errors=outcome.errors,
    )


def _generate(plan: Plan) -> Outcome:
    """Run the generator in a process of its own.

    Raises:
        GeneratorFailed: it broke.
    """
    done = subprocess.run(
        module("bench.generator"), cwd=ROOT, input=msgspec.json.encode(plan), capture_output=True,
        timeout=plan.warm_s + plan.window_s + _BEYOND_WINDOW_S, check=False,
    )  # fmt: skip
    if done.returncode:
        raise GeneratorFailed(done.stderr.decode(errors="replace")[-1000:])
    return msgspec.json.decode(done.stdout, type=Outcome)
