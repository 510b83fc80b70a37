"""Ports of servers, chosen by the kernel and held for as long as a run lasts."""

import socket
from collections.abc import Iterable


def family(address: str) -> socket.AddressFamily:
    """Of an IP address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Ports:
    """Each port is bound here, and never listened on. The kernel then gives it to nobody who asks for any port,
    and it stays a server's own while that server is dead; but the server itself can bind and listen, since both sides
    set SO_REUSEADDR (libzmq always does). So there is no port to lose between choosing it and using it, and no
    second try. Who takes it on purpose makes the run fail, and has no keys.
    """

    def __init__(self) -> None:
        self._held: list[socket.socket] = []

    def reserve(self, address: str, servers: Iterable[str]) -> dict[str, int]:
        """A port of an IP address for each server. Raises OSError where there are too few, or it is not this host's."""
        try:
            return {server: self._reserve(address) for server in servers}
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Give the ports back."""
        for held in self._held:
            held.close()
        self._held.clear()

    def _reserve(self, address: str) -> int:
        made = socket.socket(family(address))
        self._held.append(made)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, 0))
        return int(made.getsockname()[1])
