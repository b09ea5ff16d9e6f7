"""What a person orders for one handover (`retry`, `release`, `withdraw`, `destroy`): an entry that the daemon carries
out.

    handover retry ID     -> retry.asked      upload it again now; or send our receipt again
    handover release ID   -> release.asked    a held file goes back to its outbound folder; a quarantined envelope is
                                              opened once more
    handover withdraw ID  -> withdraw.asked   a file that has not been sent is put aside in held/; a quarantined
                                              envelope is thrown away
    handover destroy ID   -> destroy.asked    our copy of a file that was handed over is destroyed before its time

An order is open until an entry answers it: one whose detail has `order` = the number of the asking entry. What cannot
be done is answered by `order.refused` with the reason, `hold` where a legal hold forbids it. Who asked, and why, is
committed to, not spelled out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from config.errors import Misuse
from ledger.canonical import Json
from ledger.entry import Draft, Entry
from ledger.handover import Handover
from ledger.store import Ledger, Transaction
from ledger.view import View

What = Literal["retry", "release", "withdraw", "destroy"]

MAX_REASON = 2000
"""Characters: a reason is a sentence or a case number, not a file."""

WORDS: Mapping[str, What] = {"retry": "retry", "release": "release", "withdraw": "withdraw", "destroy": "destroy"}

ALLOWED: dict[tuple[What, str], tuple[str, ...]] = {
    ("retry", "out"): ("sealed", "sent"),
    ("retry", "in"): ("delivered", "rejected", "destroyed"),
    ("release", "out"): ("held",),
    ("release", "in"): ("quarantined",),
    ("withdraw", "out"): ("accepted", "sealed", "held"),
    ("withdraw", "in"): ("quarantined",),
    ("destroy", "out"): ("acknowledged",),
    ("destroy", "in"): ("delivered",),
}
"""(order, direction) -> the states in which it makes sense."""

NOT_TOGETHER = "not-together"
"""A held file is not released: it and its explanation do not lie in held/ side by side, under the names given there."""

HINTS: Mapping[str, str] = {
    NOT_TOGETHER: "its file does not lie beside its explanation in held/: put both there, under their old names, and"
    " release it again; where the file is not there any more, 'handover withdraw' ends it",
}
"""What to do about an order that was refused for this reason."""

_OPEN = (
    "SELECT a.seq FROM entries a WHERE a.event IN "
    "('retry.asked', 'release.asked', 'withdraw.asked', 'destroy.asked') AND NOT EXISTS "
    "(SELECT 1 FROM entries b WHERE b.handover = a.handover AND b.seq > a.seq "
    "AND json_extract(CAST(b.entry AS TEXT), '$.detail.order') = a.seq) ORDER BY a.seq"
)


@dataclass(frozen=True, slots=True)
class Order:
    """One order that nobody has answered yet."""

    seq: int
    what: What
    handover: Handover

    @property
    def makes_sense(self) -> bool:
        """Whether the handover is (still) in a state in which this can be done."""
        return self.handover.state in ALLOWED.get((self.what, self.handover.direction), ())


def place(
    ledger: Ledger, handover: Handover, what: What, by: str, *, reason: str = "", detail: dict[str, Json] | None = None
) -> Entry:
    """Record an order; raises Misuse where it makes no sense for that handover."""
    states = ALLOWED.get((what, handover.direction), ())
    if handover.state not in states:
        direction = "a file of ours" if handover.direction == "out" else "a received file"
        wanted = _participle(what)
        why_not = "already" if handover.state == wanted else f"and cannot be {wanted}"
        raise Misuse(
            f"handover {handover.id} is {handover.state} {why_not}",
            hint=f"{what} is for {direction} that is {' or '.join(states)}"
            if states
            else f"{what} is not for {direction}",
        )
    private = {"by": by, **({"reason": reason} if reason else {})}
    draft = _draft(f"{what}.asked", handover, detail or {}).replace(private=private)
    return ledger.write(lambda tx: tx.append(draft))


def open_orders(view: View) -> Iterator[Order]:
    """Every order that has not been answered, in the order in which they were placed."""
    for (seq,) in view.rows(_OPEN):
        entry = view.entry(seq)
        if entry.partner is None or entry.direction is None or entry.handover is None:
            continue
        handover = view.handover(entry.partner, entry.direction, entry.handover)
        if handover is not None:
            yield Order(seq, WORDS[entry.event.removesuffix(".asked")], handover)


def being_withdrawn(view: View) -> set[str]:
    """Ids of the outgoing handovers that somebody wants back, and no answer yet: they do not go up meanwhile."""
    asked = (order for order in open_orders(view) if order.what == "withdraw")
    return {order.handover.id for order in asked if order.handover.direction == "out"}


def answer(ledger: Ledger, order: Order, event: str, detail: dict[str, Json] | None = None) -> None:
    """Record what became of an order."""
    ledger.write(lambda tx: answer_within(tx, order, event, detail))


def answer_within(tx: Transaction, order: Order, event: str, detail: dict[str, Json] | None = None) -> None:
    """The same in a transaction that has looked whether it may be so."""
    tx.append(_draft(event, order.handover, {**(detail or {}), "order": order.seq}))


def answer_once(ledger: Ledger, order: Order, event: str, detail: dict[str, Json] | None = None) -> None:
    """The same where another worker may have answered it just now: then nothing is added to that."""
    draft = _draft(event, order.handover, {**(detail or {}), "order": order.seq})

    def record(tx: Transaction) -> None:
        if any(seq == order.seq for (seq,) in tx.rows(_OPEN)):
            tx.append(draft)

    ledger.write(record)


REFUSED = "order.refused"


def refuse(ledger: Ledger, order: Order, reason: str) -> None:
    """Record that an order was not carried out, and why; unless another worker has just done it."""
    answer_once(ledger, order, REFUSED, {"reason": reason})


def _draft(event: str, handover: Handover, detail: dict[str, Json]) -> Draft:
    return Draft(
        event=event,
        actor="operator" if event.endswith(".asked") else "daemon",
        handover=handover.id,
        partner=handover.partner,
        direction=handover.direction,
        detail=detail,
    )


def _participle(what: What) -> str:
    return {"retry": "retried", "release": "released", "withdraw": "withdrawn", "destroy": "destroyed"}[what]


def checked_reason(reason: str) -> str:
    """Why somebody does this; raises Misuse where that says nothing."""
    said = reason.strip()
    if not said or len(said) > MAX_REASON or not said.isprintable():
        raise Misuse(f"the reason must be one line of 1 to {MAX_REASON} characters")
    return said


def order_by_id(ledger: Ledger, identifier: str, what: str, by: str) -> dict[str, str | int]:
    """Record an order for the one handover whose id begins with `identifier`."""
    handover = the_one(ledger, identifier)
    entry = place(ledger, handover, WORDS[what], by)
    return {"handover": handover.id, "order": what, "seq": entry.seq}


def the_one(view: View, identifier: str) -> Handover:
    """The one handover whose id begins with `identifier`; raises Misuse."""
    found = view.find_handovers(identifier)
    if len(found) != 1:
        how_many = "no handover has" if not found else f"{len(found)} handovers have"
        raise Misuse(f"{how_many} an id that begins with {identifier}", hint="'handover list --all' shows the ids")
    return found[0]
