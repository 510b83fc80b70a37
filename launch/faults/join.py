"""Who joins a run that is under way: what the others start without, and what they are told then. Pure."""

from collections.abc import Collection, Mapping
from typing import Any

from ..record.folder import AgentEntry

Spec = Any
"""A ``ServerSpec`` or a ``DispatcherSpec``."""


def without(spec: Spec, absent: Collection[str]) -> Spec:
    """A specification that does not know of some peers."""
    lists = ("servers", "addresses", "weights") if spec["role"] == "dispatcher" else ("dispatchers",)
    kept = [number for number, peer in enumerate(spec[lists[0]]) if peer not in absent]
    return spec | {name: [spec[name][number] for number in kept] for name in lists}


def invitations(spec: Spec, specs: Mapping[str, Spec]) -> dict[str, dict[str, Any]]:
    """What each peer of a newcomer is told (order ``join``). ``specs``: everybody's; its peers' know of it."""
    return {peer: _invitation(spec, peer, specs) for peer in peers(spec)}


def peers(spec: Spec) -> list[str]:
    """Whom an agent has edges to, in the order of its journal's numbers."""
    return list(spec["servers"] if spec["role"] == "dispatcher" else spec["dispatchers"])


def entry(spec: Spec) -> AgentEntry:
    """The agent in ``plan.json``; peers that join later come behind."""
    return {"id": spec["id"], "role": spec["role"], "peers": peers(spec)}


def _invitation(spec: Spec, peer: str, specs: Mapping[str, Spec]) -> dict[str, Any]:
    order = {
        "tell": "join",
        "peer": spec["id"],
        "address": "",
        "weight": 1.0,
        "delay": float(spec["delays"].get(peer, 0.0)),
    }
    if spec["role"] == "server":
        own = specs[peer]
        place = own["servers"].index(spec["id"])
        order["address"] = own["addresses"][place]
        order["weight"] = float(own["weights"][place])
    return order
