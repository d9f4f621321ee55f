from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fairlead.record import Admitted, Ended, Identity
from fairlead.testing import VirtualClock

WHO = Identity(tenant="local")


def admitted(call_id: str, **rest: Any) -> Admitted:
    return Admitted(
        call_id=call_id,
        started_at_ns=1_000,
        dialect="openai_chat",
        alias="a",
        model="a",
        stream=False,
        identity=WHO,
        provider="p",
        upstream_model="m",
        **rest,
    )


def ended(call_id: str, **rest: Any) -> Ended:
    return Ended(
        call_id=call_id,
        started_at_ns=1_000,
        duration_ns=10,
        dialect="openai_chat",
        alias="a",
        model="a",
        stream=False,
        identity=WHO,
        status=200,
        outcome="ok",
        cost_nanousd=0,
        **rest,
    )


class Calls:
    """Makes records."""

    admitted = staticmethod(admitted)
    ended = staticmethod(ended)


@pytest.fixture
def make() -> type[Calls]:
    return Calls


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(autojump=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"
