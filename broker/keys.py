"""Who may speak on a tcp edge: CURVE keys made for one run, and the gate of a server that lets only neighbours in.

A key proves who connects; it does not bind the id that the peer then claims, since libzmq's ROUTER believes any.
So both ends call each other by a name of their edge that only they know (and the launcher): who has a key but not
the name cannot speak as another, nor stand in another's place and get what is meant for it. Nothing has to be
looked up for it when a frame comes. Each frame's User-Id would cost 1 µs, and stop only the first of the two.
"""

import os
import select
from collections.abc import Iterable
from typing import NamedTuple

import zmq
from zmq.utils import z85

_ZAP = "inproc://zeromq.zap.01"  # where libzmq asks, by RFC 27


class Keys(NamedTuple):
    """What one agent has. Keys are in Z85, as ``zmq.curve_keypair`` makes them."""

    run: str
    public: str
    secret: str
    peers: dict[str, str]  # neighbour → its public key
    names: dict[str, str]  # neighbour → the name of the edge to it


def forge(run: str, agents: Iterable[str], edges: Iterable[tuple[str, str]]) -> dict[str, Keys]:
    """New keys for all agents of a run."""
    made: dict[str, Keys] = {}
    for agent in agents:
        public, secret = zmq.curve_keypair()
        made[agent] = Keys(run, public.decode(), secret.decode(), {}, {})
    for edge in edges:
        name = os.urandom(16).hex()
        for agent, peer in (edge, edge[::-1]):
            made[agent].peers[peer] = made[peer].public
            made[agent].names[peer] = name
    return made


class Gate:
    """Answers libzmq, which asks for each key during the handshake, before anything of that peer is read.

    In the thread of the agent's loop: whoever connects waits until it turns. ``fd`` is readable when somebody has
    asked since ``serve`` was last called.
    """

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", keys: Keys) -> None:
        self._run = keys.run.encode()
        self._neighbours = {z85.decode(key): peer.encode() for peer, key in keys.peers.items()}
        self._socket = context.socket(zmq.REP)
        self._socket.bind(_ZAP)
        self.fd = int(self._socket.FD)

    def serve(self) -> int:
        """Answer all who have asked. Returns how many were refused."""
        refused = 0
        if not select.select([self.fd], (), (), 0.0)[0]:  # a fifth of what an empty ``recv`` costs
            return refused
        while True:  # until it is found empty: only then does the descriptor tell of the next
            try:
                version, number, run, _, _, _, key = self._socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return refused
            neighbour = self._neighbours.get(key) if run == self._run else None
            if neighbour is None:
                refused += 1
                verdict = (b"400", b"no neighbour", b"")
            else:
                verdict = (b"200", b"", neighbour)
            self._socket.send_multipart([version, number, *verdict, b""], zmq.DONTWAIT)

    def close(self) -> None:
        """Let nobody in any more."""
        self._socket.close(0)
