"""The fixtures, and that the kit itself is free of pytest."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

import fairlead.testing
from fairlead.testing import Canary, FakeUpstream, VirtualClock

pytest_plugins = ["fairlead.testing.plugin", "pytester"]


async def test_the_fixtures_stand(virtual_clock: VirtualClock, fake_upstream: FakeUpstream, canary: Canary) -> None:
    """The clock jumps, the upstream listens, and a canary that stays in keeps the test green."""
    await virtual_clock.sleep(3_600)
    assert fake_upstream.port > 0
    canary.make("key")
    logging.getLogger("app").info("nothing to see")


def test_a_canary_in_a_log_fails_its_test(pytester: pytest.Pytester) -> None:
    """A secret in a log record makes the test fail at its end, and only that one."""
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    pytester.makepyfile(
        """
        import logging

        def test_quiet(canary):
            canary.make("key")
            logging.getLogger("app").info("fine")

        def test_unused(canary):
            pass

        def test_loud(canary):
            logging.getLogger("app").info("%s", canary.make("key"))
        """
    )
    result = pytester.runpytest_inprocess(
        "-p", "fairlead.testing.plugin", "-p", "no:randomly", "-p", "no:cacheprovider"
    )
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["*key (plain) in log app*"])


def test_the_kit_does_not_import_pytest() -> None:
    """`fairlead.testing` works where pytest is not installed."""
    code = "import sys, fairlead.testing; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_all_names_are_exported_in_order() -> None:
    """`__all__` is sorted and every name in it exists."""
    names = fairlead.testing.__all__
    assert names == sorted(names)
    assert all(hasattr(fairlead.testing, name) for name in names)
