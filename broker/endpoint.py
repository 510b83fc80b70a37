"""An agent's socket: with ``keys``, the only file that knows ZeroMQ.

Both ends of an edge are ROUTER sockets. A server binds; a dispatcher connects and names the peer it
connects to (ZMQ_CONNECT_ROUTING_ID), so that it can send at once, to exactly that server. On the wire a
message is [peer's id][frame]; anything else, and anything from a peer without an edge here, is dropped
and counted. One socket serves all of an agent's edges: one descriptor to wait for. It reads its edges in turn,
a frame each, so that a peer that floods takes no other's turn.

Parts go one by one through pyzmq's plain ``send`` and ``recv``, with flags as plain ints: 0.4 µs to send a
frame and 0.8 to receive one, against 1.9 and 1.7 through the multipart calls, in this thread (measured). Each
look at ZMQ_EVENTS and each empty ``recv`` costs 2 µs, system calls, so ``pending`` looks only when it must.
"""

from collections.abc import Callable, Iterable
from typing import Any

import zmq

from .census import Census
from .keys import Gate, Keys
from .wire import MAX_FRAME_BYTES, MAX_MESSAGES, Frame, Message, Tally, WireError, decode, encode

FRAMES_A_TURN = 512
"""Read at most so many frames at once, so that departures and arrivals are not kept waiting."""
QUEUED_FRAMES = 100_000
"""High-water mark of one edge, at each of its ends: bounds memory where a peer stands still. Beyond it frames
are not sent, and the caller is told; nothing is dropped in silence."""
CUT_OFF_BYTES = 4 * MAX_FRAME_BYTES
"""Beyond this the transport cuts the connection rather than buffer the part (and the frame is not counted);
between ``MAX_FRAME_BYTES`` and this, it is read, counted as oversized and dropped."""
BACKLOG = 1024
"""Connections that the kernel holds until they are accepted: all the dispatchers of a large run at once."""
HANDSHAKE_MS = 10_000
"""A connection that says nothing is cut after this. A server that is short of processor must answer within it."""
BARE = "ipc://"
"""Without CURVE. Sockets stand in a folder that nobody else can enter."""
LINGER_MS = 2_000
RECONNECT_MS = 20

_NOW = int(zmq.DONTWAIT)
_NOW_MORE = int(zmq.DONTWAIT | zmq.SNDMORE)
_MORE = int(zmq.RCVMORE)
_EVENTS = int(zmq.EVENTS)
_READABLE = int(zmq.POLLIN)


class Endpoint:
    """Sends and receives the frames of one agent in one of its lives, and counts them.

    With ``keys`` it speaks CURVE on tcp, to those that have the keys of the run's neighbours and to nobody else, and
    calls them by the same secret names on ipc, where whoever gets in is the user.
    Raises zmq.ZMQError (an OSError's cousin) where an address cannot be bound or connected to, KeyError for a
    peer that was not allowed, and ValueError for an address on a network without keys.
    """

    def __init__(self, own_id: str, life: int = 1, keys: Keys | None = None) -> None:
        self._life = life
        self._keys = keys
        self._gate: Gate | None = None
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        for option, value in (
            (zmq.ROUTER_MANDATORY, 1),  # a vanished peer is an error that we count, not a silence
            (zmq.SNDHWM, QUEUED_FRAMES),
            (zmq.RCVHWM, QUEUED_FRAMES),
            (zmq.LINGER, LINGER_MS),
            (zmq.MAXMSGSIZE, CUT_OFF_BYTES),
            (zmq.RECONNECT_IVL, RECONNECT_MS),
            (zmq.BACKLOG, BACKLOG),
            (zmq.HANDSHAKE_IVL, HANDSHAKE_MS),
        ):
            self._socket.setsockopt(option, value)
        self._socket.setsockopt(zmq.IDENTITY, own_id.encode())
        # The binding's own send: the subclass that applications see only adds options that a ROUTER lacks.
        self._put: Callable[[bytes, int], object] = super(zmq.Socket, self._socket).send
        self._take: Callable[[int], Any] = self._socket.recv
        self._ids: dict[str, bytes] = {}
        self._names: dict[bytes, str] = {}
        self._numbers: dict[str, int] = {}  # of the last frame to each peer
        self.refusal = ""  # why ``send`` could not send, last: one of ``census.UNSENT``
        self._quiet = False  # the socket was found empty, and has not been touched since
        self.census = Census()
        self._peers: dict[str, str] = {}  # by address
        # It speaks only when a connection ends, so that it costs nothing otherwise.
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self._monitor.poll(0)  # a descriptor of libzmq's tells nothing before it was asked once
        self.watch_fd = int(self._monitor.FD)
        """Readable when ``cut_off`` may have something to tell."""
        self.fds = [int(self._socket.FD), self.watch_fd]
        """Readable when something may have changed. They are edge-triggered: ask ``pending`` before waiting."""

    def allow(self, peers: Iterable[str]) -> None:
        """Name the peers that have an edge to this agent; frames of all others are dropped."""
        for peer in peers:
            known_as = (self._keys.names[peer] if self._keys else peer).encode()
            self._ids[peer] = known_as
            self._names[known_as] = peer
            self._numbers.setdefault(peer, 0)
            self.census.meet(peer)

    def knows(self, peer: str) -> bool:
        """Whether a peer is allowed."""
        return peer in self._ids

    def bind(self, address: str) -> None:
        """Listen; on tcp only to neighbours. One socket may listen at several addresses: what is set on it holds for
        those that are bound after that (zmq_setsockopt(3)).
        """
        self._refuse_bare(address)
        if self._keys and not address.startswith(BARE):
            self._gate = Gate(self._context, self._keys)
            self.fds.append(self._gate.fd)
            self._socket.setsockopt(zmq.CURVE_SERVER, 1)
            self._socket.setsockopt(zmq.CURVE_SECRETKEY, self._keys.secret.encode())
            self._socket.setsockopt(zmq.ZAP_DOMAIN, self._keys.run.encode())
            self._socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)  # without a gate let nobody in, not everybody
        self._socket.bind(address)

    def connect(self, peer: str, address: str) -> None:
        """Connect to one allowed peer. What is sent before it listens waits for it."""
        self._refuse_bare(address)
        self._socket.setsockopt(zmq.CONNECT_ROUTING_ID, self._ids[peer])
        if self._keys:
            self._socket.setsockopt(zmq.IDENTITY, self._ids[peer])  # of this connection, not of those before
        if self._keys and address.startswith(BARE):
            self._socket.setsockopt(zmq.CURVE_SERVER, 0)  # no CURVE on this connection, whatever went before
        elif self._keys:
            self._socket.setsockopt(zmq.CURVE_SERVERKEY, self._keys.peers[peer].encode())
            self._socket.setsockopt(zmq.CURVE_PUBLICKEY, self._keys.public.encode())
            self._socket.setsockopt(zmq.CURVE_SECRETKEY, self._keys.secret.encode())
        self._peers[address] = peer
        self._socket.connect(address)

    def cut_off(self) -> list[str]:
        """Peers that this end connected to and whose connection has ended since: the kernel says so at once when a
        process dies, and says nothing while it stands still or the network swallows what is sent.
        """
        ended = []
        while self._monitor.poll(0):
            address = self._monitor.recv_multipart()[1].decode()  # after the event, the one that we asked for
            if address in self._peers:
                ended.append(self._peers[address])
        return ended

    def _refuse_bare(self, address: str) -> None:
        if not self._keys and not address.startswith(BARE):
            raise ValueError(f"{address}: only ipc goes without keys")

    def receive(self) -> list[tuple[str, Frame]]:
        """What has arrived: each good frame with the peer it is from, ``FRAMES_A_TURN`` read at most."""
        arrived = []
        take, more, names = self._take, self._socket.get, self._names
        census = self.census
        self._quiet = False
        if self._gate is not None:
            census.strangers += self._gate.serve()
        for _ in range(FRAMES_A_TURN):
            try:
                sender = take(_NOW)
            except zmq.Again:
                self._quiet = True
                break
            frame = take(_NOW)  # parts of a message arrive together, and a sender's id never comes alone
            whole = True
            while more(_MORE):
                whole = False
                take(_NOW)
            peer = names.get(sender)
            if peer is None:
                census.dropped["sender"] += 1
                continue
            try:
                if not whole:
                    raise WireError("malformed")
                arrived.append((peer, decode(frame, census.received[peer])))
            except WireError as error:
                census.dropped[error.reason] += 1
        return arrived

    def send(self, peer: str, messages: list[Message]) -> list[Message]:
        """Send messages to a peer, as one frame if it may be that large.

        Returns those that could not be sent: the peer is gone, or its queue is full. Raises WireError for a
        message that the peer would refuse: that is a bug of the caller.
        """
        tally = self.census.sent[peer]
        self._quiet = False
        for start in range(0, len(messages), MAX_MESSAGES):
            batch = messages[start : start + MAX_MESSAGES]
            number = self._numbers[peer] + 1
            frame = encode(batch, tally, self._life, number)
            try:
                self._put(self._ids[peer], _NOW_MORE)
                self._put(frame, _NOW)
            except zmq.ZMQError as error:
                # libzmq refuses with the first part or not at all, so no half message is left behind.
                if error.errno not in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                    raise
                unmade = Tally()
                encode(batch, unmade, self._life, number)
                tally.add(unmade, -1)
                left = messages[start:]
                self.refusal = "full" if error.errno == zmq.EAGAIN else "unroutable"
                self.census.unsent[self.refusal] += len(left)
                return left
            self._numbers[peer] = number
        return []

    def pending(self) -> bool:
        """Whether ``receive`` would find something.

        libzmq marks the descriptor once for what is new, and any call on the socket may take that mark
        away. After an empty ``receive`` the mark is fresh, and the descriptor alone tells.
        """
        return not self._quiet and bool(int(self._socket.get(_EVENTS)) & _READABLE)

    def close(self) -> None:
        """Send what is queued, for ``LINGER_MS`` at most, and close."""
        self._socket.disable_monitor()
        self._monitor.close(0)
        self._socket.close()
        if self._gate is not None:
            self._gate.close()
        self._context.term()
