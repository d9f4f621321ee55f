"""Secrets by reference."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from fairlead.call import Secret
from fairlead.config.secrets import is_reference, resolve, secret_path
from fairlead.errors import ConfigError

PYTHON = shlex.quote(sys.executable)


def secret_file(folder: Path, text: str, mode: int = 0o600) -> str:
    path = folder / "key"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return f"file:{path}"


def test_an_environment_variable_is_read():
    """`env:NAME` is the variable's value."""
    assert resolve("env:KEY", {"KEY": "sk-1"}) == Secret("sk-1")


def test_a_file_is_read_without_its_last_line_end(tmp_path: Path):
    """`file:PATH` is the file's text."""
    assert resolve(secret_file(tmp_path, "sk-2\n"), {}) == Secret("sk-2")


def test_a_relative_file_starts_at_the_given_folder(tmp_path: Path):
    """A configuration file's own folder is where its relative paths start."""
    secret_file(tmp_path, "sk-3")
    assert resolve("file:key", {}, tmp_path) == Secret("sk-3")


def test_a_command_is_run_with_its_words_and_no_shell():
    """`cmd:COMMAND` is what the command prints; `$` and `;` mean nothing to it."""
    command = f"cmd:{PYTHON} -c 'import sys; print(sys.argv[1])' '$HOME;x'"
    assert resolve(command, {}) == Secret("$HOME;x")


def test_a_command_sees_the_given_environment_only():
    """A command gets what the configuration was resolved with."""
    command = f"cmd:{PYTHON} -c 'import os; print(os.environ[\"A\"])'"
    assert resolve(command, {"A": "b"}) == Secret("b")


def test_a_missing_variable_is_named():
    """The message says which variable to set."""
    with pytest.raises(ConfigError, match="`NOPE` is not set"):
        resolve("env:NOPE", {})


@pytest.mark.parametrize("value", ["", "  \n"])
def test_an_empty_secret_is_refused(value: str):
    """An empty key is a mistake and never a choice."""
    with pytest.raises(ConfigError, match="is empty"):
        resolve("env:KEY", {"KEY": value})


def test_a_secret_of_several_lines_is_refused():
    """A line break would end a header."""
    with pytest.raises(ConfigError, match="line break"):
        resolve("env:KEY", {"KEY": "a\r\nx-evil: 1"})


def test_a_file_that_everybody_can_read_is_refused(tmp_path: Path):
    """A secret file belongs to its owner; the remedy is in the message."""
    with pytest.raises(ConfigError, match="chmod o-rwx"):
        resolve(secret_file(tmp_path, "sk", mode=0o644), {})


def test_a_missing_file_is_named(tmp_path: Path):
    """The message says which file was looked for."""
    with pytest.raises(ConfigError, match="none"):
        resolve(f"file:{tmp_path / 'none'}", {})


def test_a_folder_is_no_secret(tmp_path: Path):
    """Only regular files are read."""
    with pytest.raises(ConfigError, match="not a regular file"):
        secret_path(f"file:{tmp_path}")


@pytest.mark.parametrize("code", ["import sys; sys.exit(3)", "import sys; sys.stdout.buffer.write(bytes([255]))"])
def test_a_command_that_fails_is_refused(code: str):
    """A command must succeed and print text."""
    with pytest.raises(ConfigError, match="failed"):
        resolve(f"cmd:{PYTHON} -c {shlex.quote(code)}", {})


def test_a_command_that_does_not_exist_is_refused():
    """The program is named, its arguments are not."""
    with pytest.raises(ConfigError, match="'no-such-program'") as caught:
        resolve("cmd:no-such-program sk-canary", {"PATH": "/nowhere"})
    assert "sk-canary" not in str(caught.value)


def test_an_open_quote_in_a_command_is_refused():
    """A command that cannot be split is a configuration error."""
    with pytest.raises(ConfigError, match="open quote"):
        resolve("cmd:print 'x", {})


@pytest.mark.parametrize("text", ["sk-123", "", "env:", "file: ", "https://x", "ENV:x"])
def test_what_is_no_reference_is_refused(text: str):
    """A secret written down, and a reference to nothing, are refused with the forms that work."""
    assert not is_reference(text)
    with pytest.raises(ConfigError, match="by reference"):
        resolve(text, {})


def test_a_literal_is_not_repeated():
    """The refusal does not show the secret."""
    with pytest.raises(ConfigError) as caught:
        resolve("sk-canary", {})
    assert "canary" not in str(caught.value)
