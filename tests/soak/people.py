"""What people do meanwhile: they look, and order `retry`, `withdraw` and `release`, by the real commands."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from config.errors import HandoverError
from exchange.questions import all_rows
from ledger.query import Row
from tests.faults.attempt import NOT_FOR_PEOPLE
from tests.system.daemons import Running

SENSE: dict[str, Callable[[Row], bool]] = {
    "retry": lambda row: row.state in ("sealed", "sent", "delivered"),
    "withdraw": lambda row: row.direction == "out" and row.state in ("accepted", "sealed", "held"),
    "release": lambda row: row.state == "held",
}
"""Order -> for which handovers somebody would give it."""

LOOKS = (("list", "--json"), ("status", "--json"), ("list", "--all"), ("ledger", "verify"))
ANSWERS = {0: "done", 1: "no", 2: "too late", 3: "not now"}


@dataclass(frozen=True, slots=True)
class Order:
    """One order that was taken."""

    of: str
    what: str
    handover: str


@dataclass
class People:
    """Both organisations' operators."""

    both: dict[str, Running]
    random: Random
    orders: list[Order] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)

    def act(self) -> None:
        """One command."""
        of = self.random.choice(sorted(self.both))
        if self.random.random() < 0.3:
            self._command(of, *self.random.choice(LOOKS))
            return
        what = self.random.choice(sorted(SENSE))
        try:
            rows: list[Row] = [row for row in all_rows(self.both[of].home) if SENSE[what](row)]
        except (HandoverError, OSError):
            return
        if rows:
            row = self.random.choice(rows[:20])
            if self._command(of, what, row.id) == 0:
                self.orders.append(Order(of, what, row.id))

    def _command(self, of: str, *arguments: str) -> int:
        ended = self.both[of].command(*arguments, timeout=120)
        answer = ANSWERS.get(ended.returncode)
        self.done[f"{arguments[0]}: {answer}"] += 1
        unclear = ended.returncode in (2, 3) and not ended.stderr.startswith("error: ")
        if answer is None or unclear or NOT_FOR_PEOPLE.search(ended.stderr):
            self.complaints.append(f"{of} {' '.join(arguments)} ended with {ended.returncode}: {ended.stderr}")
        return ended.returncode
