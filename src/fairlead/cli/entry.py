"""The `fairlead` program: its commands, and what becomes of every failure."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from fairlead import __version__
from fairlead.cli import chat, check, init, keys, logs, models, serve, sim, store, usage
from fairlead.cli.terminal import complain
from fairlead.errors import FairleadError

_FAILED = 1
_USAGE = 2
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
            complain(_explained(error))
            code = _FAILED
        sys.exit(code if isinstance(code, int) else 0)


def _explained(error: OSError) -> str:
    reason = error.strerror or str(error)
    return reason if error.filename is None else f"{error.filename}: {reason}"


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


app.command()(serve.serve)
app.command()(init.init)
app.command()(check.check)
app.command()(chat.chat)
app.add_typer(keys.app, name="keys")
app.command()(usage.usage)
app.command()(logs.logs)
app.command()(models.models)
app.command()(sim.sim)
app.add_typer(store.app, name="store")


def main() -> None:
    """Entry point of the `fairlead` script."""
    app()
