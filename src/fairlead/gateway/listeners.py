"""The sockets of a gateway, held by the supervisor for as long as it lives.

The data port has one listening socket for each worker, all on the same port (`SO_REUSEPORT`), and a worker inherits its
own.  As the supervisor keeps every one open, a worker that dies or is replaced loses no connection: those that come
meanwhile wait in the socket for its successor.  One socket for all workers would promise the same, but leaves it to chance who
accepts: of 64 connections at once to four workers one took 54, where the kernel's choice among sockets gives 13 to 18.
"""

from __future__ import annotations

import socket

from fairlead.config.launch import cannot_listen
from fairlead.config.schema import Gateway
from fairlead.errors import ConfigError


class Listeners:
    """The data port and the control port, taken.

    Raises:
        ConfigError: one of them is taken, or the address is not this machine's.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._host = gateway.host
        self._data = [_hold(gateway.host, gateway.port, "port")]
        try:
            self._admin = _hold(gateway.host, gateway.admin_port, "admin_port")
        except ConfigError:
            self._data[0].close()
            raise

    @property
    def data_port(self) -> int:
        """Where callers come."""
        return int(self._data[0].getsockname()[1])

    @property
    def admin_port(self) -> int:
        """Where operators come."""
        return int(self._admin.getsockname()[1])

    def spread(self, workers: int) -> list[tuple[int, ...]]:
        """The descriptors that each worker inherits; where there are more sockets than workers, some serve several.

        Raises:
            ConfigError: the operating system gives no further socket.
        """
        while len(self._data) < workers:
            self._data.append(self._another())
        numbers = [sock.fileno() for sock in self._data]
        return [tuple(numbers[first::workers]) for first in range(workers)]

    def close(self) -> None:
        """Let go of both ports; each is free once no worker holds it either."""
        for sock in (*self._data, self._admin):
            sock.close()

    def _another(self) -> socket.socket:
        try:
            return _bound(self._host, self.data_port)
        except OSError as error:
            raise cannot_listen(self._host, self.data_port, "port", error) from error


def _hold(host: str, port: int, setting: str) -> socket.socket:
    """Bind a port without listening, so that our children may share it and nobody else can take it."""
    try:
        with socket.socket(_family(host)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            port = probe.getsockname()[1]
        return _bound(host, port)
    except OSError as error:
        raise cannot_listen(host, port, setting, error) from error


def _bound(host: str, port: int) -> socket.socket:
    held = socket.socket(_family(host))
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((host, port))
    except OSError:
        held.close()
        raise
    return held


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
