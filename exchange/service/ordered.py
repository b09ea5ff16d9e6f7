"""What people order by other processes while the service runs: noticed by the ledger's version, and done at once."""

from collections.abc import Callable

from exchange import approval_acts, key_desk
from exchange.failures import Failures
from exchange.parts import Parts


class Ordered:
    """Remembers what was noticed last. Not for two threads at once."""

    def __init__(self, parts: Parts) -> None:
        self._version = parts.ledger.data_version()
        self._left_over = False

    def look(self, parts: Parts, learn: Callable[[], None]) -> None:
        """If another process wrote to the ledger, do what is due and `learn` the rest; what fails is tried again.

        An order that cannot be carried out now keeps nothing else waiting; its failure is raised at the end.
        """
        version = parts.ledger.data_version()
        changed = version != self._version
        if not (changed or self._left_over):
            return
        failures = Failures()
        for act in (approval_acts.carry_out, key_desk.tend):
            with failures.kept():
                act(parts)
        self._left_over = failures.first is not None
        if changed:
            learn()
            # last: where that fails it is done again at the next look
            self._version = version
        failures.raise_first()
