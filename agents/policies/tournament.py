"""A tournament: the least of n keys is at hand, a changed key costs at most log₂ n matches.

A binary tree in an array: node i's children are 2i and 2i + 1, the n keys are the leaves n to 2n − 1, the winner of all
is at node 1. (Knuth, The Art of Computer Programming 3, section 5.4.1: a tree of winners.) A node also holds how many
of its leaves share its key, so that one of the tied can be drawn, each as likely as the others.
"""

from collections.abc import Sequence
from random import Random

Key = tuple[float, ...]


class Tournament:
    """Of at least one key, by place."""

    __slots__ = ("_best", "_count", "_size")

    def __init__(self, keys: Sequence[Key]) -> None:
        self._size = size = len(keys)
        self._best = best = [*keys, *keys]
        self._count = count = [1] * (2 * size)
        for node in range(size - 1, 0, -1):
            one, other = best[2 * node], best[2 * node + 1]
            best[node] = min(one, other)
            count[node] = count[2 * node] * (one <= other) + count[2 * node + 1] * (other <= one)

    @property
    def best(self) -> Key:
        """The least key."""
        return self._best[1]

    def put(self, place: int, key: Key) -> None:
        """The key of that place is this now. Nobody is told above the first match that ends as it did before."""
        best, count = self._best, self._count
        node = self._size + place
        best[node] = key
        while node > 1:
            one, other = best[node], best[node ^ 1]
            if one < other:
                winner, shared = one, count[node]
            elif other < one:
                winner, shared = other, count[node ^ 1]
            else:
                winner, shared = one, count[node] + count[node ^ 1]
            node >>= 1
            if winner == best[node] and shared == count[node]:
                return
            best[node], count[node] = winner, shared

    def draw(self, random: Random) -> int:
        """A place that has the least key."""
        best, count, node = self._best, self._count, 1
        while node < self._size:
            node *= 2
            if best[node] != best[1] or (
                best[node + 1] == best[1] and random.random() * (count[node] + count[node + 1]) >= count[node]
            ):
                node += 1
        return node - self._size
