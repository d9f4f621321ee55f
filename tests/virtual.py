"""Tests in virtual time: hours pass in milliseconds, and the same way each run."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

from fairlead.testing import VirtualClock, virtual_run


def virtual(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a coroutine function as a test in the time of a clock, which it is given first; the rest are fixtures."""

    @wraps(test)
    def run(**fixtures: Any) -> None:
        clock = VirtualClock()
        virtual_run(test(clock, **fixtures), clock)

    parameters = list(inspect.signature(test).parameters.values())[1:]
    del run.__wrapped__  # type: ignore[attr-defined] # its signature has the clock, which is no fixture
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run
