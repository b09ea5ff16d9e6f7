"""Which orders wait, are approved or done, and which policy is in force: a fold over the ledger's entries.

    approval.asked      an order (`keys.approval`), whole; nobody has signed it yet
    approval.signed     one administrator's signature over it
    approval.policy     the order that changes the policy was carried out: from here on the new one is in force
    approval.rejected   a person wants it no more            approval.failed   it could not be carried out
    approval.bypassed   the same as asked, for a revocation that does not wait for its signatures, as the policy allows

Every signature is verified again whenever this is read: an entry that only claims to be approved counts for nothing,
and is told. An order was carried out when the entry that does it (`ACTS`) names it in `detail.approval`, so whatever
crashes, it is carried out once.

    waits -> approved -> done               rejected, failed, expired, void (the policy has changed since)
             unapproved -> done             a revocation that did not wait for its signatures
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from config.errors import Refused
from config.times import from_text, to_text
from keys import approval
from keys.approval import ACTS, NEEDED, POLICY, Order, OrderError, Policy, Said, what_of
from keys.sshsig import SignatureError
from ledger.canonical import Json
from ledger.entry import Entry
from ledger.view import View

State = Literal["waits", "approved", "unapproved", "done", "rejected", "failed", "expired", "void"]

EVENTS = (
    "approval.asked",
    "approval.bypassed",
    "approval.signed",
    "approval.rejected",
    "approval.failed",
    "key.created",
    *ACTS,
)

NONE = -1
"""The number of the policy where none was ever in force."""

_NO_POLICY = Policy()


class NotApproved(Refused):
    """Something that needs the signatures of two administrators, and does not have them."""

    reason = "not-approved"


@dataclass(frozen=True, slots=True)
class Standing:
    """One order, and how far it is."""

    seq: int
    order: Order
    signed: tuple[tuple[str, str], ...] = ()
    """(key, when), each key once."""
    closed: Literal["rejected", "failed"] | None = None
    done: int | None = None
    """The entry that carried it out."""
    bypassed: bool = False
    """Whether it does not wait for its signatures."""

    @property
    def is_approved(self) -> bool:
        """Whether enough administrators have signed."""
        return len(self.signed) >= NEEDED

    @property
    def keys(self) -> frozenset[str]:
        """Who has signed."""
        return frozenset(key for key, _ in self.signed)


@dataclass(frozen=True, slots=True)
class Book:
    """Everything about approval that a ledger says."""

    policy: Policy = _NO_POLICY
    policy_seq: int = NONE
    orders: tuple[Standing, ...] = ()
    unapproved: tuple[int, ...] = ()
    """Entries that do what needed two signatures, without them."""
    rotations: frozenset[int] = frozenset()
    """Entries that ordered a new key as they should."""
    begins: Mapping[str, str] = field(default_factory=dict)
    """Fingerprint of each key -> from when on it is used."""
    false: tuple[int, ...] = ()
    """Entries that claim an order or a signature, and hold none that counts."""

    def find(self, seq: object) -> Standing | None:
        """The order that this entry asked for."""
        return next((known for known in self.orders if known.seq == seq), None)

    def state(self, known: Standing, now: datetime) -> State:
        """How far an order is."""
        if known.done is not None:
            return "done" if known.is_approved else "unapproved"
        if known.closed is not None:
            return known.closed
        if known.order.policy != self.policy_seq:
            return "void"
        if now >= from_text(known.order.expires):
            return "expired"
        return "approved" if known.is_approved else "waits"

    def electorate(self, order: Order) -> tuple[str, ...]:
        """Whose signatures count; for the first policy, those whom it names, which shows that they have their keys."""
        if order.what == POLICY and not self.policy.administrators:
            return Policy.from_json(order.arguments).administrators
        return self.policy.administrators

    def goes_at_once(self, order: Order) -> bool:
        """Whether an order is carried out before it is signed."""
        return order.what == "keys revoke" and self.policy.revoke == "at-once"

    def objection(self, said: Said, now: datetime) -> str | None:
        """Why an entry may not be written; None if it may."""
        what, number = what_of(said), said.detail.get("approval")
        if what is None:
            return None
        if number is None:
            return "it needs the signatures of two administrators" if self.policy.demands(what) else None
        known = self.find(number)
        if known is None or not approval.fits(known.order, said):
            return "it is not what was ordered"
        goes_with_it = said.event == "key.revoked" and not approval.completes(known.order, said)
        if goes_with_it and self.begins.get(said.key or "", "") <= to_text(now):
            return "it is not what was ordered"
        if self.is_due(known, now):
            return None
        state = self.state(known, now)
        return f"the order is {state}" if state != "waits" else "not enough administrators have signed"

    def is_due(self, known: Standing, now: datetime) -> bool:
        """Whether an order is to be carried out now."""
        state = self.state(known, now)
        return state == "approved" or (state == "waits" and known.bypassed)

    def refusal(self, known: Standing, key: str, now: datetime) -> str | None:
        """Why a signature by `key` does not count for an order; None if it does."""
        if key not in self.electorate(known.order):
            return "it is by no administrator of the policy in force"
        if key in known.keys:
            return "this administrator has signed already: another one must, with another key"
        state = self.state(known, now)
        return None if state in ("waits", "unapproved") else f"the order is {state}"


def read(view: View) -> Book:
    """The book of a ledger."""
    marks = ", ".join("?" * len(EVENTS))
    rows = view.rows(" ".join(("SELECT seq FROM entries WHERE event IN", f"({marks})", "ORDER BY seq")), *EVENTS)
    return from_entries(view.entry(seq) for (seq,) in rows)


def from_entries(entries: Iterable[Entry]) -> Book:
    """What entries make of it, in their order."""
    book = Book()
    for entry in entries:
        book = after(book, entry)
    return book


def after(book: Book, entry: Entry) -> Book:
    """The book with one more entry."""
    match entry.event:
        case "approval.asked" | "approval.bypassed":
            return _asked(book, entry)
        case "approval.signed":
            return _signed(book, entry)
        case "approval.rejected" | "approval.failed":
            known = book.find(entry.detail.get("order"))
            if known is None or known.done is not None:
                return replace(book, false=(*book.false, entry.seq))
            return _with(book, replace(known, closed="rejected" if entry.event == "approval.rejected" else "failed"))
        case "key.created":
            return _created(book, entry)
    return _acted(book, entry)


def permit(view: View, said: Said, now: datetime) -> None:
    """Raise NotApproved unless an entry may be written now; to be called in the transaction that writes it."""
    why = read(view).objection(said, now)
    if why is not None:
        raise NotApproved(f"nothing was done: {why}", hint="'handover approval list' shows the orders that wait")


def named(number: int | None) -> dict[str, Json]:
    """For the detail of the entry that carries out an order: which one."""
    return {} if number is None else {"approval": number}


def _asked(book: Book, entry: Entry) -> Book:
    try:
        order = approval.from_json(entry.detail.get("order"))
    except OrderError:
        return replace(book, false=(*book.false, entry.seq))
    bypassed = entry.event == "approval.bypassed"
    known = any(known.order.id == order.id for known in book.orders)
    if order.policy != book.policy_seq or known or (bypassed and not book.goes_at_once(order)):
        return replace(book, false=(*book.false, entry.seq))
    return replace(book, orders=(*book.orders, Standing(entry.seq, order, bypassed=bypassed)))


def _signed(book: Book, entry: Entry) -> Book:
    known, armored = book.find(entry.detail.get("order")), entry.detail.get("signature")
    try:
        key = approval.signer(str(armored), known.order) if known is not None else ""
    except SignatureError:
        key = ""
    if known is None or book.refusal(known, key, from_text(entry.at)) is not None:
        return replace(book, false=(*book.false, entry.seq))
    return _with(book, replace(known, signed=(*known.signed, (key, entry.at))))


def _created(book: Book, entry: Entry) -> Book:
    """A new key of ours belongs to an order; a host key is its server's, and in handover.toml."""
    book = replace(book, begins={**book.begins, str(entry.key): str(entry.detail.get("begins") or entry.at)})
    # compared one by one: what an entry holds there need not be a number
    ordered = (
        any(entry.detail.get("rotation") == seq for seq in book.rotations) or entry.detail.get("purpose") == "host"
    )
    if ordered or not book.policy.demands("keys rotate"):
        return book
    return replace(book, unapproved=(*book.unapproved, entry.seq))


def _acted(book: Book, entry: Entry) -> Book:
    what = what_of(entry)
    if what is None:
        return book
    if book.objection(entry, from_text(entry.at)) is not None:
        return replace(book, unapproved=(*book.unapproved, entry.seq))
    if entry.event == "key.rotating":
        book = replace(book, rotations=book.rotations | {entry.seq})
    known = book.find(entry.detail.get("approval"))
    if known is None or not approval.completes(known.order, entry):
        return book
    book = _with(book, replace(known, done=entry.seq))
    if what == POLICY:
        book = replace(book, policy=Policy.from_json(known.order.arguments), policy_seq=entry.seq)
    return book


def _with(book: Book, changed: Standing) -> Book:
    orders = tuple(changed if known.seq == changed.seq else known for known in book.orders)
    return replace(book, orders=orders)
