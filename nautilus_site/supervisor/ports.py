"""Whether the ports are free, asked before anything starts."""

from __future__ import annotations

import errno
import socket

from nautilus_site.supervisor.failures import StartupFailure


def check_ports(bind: str, ports: dict[str, int]) -> None:
    """Make sure that every port can be listened on.

    Parameters
    ----------
    bind : the address all of them listen on.
    ports : setting name -> port number.

    Raises
    ------
    StartupFailure : one is taken, given twice or not allowed; the message names the setting.
    """
    owners: dict[int, str] = {}
    for name, port in ports.items():
        if port in owners:
            raise StartupFailure(f"{name} and {owners[port]} are both {port}: give each a port of its own")
        owners[port] = name
    for name, port in ports.items():
        _check(bind, name, port)


def _check(bind: str, name: str, port: int) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(bind, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise StartupFailure(f"BIND is {bind!r}, which is not an address of this machine") from error
    with socket.socket(family, kind, protocol) as listener:
        # As the servers do: a port whose last connections are still closing is free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise StartupFailure(
                    f"port {port} on {bind} is taken: stop what uses it, or set {name} to a free port"
                ) from error
            if error.errno == errno.EACCES:
                message = f"port {port} needs privileges this user lacks: set {name} above 1023"
                raise StartupFailure(message) from error
            if error.errno == errno.EADDRNOTAVAIL:
                raise StartupFailure(f"BIND is {bind!r}, which is not an address of this machine") from error
            raise
