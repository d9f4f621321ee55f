from __future__ import annotations

import subprocess
import sys

import pytest
import typer

import fairlead
from fairlead import __version__
from fairlead.cli import app

COMMANDS = ["chat", "check", "init", "keys", "logs", "models", "routes", "serve", "sim", "store", "usage"]


def _leaves(command, path=()):
    children = getattr(command, "commands", None)
    if not children:
        yield path, command
        return
    for name, child in children.items():
        yield from _leaves(child, (*path, name))


LEAVES = {" ".join(path): command for path, command in _leaves(typer.main.get_command(app))}


def test_these_are_the_commands():
    """Commands of later versions are not there yet."""
    assert sorted({name.split()[0] for name in LEAVES}) == COMMANDS


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_says_what_it_does_in_one_sentence(name):
    """It fits into the list of commands, and every option and argument has a text."""
    command = LEAVES[name]
    assert command.help.endswith(".")
    assert len(command.help) <= 66
    assert [each.name for each in command.params if not getattr(each, "help", None)] == []


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_speaks_json(name):
    """`--json` is everywhere."""
    assert any("--json" in each.opts for each in LEAVES[name].params)


def test_nothing_prints_help(run):
    """`fairlead` alone explains itself."""
    assert "Commands:" in run().stdout


def test_version(run):
    """`--version` is the package's."""
    assert run("--version").stdout == f"fairlead {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [["nix"], ["keys"], ["sim", "--port", "x"], ["usage", "--nix"], ["keys", "create"]]
)
def test_wrong_usage_is_one_line_and_exit_code_2(run, arguments):
    """No box, no traceback."""
    result = run(*arguments, code=2)
    assert result.stdout == ""
    assert result.stderr.startswith("fairlead: ")
    assert result.stderr.count("\n") == 1


def test_a_failure_is_one_line_and_exit_code_1(run):
    """Errors of Fairlead's own are told by their message."""
    result = run("check", "--config", "absent.toml", code=1)
    assert result.stderr.startswith("fairlead: absent.toml: no such file")
    assert result.stderr.count("\n") == 1


def test_an_error_of_the_system_is_one_line_too(run, folder):
    """A folder where a file should be written is told, not shown as a traceback."""
    (folder / "fairlead.toml").mkdir()
    result = run("init", "--force", code=1)
    assert result.stderr == "fairlead: fairlead.toml: Is a directory\n"


def test_help_loads_nothing_heavy():
    """The pipeline, the database and the tables of prices are not imported to print help."""
    heavy = ["sqlite3", "uvloop", "fairlead.config", "fairlead.client", "fairlead.stores", "pydantic", "rich"]
    code = f"import sys, fairlead.cli; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_package_is_the_program_too():
    """`python -m fairlead` works where no script is on the path."""
    done = subprocess.run([sys.executable, "-m", "fairlead", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"fairlead {__version__}\n"


def test_the_package_lists_its_public_names():
    """Also those that are loaded at their first use."""
    assert set(fairlead.__all__) <= set(dir(fairlead))
