"""The `fairlead` program: its commands, and what becomes of every failure."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from fairlead import __version__
from fairlead.cli.chat import chat
from fairlead.cli.check import check
from fairlead.cli.init import init
from fairlead.cli.keys import app as keys
from fairlead.cli.logs import logs
from fairlead.cli.models import models
from fairlead.cli.routes import app as routes
from fairlead.cli.serve import serve
from fairlead.cli.sim import sim
from fairlead.cli.store import app as store
from fairlead.cli.terminal import complain
from fairlead.cli.usage import usage
from fairlead.errors import FairleadError

_FAILED = 1
_INTERRUPTED = 130


class _Program(TyperGroup):
    """Turns failures into one line on stderr and an exit code: 1 failure, 2 usage, 130 Ctrl-C."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run, and end the process unless `standalone_mode` is off."""
        whole = (args, prog_name, complete_var, False, windows_expand_args)
        if not standalone_mode:
            return super().main(*whole, **extra)
        try:
            code = super().main(*whole, **extra)
        except typer.TyperException as error:
            complain(error.format_message())
            code = error.exit_code
        except typer.Abort:
            code = _INTERRUPTED
        except FairleadError as error:
            complain(error.message)
            code = _FAILED
        except OSError as error:
            from fairlead.config.launch import explained

            complain(explained(error))
            code = _FAILED
        sys.exit(code if isinstance(code, int) else 0)


app = typer.Typer(
    cls=_Program,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Call language models through one gateway that keeps the books: keys, limits, budgets, costs and logs."""
    if version:
        typer.echo(f"fairlead {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


app.command()(serve)
app.command()(init)
app.command()(check)
app.command()(chat)
app.add_typer(keys, name="keys")
app.command()(usage)
app.command()(logs)
app.command()(models)
app.add_typer(routes, name="routes")
app.command()(sim)
app.add_typer(store, name="store")


def main() -> None:
    """Entry point of the `fairlead` script."""
    app()
