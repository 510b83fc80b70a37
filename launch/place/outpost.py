"""A host's door where an engine has put us on that host: to ``relay`` what sshd is to ssh.

``python -m gmsr.launch.place.outpost ADDRESS RUN KEY``: listens at a port of that address which the kernel chooses,
says which, and the key it made, on its standard output, and goes on by itself. It lets in who has the secret of KEY and
nobody else, and runs for each connection a module of this folder, the nursery or ``journals``.

It is nobody's child, so that it outlives the engine. Until somebody comes it ends with whoever started it; then, when
nobody is connected and its nursery has left nothing to be fetched; if nobody comes for that, after a while.
"""

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import zmq
from msgpack import unpackb

from gmsr.broker.keys import Gate, Keys

from .far import kept
from .relay import (
    ALIVE,
    ALIVE_REAL_S,
    CHUNK_BYTES,
    DATA,
    END,
    ERRORS,
    EXIT,
    OPEN,
    QUEUED_CHUNKS,
    SILENCE_REAL_S,
)

LINGER_REAL_S = 60.0
MODULES = ("nursery", "journals")
REFUSED = b"\x7e"
"""Exit status where what is asked for is not run (126, a shell's)."""
HANDSHAKE_MS = 10_000
FULL_MS = 20
"""Between tries to send, where the other end takes nothing: a ROUTER does not tell when it would."""


class Stream:
    """One connection and what runs for it."""

    def __init__(self, words: list[str]) -> None:
        module, *arguments = words
        self.words = words
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", f"gmsr.launch.place.{module}", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # a nursery may kill its own group
        )
        assert self.process.stdin is not None
        self.stdin = self.process.stdin
        os.set_blocking(self.stdin.fileno(), False)
        self.outputs = {
            pipe.fileno(): (kind, pipe)
            for kind, pipe in ((DATA, self.process.stdout), (ERRORS, self.process.stderr))
            if pipe is not None
        }
        self.unread = b""  # by its stdin
        self.unsent = b""  # a message
        self.ending = False  # its stdin ends when all is read
        self.heard = self.said = time.monotonic()

    def feed(self, data: bytes = b"") -> None:
        """To its stdin, as far as it takes it."""
        self.unread += data
        try:
            while self.unread:
                self.unread = self.unread[os.write(self.stdin.fileno(), self.unread) :]
        except BlockingIOError:
            return
        except (BrokenPipeError, ValueError):
            self.unread = b""
        if self.ending:
            self.stdin.close()

    def close(self) -> None:
        """Nobody is at the other end: what runs here finds its pipes ended."""
        for pipe in (self.stdin, *(pipe for _, pipe in self.outputs.values())):
            pipe.close()


class Outpost:
    """The door."""

    def __init__(self, address: str, run: str, key: str, starter: int) -> None:
        self._starter = Path(f"/proc/{starter}")
        public, secret = (made.decode() for made in zmq.curve_keypair())
        self._context = zmq.Context()
        self._gate = Gate(self._context, Keys(run, public, secret, {"launcher": key}, {}))
        self._socket = self._context.socket(zmq.ROUTER)
        for option, value in (
            (zmq.ROUTER_MANDATORY, 1),
            (zmq.SNDHWM, QUEUED_CHUNKS),
            (zmq.RCVHWM, QUEUED_CHUNKS),
            (zmq.LINGER, int(ALIVE_REAL_S * 1e3)),
            (zmq.HANDSHAKE_IVL, HANDSHAKE_MS),
            (zmq.IPV6, 1),
            (zmq.CURVE_SERVER, 1),
            (zmq.CURVE_SECRETKEY, secret.encode()),
            (zmq.ZAP_DOMAIN, run.encode()),
            (zmq.ZAP_ENFORCE_DOMAIN, 1),
        ):
            self._socket.setsockopt(option, value)
        self._socket.bind(f"tcp://{f'[{address}]' if ':' in address else address}:*")
        port = int(self._socket.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])
        self.facts = {"port": port, "key": public}
        self._streams: dict[bytes, Stream] = {}
        self._nurseries: list[Stream] = []
        self._visited = False
        self._until = time.monotonic() + LINGER_REAL_S

    def serve(self) -> None:
        """Until nobody needs it any more."""
        while self._streams or (self._expects() and time.monotonic() < self._until):
            self._turn()
        self._socket.close()
        self._gate.close()
        self._context.term()

    def _expects(self) -> bool:
        """Whether somebody may still come: the first, or for what nurseries have left."""
        if not self._visited:
            return self._starter.exists()
        return any(
            each.process.poll() is None or kept(each.words, each.process.pid) for each in self._nurseries
        )

    def _turn(self) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._gate.fd, zmq.POLLIN)
        for stream in self._streams.values():
            if stream.unread:
                poller.register(stream.stdin.fileno(), zmq.POLLOUT)
            for output in () if stream.unsent else stream.outputs:
                poller.register(output, zmq.POLLIN)
        full = any(stream.unsent for stream in self._streams.values())
        ready = dict(poller.poll(FULL_MS if full else 500))
        self._gate.serve()
        while self._socket.poll(0):
            peer, message = self._socket.recv_multipart()
            self._hear(peer, message[:1], message[1:])
        for peer, stream in list(self._streams.items()):
            if not stream.stdin.closed:
                stream.feed()
            self._pass_on(peer, stream, ready)
            if time.monotonic() > stream.heard + SILENCE_REAL_S:
                self._end(peer)

    def _hear(self, peer: bytes, kind: bytes, data: bytes) -> None:
        stream = self._streams.get(peer)
        if stream is None:
            if kind == OPEN:
                self._open(peer, data)
            return
        stream.heard = time.monotonic()
        if kind == DATA:
            stream.feed(data)
        elif kind == END:
            stream.ending = True

    def _open(self, peer: bytes, data: bytes) -> None:
        self._visited = True
        words = [str(word) for word in unpackb(data)]
        if words[0] not in MODULES:
            with suppress(zmq.ZMQError):  # whoever asked is gone
                for message in (ERRORS + f"{words[0]} is not run for anybody\n".encode(), EXIT + REFUSED):
                    self._socket.send_multipart([peer, message], zmq.DONTWAIT)
            return
        self._streams[peer] = stream = Stream(words)
        if stream.words[0] == "nursery":
            self._nurseries.append(stream)

    def _pass_on(self, peer: bytes, stream: Stream, ready: dict[object, int]) -> None:
        """What it has written, a chunk of each; and when it has ended, how."""
        if stream.unsent:
            self._send(peer, stream, stream.unsent)
        for output in [each for each in stream.outputs if each in ready and not stream.unsent]:
            kind, pipe = stream.outputs[output]
            if chunk := os.read(output, CHUNK_BYTES):
                self._send(peer, stream, kind + chunk)
            else:
                del stream.outputs[output]
                pipe.close()
        if not stream.outputs and not stream.unsent and stream.process.poll() is not None:
            self._send(peer, stream, EXIT + bytes([stream.process.returncode % 256]))
            if not stream.unsent:
                self._end(peer)
        elif time.monotonic() > stream.said + ALIVE_REAL_S and not stream.unsent:
            self._send(peer, stream, ALIVE)

    def _send(self, peer: bytes, stream: Stream, message: bytes) -> None:
        stream.unsent = message
        with suppress(zmq.Again):  # it takes nothing at present
            try:
                self._socket.send_multipart([peer, message], zmq.DONTWAIT)
            except zmq.ZMQError as error:
                if error.errno != zmq.EHOSTUNREACH:
                    raise
                stream.heard = 0.0  # it is gone
            stream.unsent = b""
            stream.said = time.monotonic()

    def _end(self, peer: bytes) -> None:
        if stream := self._streams.pop(peer, None):
            stream.close()
            self._until = time.monotonic() + LINGER_REAL_S


def main(address: str, run: str, key: str) -> None:
    """In a child of a child; whoever started this has its answer when our standard output ends."""
    starter = os.getppid()
    if os.fork():
        os._exit(0)
    os.setsid()
    outpost = Outpost(address, run, key, starter)
    print(json.dumps(outpost.facts), flush=True)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    outpost.serve()


if __name__ == "__main__":
    main(*sys.argv[1:4])
