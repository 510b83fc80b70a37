"""What a run on tcp edges needs before its agents start: a port for each server, and keys for all."""

import socket

from gmsr.agents.spec import KeysSpec
from gmsr.broker.keys import forge
from gmsr.topology.errors import UserError
from gmsr.topology.graph import Topology

HOST = "127.0.0.1"
"""Loopback only. What binds elsewhere needs a place that knows its hosts."""


class Tcp:
    """Ports and keys of one run. Close it when the run is over.

    Each port is bound here, and never listened on, for as long as the run lasts. The kernel then gives it to nobody
    who asks for any free port, and it stays a server's own while that server is dead; but the server itself can
    bind and listen, since both sides set SO_REUSEADDR (libzmq always does). So there is no port to lose between
    choosing it and using it, and no second try. Who takes it on purpose makes the run fail, and has no keys.

    Raises UserError where there are too few ports or descriptors.
    """

    def __init__(self, topology: Topology, run: str) -> None:
        self._held: dict[str, socket.socket] = {}
        servers = [server.id for server in topology.servers]
        agents = servers + [dispatcher.id for dispatcher in topology.dispatchers]
        self._keys = forge(run, agents, ((edge.dispatcher, edge.server) for edge in topology.edges))
        try:
            for server in servers:
                self._held[server] = _reserve()
        except OSError as error:
            self.close()
            raise UserError(
                f"--edges: no port for each of {len(servers)} servers ({error.strerror}); use ipc"
            ) from error

    def address(self, server: str) -> str:
        """Where a server listens."""
        return f"tcp://{HOST}:{self._held[server].getsockname()[1]}"

    def keys(self, agent: str) -> KeysSpec:
        """What an agent proves itself with, and knows its neighbours by."""
        run, public, secret, peers, names = self._keys[agent]
        return {"run": run, "public": public, "secret": secret, "peers": peers, "names": names}

    def close(self) -> None:
        """Give the ports back."""
        for held in self._held.values():
            held.close()


def _reserve() -> socket.socket:
    made = socket.socket()
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((HOST, 0))
    except OSError:
        made.close()
        raise
    return made
