"""``fastest``: the server with the largest service rate μ(N) at present. Ties at random.

It looks at the rate where GMSR looks at the rate's rise, and so feeds whoever is ahead (MODEL section 10).
"""

from random import Random
from typing import ClassVar

from ..view import View
from .ranked import Ranked


class Fastest(Ranked):
    """Largest μ(N) reported."""

    reads: ClassVar[tuple[str, ...]] = ("rate",)

    def __init__(self, view: View, random: Random) -> None:
        super().__init__(view, random, view.column("rate"), largest=True)
