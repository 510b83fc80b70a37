"""Who is connected to whom, read from the kernel and not from what the processes say of themselves.

A descriptor of a process is a link ``socket:[inode]`` in ``/proc/PID/fd`` (proc(5)). What an inode is, and
which inode is at its other end, tell two tables of the kernel: unix sockets through sock_diag(7), TCP through
``/proc/net/tcp`` and ``tcp6``, where the two ends of a connection are those whose addresses are each other's.
Every process is read, so that the far end is found even if nobody asked for it.

Not seen: to whom a datagram socket sends without connecting, and pipes, files, shared memory. Nor is it one
instant: a connection made or cut while descriptors and then tables are read may lack its other end, so look
again before an odd finding is held against anyone.
"""

import errno
import os
import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from struct import Struct, unpack_from
from typing import Any, NamedTuple

import psutil

from gmsr.topology.errors import RunError

PROC = Path("/proc")
DUMP_REAL_S = 10.0  # the kernel answers at once

# linux/netlink.h, linux/sock_diag.h, linux/unix_diag.h, and net/tcp_states.h, whose states unix sockets share
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST_DUMP = 0x1 | 0x300
_ERROR, _DONE = 2, 3
_SHOW_NAME, _SHOW_PEER, _SHOW_ICONS = 0x1, 0x4, 0x8
_NAME, _PEER, _ICONS, _SHUTDOWN = 0, 2, 3, 6
_ALL_STATES, _BOTH_WAYS = 0xFFFFFFFF, b"\3"
_HEADER = Struct("=IHHII")
_REQUEST = Struct("=BBHIIIII")
_ANSWER = Struct("=BBBBIII")
_ATTRIBUTE = Struct("=HH")

_STATES = (
    "UNKNOWN", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT",
    "LAST_ACK", "LISTEN", "CLOSING", "NEW_SYN_RECV",
)  # fmt: skip
_KINDS = {socket.SOCK_STREAM: "stream", socket.SOCK_DGRAM: "datagram", socket.SOCK_SEQPACKET: "seqpacket"}


class Connection(NamedTuple):
    """One end of a connection, as held by ``pid``.

    ``state`` is the kernel's, with two things to know. SHUTDOWN: a unix stream that is over, mostly because
    the other end was closed. LISTEN, or CLOSE of a datagram socket: this end has done nothing, the other one
    has connected to it (and, LISTEN, waits to be accepted).
    """

    pid: int
    family: str  # unix or tcp
    kind: str  # stream, datagram or seqpacket
    local: str  # a path, or ip:port; empty for a unix socket that was never bound, as a client's mostly is
    peer_pid: int | None  # None: no process, or one that may not be read, or is not on this machine
    peer: str  # as ``local``; an abstract unix socket's name begins with @ (unix(7))
    state: str


class Listening(NamedTuple):
    """A socket that others can reach: a stream that listens, or a datagram socket with a name."""

    pid: int
    family: str
    kind: str
    address: str


class Unseen(NamedTuple):
    """A socket whose connections these tables do not tell. ``what`` is the kernel's name of its protocol."""

    pid: int
    inode: int
    what: str


class Tables(NamedTuple):
    """What the kernel knows of the processes asked for, in order of process and inode."""

    connections: tuple[Connection, ...]
    listening: tuple[Listening, ...]
    unseen: tuple[Unseen, ...]
    shared: dict[int, tuple[int, ...]]  # who holds the same socket, by inode: it was inherited, or passed on
    internal: int  # connections of a process with itself that nobody else holds an end of; told nowhere else
    gone: tuple[int, ...]  # have ended, reaped or not; nothing else is told of them
    hidden: tuple[int, ...]  # may not be read; nothing, or not all, is told of them


def packed(tables: Tables) -> dict[str, Any]:
    """As plain data, on a channel where keys of maps are text."""
    return {**tables._asdict(), "shared": list(tables.shared.items())}


def unpacked(plain: dict[str, Any]) -> Tables:
    """What ``packed`` made, after its way."""
    return Tables(
        connections=tuple(Connection(*each) for each in plain["connections"]),
        listening=tuple(Listening(*each) for each in plain["listening"]),
        unseen=tuple(Unseen(*each) for each in plain["unseen"]),
        shared={inode: tuple(holders) for inode, holders in plain["shared"]},
        internal=plain["internal"],
        gone=tuple(plain["gone"]),
        hidden=tuple(plain["hidden"]),
    )


class _Socket(NamedTuple):
    family: str
    kind: str
    state: str
    local: str
    peer: str  # empty for unix: it is its peer's ``local``
    peer_inode: int  # 0: none


_Holders = dict[int, dict[int, Path]]  # the descriptor by inode and process


def look(pids: Iterable[int]) -> Tables:
    """Every socket of these processes. Raises RunError where the kernel does not list unix sockets."""
    asked = set(pids)
    holders, met, refused = _descriptors()
    sockets = _unix_sockets() | _tcp_sockets()
    gone = {pid for pid in asked if pid not in met or _has_ended(pid)}
    ours = asked - gone
    held = sorted((pid, inode) for inode, holding in holders.items() for pid in holding.keys() & ours)
    connections, internal = _connections(held, sockets, holders, ours)
    return Tables(
        connections=tuple(connections),
        listening=tuple(_listening(held, sockets)),
        unseen=tuple(_unseen(held, sockets, holders)),
        shared={inode: tuple(sorted(holders[inode])) for _, inode in held if len(holders[inode]) > 1},
        internal=internal,
        gone=tuple(sorted(gone)),
        hidden=tuple(sorted(refused & ours)),
    )


def _connections(
    held: list[tuple[int, int]], sockets: dict[int, _Socket], holders: _Holders, ours: set[int]
) -> tuple[list[Connection], int]:
    """Each end in ``held`` that is not internal, and how many connections are."""
    far_ends = _far_ends(sockets)
    connections: list[Connection] = []
    internal: set[frozenset[int]] = set()
    for pid, inode in held:
        for far in far_ends.get(inode, ()):
            family, kind, state, local, peer, _ = sockets[inode]
            far_holders = holders.get(far, {})
            if holders[inode].keys() == far_holders.keys() == {pid}:
                internal.add(frozenset((inode, far)))
                continue
            if far in sockets:
                peer = sockets[far].local
            # Where several hold the far end: another process rather than the same, one of ours rather than not.
            peer_pid = min(far_holders, key=lambda it: (it == pid, it not in ours, it), default=None)
            connections.append(Connection(pid, family, kind, local, peer_pid, peer, state))
    return connections, len(internal)


def _far_ends(sockets: dict[int, _Socket]) -> dict[int, list[int]]:
    """The inodes at the other end of each, 0 for one that is not known."""
    ends: dict[int, list[int]] = {}
    for inode, near in sockets.items():
        if near.peer_inode or near.state not in ("LISTEN", "CLOSE"):
            ends.setdefault(inode, []).append(near.peer_inode)
            far = sockets.get(near.peer_inode)
            if far and far.peer_inode != inode:  # it was connected to, and has not connected itself
                ends.setdefault(near.peer_inode, []).append(inode)
    return ends


def _listening(held: list[tuple[int, int]], sockets: dict[int, _Socket]) -> Iterator[Listening]:
    for pid, inode in held:
        found = sockets.get(inode)
        if found and (found.state == "LISTEN" or (found.kind == "datagram" and found.local)):
            yield Listening(pid, found.family, found.kind, found.local)


def _unseen(held: list[tuple[int, int]], sockets: dict[int, _Socket], holders: _Holders) -> Iterator[Unseen]:
    for pid, inode in held:
        found = sockets.get(inode)
        if found is None:
            if what := _protocol(holders[inode][pid], inode):
                yield Unseen(pid, inode, what)
        elif (found.kind, found.local, found.peer_inode) == ("datagram", "", 0):
            yield Unseen(pid, inode, "unix datagram without a name")  # it can send, who knows where to


def _protocol(descriptor: Path, inode: int) -> str:
    """What the kernel calls a socket's protocol, such as UDP or NETLINK; empty if it was closed meanwhile."""
    try:
        what = os.getxattr(descriptor, "system.sockprotoname").rstrip(b"\0").decode()
        return what if str(descriptor.readlink()) == f"socket:[{inode}]" else ""
    except OSError as error:
        return "" if error.errno in (errno.ENOENT, errno.ESRCH) else "unknown"


def _descriptors() -> tuple[_Holders, set[int], set[int]]:
    """The sockets of every process; all processes; those that may not be read."""
    holders: _Holders = {}
    met, refused = set(psutil.pids()), set[int]()
    for pid in met:
        try:
            for descriptor in (PROC / str(pid) / "fd").iterdir():
                with suppress(FileNotFoundError):  # closed since
                    target = str(descriptor.readlink())
                    if target.startswith("socket:["):
                        holders.setdefault(int(target[8:-1]), {})[pid] = descriptor
        except PermissionError:
            refused.add(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
    return holders, met, refused


def _has_ended(pid: int) -> bool:
    """A zombie has ended too: its descriptors are closed."""
    try:
        stat = (PROC / str(pid) / "stat").read_bytes()
    except OSError as error:
        return not isinstance(error, PermissionError)
    return stat.rpartition(b")")[2].split()[0] in (b"Z", b"X")


def _unix_sockets() -> dict[int, _Socket]:
    """The kernel's unix sockets, by inode."""
    sockets: dict[int, _Socket] = {}
    waiting: dict[int, int] = {}  # from those not accepted yet to the socket that listens
    try:
        for message in _dump():
            _, kind, state, _, inode, _, _ = _ANSWER.unpack_from(message)
            told = dict(_attributes(message[_ANSWER.size :]))
            icons = told.get(_ICONS, b"")
            waiting.update(dict.fromkeys(unpack_from(f"={len(icons) // 4}I", icons), inode))
            (peer,) = unpack_from("=I", told.get(_PEER, bytes(4)))
            name = _STATES[state]
            if name == "ESTABLISHED" and _PEER not in told:
                name = "CLOSE"  # the kernel marks a datagram socket that another connects to as connected too
            elif name == "ESTABLISHED" and told.get(_SHUTDOWN) == _BOTH_WAYS:
                name = "SHUTDOWN"
            sockets[inode] = _Socket("unix", _KINDS[kind], name, _path(told.get(_NAME, b"")), "", peer)
    except OSError as error:
        why = error.strerror or error
        raise RunError(f"the kernel does not list unix sockets (sock_diag(7)): {why}") from error
    sockets.pop(0, None)  # not accepted yet: of no process
    for inode, listener in waiting.items():
        if inode in sockets and not sockets[inode].peer_inode:
            sockets[inode] = sockets[inode]._replace(peer_inode=listener)
    return sockets


def _dump() -> Iterator[bytes]:
    """The kernel's answers about all unix sockets of this network namespace."""
    request = _REQUEST.pack(socket.AF_UNIX, 0, 0, _ALL_STATES, 0, _SHOW_NAME | _SHOW_PEER | _SHOW_ICONS, 0, 0)
    header = _HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as netlink:
        netlink.settimeout(DUMP_REAL_S)
        netlink.send(header + request)
        while True:
            data = netlink.recv(1 << 16)
            while data:
                length, kind, _, _, _ = _HEADER.unpack_from(data)
                payload = data[_HEADER.size : length]
                if kind in (_ERROR, _DONE):
                    (code,) = unpack_from("=i", payload)
                    if code:
                        raise OSError(-code, os.strerror(-code))
                    return
                yield payload
                data = data[length + -length % 4 :]


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        length, kind = _ATTRIBUTE.unpack_from(data)
        yield kind, data[_ATTRIBUTE.size : length]
        data = data[length + -length % 4 :]


def _path(name: bytes) -> str:
    """A unix socket's address as text."""
    return os.fsdecode(b"@" + name[1:] if name[:1] == b"\0" else name.rstrip(b"\0"))


def _tcp_sockets() -> dict[int, _Socket]:
    """TCP sockets of this network namespace that belong to a process, by inode."""
    found: dict[int, _Socket] = {}
    for table in ("tcp", "tcp6"):
        with suppress(FileNotFoundError):  # a kernel without IPv6
            for line in (PROC / "net" / table).read_text().splitlines()[1:]:
                row = line.split()
                state, inode = _STATES[int(row[3], 16)], int(row[9])
                if inode:
                    remote = "" if state == "LISTEN" else _address(row[2])
                    found[inode] = _Socket("tcp", "stream", state, _address(row[1]), remote, 0)
    ends = {(one.local, one.peer): inode for inode, one in found.items()}
    peers = {inode: ends.get((one.peer, one.local), 0) for inode, one in found.items()}
    return {inode: one._replace(peer_inode=peers[inode]) for inode, one in found.items()}


def _address(text: str) -> str:
    """``0100007F:0050``, words in the machine's byte order, as 127.0.0.1:80; IPv4 within IPv6 as IPv4."""
    words, port = text.split(":")
    packed = bytes.fromhex(words)
    if sys.byteorder == "little":
        packed = b"".join(packed[at : at + 4][::-1] for at in range(0, len(packed), 4))
    ip = socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
    ip = ip.removeprefix("::ffff:")
    return f"[{ip}]:{int(port, 16)}" if ":" in ip else f"{ip}:{int(port, 16)}"
