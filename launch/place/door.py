"""The nursery's door for operators: a local socket where a process of the same user gives commands and gets answers.

Both ends are here. A command and its answer are one packet each, msgpack maps; commands are the nursery's own.
"""

import os
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from msgpack import packb, unpackb

NAME = "operator"
"""Of the socket, in the testbed's folder of sockets."""
LARGEST_PACKET = 1 << 20
ANSWER_REAL_S = 10.0
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid (unix(7))

Message = dict[str, Any]


class Door:
    """The nursery's end."""

    def __init__(self, folder: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.bind(f"{folder}/{NAME}")
        self._socket.listen()
        self._socket.setblocking(False)
        self._operators: list[socket.socket] = []

    def watched(self) -> list[socket.socket]:
        """What to wait for."""
        return [self._socket, *self._operators]

    def serve(self, readable: Sequence[object], obey: Callable[[Message], Message]) -> None:
        """Let operators in, and answer what they have said."""
        if self._socket in readable:
            self._let_in()
        for operator in [each for each in self._operators if each in readable]:
            try:
                packet = operator.recv(LARGEST_PACKET)
                if not packet:
                    raise ConnectionResetError
                operator.send(packb(_answer(packet, obey)))
            except OSError:  # gone, or it does not read its answers
                self._operators.remove(operator)
                operator.close()

    def close(self) -> None:
        """Nobody else comes in, and who is in is shown out."""
        for each in self.watched():
            each.close()

    def _let_in(self) -> None:
        with suppress(OSError):
            operator, _ = self._socket.accept()
            peer = operator.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            if _CREDENTIALS.unpack(peer)[1] != os.getuid():
                operator.close()
                return
            operator.setblocking(False)
            self._operators.append(operator)


class Operator:
    """The operator's end. Raises OSError where there is no door, or it does not open."""

    def __init__(self, folder: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._socket.settimeout(ANSWER_REAL_S)
            self._socket.connect(f"{folder}/{NAME}")
        except OSError:
            self._socket.close()
            raise

    def ask(self, command: Message) -> Message:
        """Give a command and hear what came of it. Raises OSError if the testbed is gone."""
        self._socket.send(packb(command))
        packet = self._socket.recv(LARGEST_PACKET)
        if not packet:
            raise ConnectionResetError("the testbed is gone")
        answer: Message = unpackb(packet)
        return answer

    def close(self) -> None:
        """Leave."""
        self._socket.close()


def _answer(packet: bytes, obey: Callable[[Message], Message]) -> Message:
    try:
        return obey(unpackb(packet))
    except Exception as error:  # a bad command harms whoever gave it, and nobody else
        return {"error": f"{type(error).__name__}: {error}"}
