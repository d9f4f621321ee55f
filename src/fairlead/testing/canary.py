"""Canary secrets: plant them where real secrets go, then look whether they came out anywhere."""

from __future__ import annotations

import base64
import logging
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, quote_plus

from fairlead.ports import Rng

Capture = bytes | str | Path | Mapping[str, str] | BaseException | Callable[[], bytes | str]
"""What can be searched; see `Canary.watch`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A secret in a place where it must not be."""

    label: str
    sink: str
    form: str
    """`plain`, `base64` or `url`."""


class Canary:
    """Makes unique secrets, keeps what the application put out, and says where a secret shows up.

    Args:
        rng: makes the secrets.
        packages: whose frames' local variables are searched in tracebacks.  A test's own frames hold the secret
            rightly, so the tests must not be among them.
    """

    def __init__(self, rng: Rng, *, packages: Sequence[str] = ("fairlead",)) -> None:
        self._rng = rng
        self._packages = tuple(packages)
        self._secrets: list[tuple[str, str]] = []
        self._sinks: list[tuple[str, Capture | _Collector]] = []

    def make(self, label: str) -> str:
        """A new secret, `canary-<label>-<random>`."""
        return self.plant(label, f"canary-{label}-{self._rng.token(12).hex()}")

    def plant(self, label: str, secret: str) -> str:
        """Look for this secret too: one whose form is not free, such as a database URL."""
        if len(secret) < 8:
            msg = f"the secret {label!r} is too short to be told from chance"
            raise ValueError(msg)
        self._secrets.append((label, secret))
        return secret

    @property
    def labels(self) -> Sequence[str]:
        """The secrets made so far."""
        return tuple(label for label, _ in self._secrets)

    def watch(self, sink: str, capture: Capture) -> None:
        """Search this at the end.

        Bytes, text and mappings (headers) are taken as they are.  A path is a file, or a folder with all files below
        it, SQLite files included as raw bytes; it is read when it is searched.  An exception counts with `str`, `repr`,
        its traceback, its causes and the local variables in the frames of `packages`.  A function is called then.
        """
        self._sinks.append((sink, capture))

    @contextmanager
    def logs(self) -> Iterator[None]:
        """Watch every log record of every logger meanwhile, with its arguments and exception."""
        handler = _Collector()
        self._sinks.append(("log", handler))
        root = logging.getLogger()
        level = root.level
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            yield
        finally:
            root.removeHandler(handler)
            root.setLevel(level)

    def findings(self) -> list[Finding]:
        """Every secret in every sink, each place and form once.

        Raises:
            FileNotFoundError: a watched path is not there, so nothing about it is proven.
        """
        found: dict[Finding, None] = {}
        for sink, capture in self._sinks:
            for place, data in self._contents(sink, capture):
                for label, form in self._matches(data):
                    found[Finding(label=label, sink=place, form=form)] = None
        return list(found)

    def assert_absent(self) -> None:
        """No secret shows up in any sink.

        Raises:
            AssertionError: one does, or nothing was planted or watched, which proves nothing.
        """
        if not self._secrets or not self._sinks:
            msg = "no secret was planted, or no sink is watched"
            raise AssertionError(msg)
        found = self.findings()
        if found:
            lines = [f"{item.label} ({item.form}) in {item.sink}" for item in found]
            raise AssertionError("secrets came out:\n" + "\n".join(lines))

    def _matches(self, data: bytes) -> Iterator[tuple[str, str]]:
        for label, secret in self._secrets:
            for form, needles in _forms(secret).items():
                if any(needle in data for needle in needles):
                    yield label, form

    def _contents(self, sink: str, capture: Capture | _Collector) -> Iterator[tuple[str, bytes]]:
        if isinstance(capture, Path):
            yield from _files(sink, capture)
        elif isinstance(capture, _Collector):
            for record in capture.records:
                yield f"{sink} {record.name}", _bytes(f"{record.getMessage()}\n{vars(record)!r}")
                if record.exc_info and record.exc_info[1] is not None:
                    yield from self._contents(f"{sink} {record.name}", record.exc_info[1])
        elif isinstance(capture, BaseException):
            for part, text in _exception(capture, self._packages, set()):
                yield f"{sink}: {part}", _bytes(text)
        elif isinstance(capture, Mapping):
            yield sink, _bytes("\n".join(f"{name}: {value}" for name, value in capture.items()))
        else:
            yield sink, _bytes(capture() if callable(capture) else capture)


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def _bytes(data: bytes | str) -> bytes:
    return data if isinstance(data, bytes) else data.encode(errors="surrogatepass")


def _forms(secret: str) -> dict[str, set[bytes]]:
    raw = secret.encode()
    return {
        "plain": {raw},
        "base64": {form for shift in range(3) for form in _base64(raw, shift)},
        "url": {quote(secret, safe="").encode(), quote(secret).encode(), quote_plus(secret).encode()} - {raw},
    }


def _base64(raw: bytes, shift: int) -> Iterator[bytes]:
    """The secret as it looks inside longer base64 text, `shift` bytes into a group of three.

    The characters that it shares with its neighbours are left out.
    """
    padded = b"\0" * shift + raw
    start = (0, 2, 3)[shift]
    end = len(padded) // 3 * 4 + (0, 1, 2)[len(padded) % 3]
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(padded)[start:end]


def _files(sink: str, path: Path) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file():
                yield f"{sink}: {file.relative_to(path)}", file.read_bytes()
    else:
        yield sink, path.read_bytes()


def _exception(error: BaseException, packages: tuple[str, ...], seen: set[int]) -> Iterator[tuple[str, str]]:
    """`str`, `repr`, traceback and locals of an exception and of all that it came from."""
    if id(error) in seen:
        return
    seen.add(id(error))
    name = type(error).__name__
    yield f"str of {name}", str(error)
    yield f"repr of {name}", repr(error)
    yield f"traceback of {name}", "".join(traceback.format_exception(error, chain=False))
    yield from _locals(error.__traceback__, packages)
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    for other in (error.__cause__, error.__context__, *inner):
        if other is not None:
            yield from _exception(other, packages, seen)


def _locals(trace: TracebackType | None, packages: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        if _inside(module, packages) and not _inside(module, ("fairlead.testing",)):
            for name, value in trace.tb_frame.f_locals.items():
                yield f"local {name!r} of {module}.{trace.tb_frame.f_code.co_name}", repr(value)
        trace = trace.tb_next


def _inside(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)
