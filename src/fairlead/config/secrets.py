"""Secrets by reference: `env:NAME`, `file:PATH`, `cmd:COMMAND`.  Nothing is read before it is asked for."""

from __future__ import annotations

import os
import selectors
import shlex
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import IO, cast

from fairlead.call import Secret
from fairlead.errors import ConfigError, mapped
from fairlead.stores.system import SystemClock

SCHEMES = ("env", "file", "cmd")
COMMAND_DEADLINE_S = 10.0
SECRET_BYTES = 64 * 1024
"""No secret is longer; a command that goes on printing is not read on."""


def is_reference(text: str) -> bool:
    """Whether the text has the form of a reference; what it points at is not looked at."""
    scheme, colon, rest = text.partition(":")
    return scheme in SCHEMES and bool(colon) and bool(rest.strip())


def resolve(
    ref: str, environ: Mapping[str, str], folder: Path = Path(), *, deadline_s: float = COMMAND_DEADLINE_S
) -> Secret:
    """The secret behind a reference.

    Args:
        environ: the environment; also that of a command.
        folder: where relative paths of `file:` start.
        deadline_s: for a command, which is killed then.

    Raises:
        ConfigError: no reference, or what it points at is missing, empty, readable by others or fails.
    """
    if not is_reference(ref):
        raise ConfigError("a secret is given by reference: `env:NAME`, `file:PATH` or `cmd:COMMAND`")
    scheme, _, rest = ref.partition(":")
    if scheme == "env":
        value = _from_environment(rest, environ)
    elif scheme == "file":
        value = _from_file(secret_path(ref, folder))
    else:
        value = _from_command(rest, environ, deadline_s)
    value = value.strip()
    place = f"`{ref}`" if scheme != "cmd" else "the command of a `cmd:` reference"
    if not value:
        raise ConfigError(f"{place} is empty; put the secret there")
    if not value.isprintable():
        raise ConfigError(f"{place} holds a line break or another control character; it must be one line")
    return Secret(value)


def file_path(ref: str, folder: Path = Path()) -> Path:
    """The file of a `file:` reference that everybody may read, such as a certificate.

    Raises:
        ConfigError: no such file, or no regular file.
    """
    path = folder / Path(ref.removeprefix("file:")).expanduser()
    with mapped({OSError: ConfigError}, f"`{ref}` cannot be read; does the file {str(path)!r} exist?"):
        mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise ConfigError(f"`{ref}` is not a regular file")
    return path


def secret_path(ref: str, folder: Path = Path()) -> Path:
    """The file of a `file:` reference, once it is sure that others cannot read it.

    Raises:
        ConfigError: no such file, no regular file, or readable by everybody on this machine.
    """
    path = file_path(ref, folder)
    if os.name != "nt" and path.stat().st_mode & stat.S_IROTH:
        raise ConfigError(f"`{ref}` can be read by everybody on this machine; run `chmod o-rwx {path}`")
    return path


def _from_environment(name: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name)
    if value is None:
        raise ConfigError(f"the environment variable `{name}` is not set; set it, or change the reference to it")
    return value


def _from_file(path: Path) -> str:
    with mapped(
        {OSError: ConfigError, UnicodeDecodeError: ConfigError}, f"the secret file {str(path)!r} cannot be read as text"
    ):
        return path.read_text(encoding="utf-8")


def _from_command(command: str, environ: Mapping[str, str], deadline_s: float) -> str:
    """The command's standard output.  No shell takes part, and its standard error is never shown."""
    with mapped({ValueError: ConfigError}, "the command of a `cmd:` reference has an open quote"):
        words = shlex.split(command)
    failed = f"the command {words[0]!r} of a `cmd:` reference failed"
    with mapped({OSError: ConfigError}, f"{failed}: it cannot be run; is it installed?"):
        process = subprocess.Popen(  # noqa: S603 - the one reviewed use: words of the operator's own, no shell
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=dict(environ)
        )
    with process:
        try:
            printed = _printed(process, deadline_s)
        except subprocess.TimeoutExpired:
            # Without the original: it repeats the arguments.
            raise ConfigError(f"{failed}: it must print the secret and end within {deadline_s:g} seconds") from None
        finally:
            process.kill()
    if len(printed) > SECRET_BYTES:
        raise ConfigError(f"{failed}: it printed more than {SECRET_BYTES} bytes; it must print the secret alone")
    if process.returncode:
        raise ConfigError(f"{failed}: it ended with code {process.returncode}; it must print the secret and end with 0")
    with mapped({UnicodeDecodeError: ConfigError}, f"{failed}: it printed no UTF-8 text"):
        return printed.decode("utf-8")


def _printed(process: subprocess.Popen[bytes], deadline_s: float) -> bytes:
    """What it prints until it ends, or so much that it is too much; of that no more is read.

    Raises:
        TimeoutExpired: it goes on.
    """
    clock = SystemClock()
    ends_ns = clock.monotonic_ns() + int(deadline_s * 1e9)

    def left_s() -> float:
        return max(0.0, (ends_ns - clock.monotonic_ns()) / 1e9)

    printed = b""
    with selectors.DefaultSelector() as selector:
        pipe = cast("IO[bytes]", process.stdout).fileno()
        selector.register(pipe, selectors.EVENT_READ)
        while selector.select(left_s()):
            chunk = os.read(pipe, SECRET_BYTES)
            printed += chunk
            if len(printed) > SECRET_BYTES:
                return printed
            if not chunk:
                process.wait(left_s())
                return printed
    raise subprocess.TimeoutExpired(process.args, deadline_s)
