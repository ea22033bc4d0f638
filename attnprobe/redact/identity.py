"""What gives this machine and its user away."""

from __future__ import annotations

import getpass
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Identity:
    """Names that must not leave this machine.

    Args:
        users: Login names.
        hosts: Names of the machine, short and full.
        homes: Home folders.
        addresses: Addresses of the machine.
    """

    users: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    homes: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()

    @classmethod
    def of_this_host(cls) -> Identity:
        """The identity of the running process; what cannot be found out is left out."""
        host = socket.gethostname()
        users = {os.environ.get(v, "") for v in ("USER", "LOGNAME", "USERNAME", "SUDO_USER")}
        with suppress(OSError, KeyError):  # a container's user may lack a password entry
            users.add(getpass.getuser())
        addresses: set[str] = set()
        with suppress(OSError):  # a host that does not know its own name
            addresses = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
        home = os.path.expanduser("~")
        return cls(
            users=_sorted(users),
            hosts=_sorted({host, host.split(".")[0], os.environ.get("HOSTNAME", "")}),
            homes=_sorted({home, str(Path(home).resolve())} - {"~", "/"}),
            addresses=_sorted(addresses),
        )


def _sorted(names: set[str]) -> tuple[str, ...]:
    return tuple(sorted(filter(None, names)))
