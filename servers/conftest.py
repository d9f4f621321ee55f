"""What the tests here share: real gateways as in `tests/`, and servers of others."""

from __future__ import annotations

pytest_plugins = ["processes", "loads", "servers.fixtures"]
