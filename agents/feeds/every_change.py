"""``every-change``: whenever what it reports has changed, a server tells all its dispatchers.

Cost: a job changes the server twice, so with D dispatchers at most 2·D reports a job. Changes of one
wake-up are told together, and a value that came out the same is not a change; both make it fewer. A report
due to a dispatcher together with a completion shares its frame.
"""

from ..machine import Message, Outbox


class EveryChange:
    """Remembers what was told last; all connected dispatchers know the same."""

    __slots__ = ("_dispatchers", "_last")

    def __init__(self) -> None:
        self._dispatchers: list[str] = []
        self._last: Message = ()

    def joined(self, dispatcher: str, report: Message, outbox: Outbox) -> None:
        """Tell the newcomer at once (again, if its greeting was repeated)."""
        if dispatcher not in self._dispatchers:
            self._dispatchers.append(dispatcher)
        self._last = self._last or report
        outbox.setdefault(dispatcher, []).append(report)

    def left(self, dispatcher: str) -> None:
        """Forget the dispatcher."""
        if dispatcher in self._dispatchers:
            self._dispatchers.remove(dispatcher)

    def tell(self, report: Message, outbox: Outbox) -> None:
        """Tell everybody, if there is news."""
        if report == self._last:
            return
        self._last = report
        for dispatcher in self._dispatchers:
            if dispatcher in outbox:
                outbox[dispatcher].append(report)
            else:
                outbox[dispatcher] = [report]
