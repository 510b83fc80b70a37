"""The launcher's end of a connection to a host's ``outpost``: to it what ssh is to sshd.

``python -m gmsr.launch.place.relay ADDRESS KEY MODULE WORDS…``: runs a module of this folder at the far end, joined to
this process's standard streams, and ends with its exit status. KEY is the outpost's public one; our own stands in the
environment, which only the user can read. Bytes go over one ZeroMQ connection with CURVE, and no engine sees them.

A message is one byte that says what it is, and what goes with it.
"""

import os
import sys
import time
from contextlib import suppress
from typing import NoReturn

import zmq
from msgpack import packb

OWN_KEY = "GMSR_RELAY_KEY"
"""In the environment: our secret and our public key, and the run's name."""
OPEN, DATA, END, ERRORS, EXIT, ALIVE = (bytes([letter]) for letter in b"odexsa")
"""Words to run; bytes of stdin or stdout; the end of them; bytes of stderr; an exit status; a sign of life."""
ALIVE_REAL_S, SILENCE_REAL_S = 5.0, 20.0
"""Each end says something so often, and gives up who has said nothing for so long."""
CONNECT_REAL_S = 10.0
CHUNK_BYTES = 1 << 16
QUEUED_CHUNKS = 16
"""Beyond, whoever writes waits: a network that is cut must be felt at the far end of a pipe."""
FAILED = 255
"""Exit status where the connection is to blame, as ssh's."""


class Relay:
    """One connection, joined to our standard streams."""

    def __init__(self, address: str, key: str, words: list[str]) -> None:
        secret, public, _ = os.environ[OWN_KEY].split()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        for option, value in (
            (zmq.SNDHWM, QUEUED_CHUNKS),
            (zmq.RCVHWM, QUEUED_CHUNKS),
            (zmq.LINGER, 0),
            (zmq.RECONNECT_IVL, -1),  # a stream that broke off has lost something
            (zmq.IPV6, 1),
            (zmq.CURVE_SERVERKEY, key.encode()),
            (zmq.CURVE_PUBLICKEY, public.encode()),
            (zmq.CURVE_SECRETKEY, secret.encode()),
        ):
            self._socket.setsockopt(option, value)
        ends = zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED | zmq.EVENT_HANDSHAKE_FAILED_AUTH
        self._monitor = self._socket.get_monitor_socket(ends | zmq.EVENT_HANDSHAKE_SUCCEEDED)
        self._heard = (
            time.monotonic() + CONNECT_REAL_S - SILENCE_REAL_S
        )  # as if: it has so long for its first word
        self._up = False
        self._said = 0.0
        self._held = b""  # for our stdout, which is full
        self._ended = False  # our stdin
        os.set_blocking(1, False)
        self._socket.connect(address)
        self._socket.send(OPEN + packb(words))

    def run(self) -> NoReturn:
        """Until the far end has ended, or is not heard any more."""
        while True:
            self._turn()
            if time.monotonic() > self._heard + SILENCE_REAL_S:
                self._fail(
                    f"nothing is heard of it for {SILENCE_REAL_S:g} s" if self._up else "nobody answers"
                )

    def _turn(self) -> None:
        poller = zmq.Poller()
        poller.register(self._monitor, zmq.POLLIN)
        room = bool(int(self._socket.get(zmq.EVENTS)) & zmq.POLLOUT)
        if self._held:  # until it is read we do not listen, and that nothing is heard says nothing
            self._heard = time.monotonic()
            poller.register(1, zmq.POLLOUT)
        else:
            poller.register(self._socket, zmq.POLLIN if room or self._ended else zmq.POLLIN | zmq.POLLOUT)
        if room and not self._ended:
            poller.register(0, zmq.POLLIN)
        ready = dict(poller.poll(1000))
        if 1 in ready:
            self._put(b"")
        if 0 in ready:
            data = os.read(0, CHUNK_BYTES)
            self._ended = not data
            self._send(DATA + data if data else END)
        if time.monotonic() > self._said + ALIVE_REAL_S:
            self._send(ALIVE)
        while not self._held and self._socket.poll(0):
            self._hear(self._socket.recv())
        if self._monitor in ready:
            self._watch()

    def _hear(self, message: bytes) -> None:
        self._heard = time.monotonic()
        kind, data = message[:1], message[1:]
        if kind == DATA:
            self._put(data)
        elif kind == ERRORS:
            os.write(2, data)
        elif kind == EXIT:
            os.set_blocking(1, True)
            self._put(b"")
            os._exit(data[0])

    def _watch(self) -> None:
        event = int.from_bytes(self._monitor.recv_multipart()[0][:2], sys.byteorder)
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._up, self._heard = True, time.monotonic()
            return
        while self._socket.poll(0):  # what came before the end, an exit status perhaps
            os.set_blocking(1, True)
            self._hear(self._socket.recv())
        self._fail("the connection ended" if self._up else "nobody can be reached there")

    def _send(self, message: bytes) -> None:
        with suppress(zmq.Again):  # no room for a sign of life: there is enough on the way
            self._socket.send(message, zmq.DONTWAIT)
        self._said = time.monotonic()

    def _put(self, data: bytes) -> None:
        self._held += data
        with suppress(BlockingIOError):
            while self._held:
                self._held = self._held[os.write(1, self._held) :]

    def _fail(self, why: str) -> NoReturn:
        os.write(2, f"{why}\n".encode())
        os._exit(FAILED)


if __name__ == "__main__":
    Relay(sys.argv[1], sys.argv[2], sys.argv[3:]).run()
