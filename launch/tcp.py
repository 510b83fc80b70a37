"""What a run with tcp edges needs before its agents start: where each server listens, and keys for all."""

from collections.abc import Mapping

from gmsr.agents.spec import KeysSpec
from gmsr.broker.keys import forge
from gmsr.topology.graph import Topology


class Tcp:
    """Addresses and keys of one run. ``addresses``: ports that a placement holds (``place.ports``)."""

    def __init__(self, topology: Topology, run: str, addresses: Mapping[str, str]) -> None:
        self._addresses = addresses
        agents = [server.id for server in topology.servers]
        agents += [dispatcher.id for dispatcher in topology.dispatchers]
        self._keys = forge(run, agents, ((edge.dispatcher, edge.server) for edge in topology.edges))

    def address(self, server: str) -> str:
        """Where a server listens."""
        return self._addresses[server]

    def keys(self, agent: str) -> KeysSpec:
        """What an agent proves itself with, and knows its neighbours by."""
        run, public, secret, peers, names = self._keys[agent]
        return {"run": run, "public": public, "secret": secret, "peers": peers, "names": names}
