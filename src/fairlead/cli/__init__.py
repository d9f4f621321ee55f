"""The command line, one file a command."""

from __future__ import annotations

from fairlead.cli.entry import app, main

__all__ = ["app", "main"]
