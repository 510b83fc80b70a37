"""An agent's socket: the only file that knows ZeroMQ.

Both ends of an edge are ROUTER sockets. A server binds; a dispatcher connects and names the peer it
connects to (ZMQ_CONNECT_ROUTING_ID), so that it can send at once, to exactly that server. On the wire a
message is [peer's id][frame]; anything else, and anything from a peer without an edge here, is dropped
and counted. One socket serves all of an agent's edges: one descriptor to wait for.
"""

from collections.abc import Iterable

import zmq

from .census import Census
from .wire import MAX_FRAME_BYTES, MAX_MESSAGES, Message, WireError, decode, encode

FRAMES_A_TURN = 512
"""Read at most so many frames at once, so that departures and arrivals are not kept waiting."""
QUEUED_FRAMES = 100_000
"""High-water mark of one edge: bounds memory where a peer stands still. Beyond it frames are not sent."""
LINGER_MS = 2_000
RECONNECT_MS = 20


class Endpoint:
    """Sends and receives the frames of one agent, and counts them.

    Raises zmq.ZMQError (an OSError's cousin) where an address cannot be bound or connected to.
    """

    def __init__(self, own_id: str) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        for option, value in (
            (zmq.ROUTER_MANDATORY, 1),  # a vanished peer is an error that we count, not a silence
            (zmq.SNDHWM, QUEUED_FRAMES),
            (zmq.RCVHWM, QUEUED_FRAMES),
            (zmq.LINGER, LINGER_MS),
            (zmq.MAXMSGSIZE, MAX_FRAME_BYTES),
            (zmq.RECONNECT_IVL, RECONNECT_MS),
        ):
            self._socket.setsockopt(option, value)
        self._socket.setsockopt(zmq.IDENTITY, own_id.encode())
        self._ids: dict[str, bytes] = {}
        self._names: dict[bytes, str] = {}
        self.census = Census()
        self.fd: int = self._socket.getsockopt(zmq.FD)
        """Readable when something may have changed. It is edge-triggered: ask ``pending`` before waiting."""

    def allow(self, peers: Iterable[str]) -> None:
        """Name the peers that have an edge to this agent; frames of all others are dropped."""
        for peer in peers:
            self._ids[peer] = peer.encode()
            self._names[peer.encode()] = peer
            self.census.meet(peer)

    def bind(self, address: str) -> None:
        """Listen."""
        self._socket.bind(address)

    def connect(self, peer: str, address: str) -> None:
        """Connect to one allowed peer."""
        self._socket.setsockopt(zmq.CONNECT_ROUTING_ID, self._ids[peer])
        self._socket.connect(address)

    def receive(self) -> list[tuple[str, list[Message]]]:
        """What has arrived: (peer, messages) for each good frame, ``FRAMES_A_TURN`` at most."""
        arrived = []
        census, receive = self.census, self._socket.recv_multipart
        for _ in range(FRAMES_A_TURN):
            try:
                parts = receive(zmq.DONTWAIT)
            except zmq.Again:
                break
            peer = self._names.get(parts[0])
            if peer is None:
                census.dropped["sender"] += 1
                continue
            try:
                if len(parts) != 2:
                    raise WireError("malformed")
                messages, tally = decode(parts[1])
            except WireError as error:
                census.dropped[error.reason] += 1
                continue
            census.received[peer].add(tally, len(parts[1]))
            arrived.append((peer, messages))
        return arrived

    def send(self, peer: str, messages: list[Message]) -> list[Message]:
        """Send messages to a peer, as one frame if it may be that large.

        Returns those that could not be sent: the peer is gone, or its queue is full.
        """
        for start in range(0, len(messages), MAX_MESSAGES):
            batch = messages[start : start + MAX_MESSAGES]
            frame, tally = encode(batch)
            try:
                self._socket.send_multipart((self._ids[peer], frame), zmq.DONTWAIT)
            except zmq.ZMQError:  # EHOSTUNREACH: gone; EAGAIN: full
                self.census.unsent += 1
                return messages[start:]
            self.census.sent[peer].add(tally, len(frame))
        return []

    def pending(self) -> bool:
        """Whether ``receive`` would find something."""
        return bool(self._socket.getsockopt(zmq.EVENTS) & zmq.POLLIN)

    def close(self) -> None:
        """Send what is queued, for ``LINGER_MS`` at most, and close."""
        self._socket.close()
        self._context.term()
