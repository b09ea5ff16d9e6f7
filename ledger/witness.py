"""Two organisations witness each other's ledgers, by a few lines on every message that they exchange anyway.

    my newest checkpoint, and the proof that it continues the one that you cosigned last   -> you cosign it, or object
    your newest checkpoint that I have checked, with your signature and mine               -> you keep mine, or find out
                                                                                              that you were rolled back

Specification: the rules of C2SP tlog-witness, carried by messages (`ledger/statement.py`) instead of HTTP. Messages get
lost, come twice and overtake each other, so most of what does not fit is no conflict: it is just not cosigned, and the
`seen` of the answer lets the partner start from the right size next time. A conflict is what an honest ledger can never
say; it is recorded as `witness.conflict`, and the message goes on.

When a note that one of our own ledger keys has signed, and the partner has cosigned, is of a tree that this ledger does
not hold, this ledger was rolled back: that is recorded once as `witness.rolled-back` and raised, because nothing may go
on as before. Less than that note stops nobody: a partner's word alone, however large the number, is a conflict.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from config.errors import Refused, Tampered
from config.times import from_text
from ledger import checkpoint, closing, merkle, note
from ledger.canonical import Json
from ledger.checkpoint import Checkpoint, Cosigner
from ledger.entry import Draft
from ledger.head import open_checkpoint
from ledger.note import Verifier
from ledger.statement import Statement, StatementError
from ledger.store import Ledger, Transaction
from ledger.view import View, Witnessed, size_of

__all__ = ["Outcome", "RolledBack", "Statement", "StatementError", "compare", "compose", "receive"]

MAX_UNPROVEN = 5
"""Checkpoints in a row that a partner could have proven to us and has not; an honest one never has a single one."""

MAX_CONFLICTS = 16
"""Conflicts with one partner that are recorded within CONFLICTS_FOR: what more there are tells nobody anything."""

CONFLICTS_FOR = timedelta(hours=1)


class RolledBack(Tampered):
    """A partner has cosigned what this ledger does not hold: an older copy was put in its place."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a partner's statement. `conflict` is a reason code, or None."""

    cosigned: bool
    conflict: str | None = None


def compose(ledger: Ledger, partner: str, until: int | None = None) -> Statement:
    """What to tell `partner` now.

    `until`: the entry that ended the last ledger key that it knows, where no key that signs now is known to it. Then it
    is told what that key has signed last, because what it cannot verify would look like another ledger.
    """
    with ledger.reading() as view:
        newest = view.checkpoint()
        old, stated = view.partner_seen(partner), newest
        if old > size_of(newest):
            raise _rolled_back(partner, old, size_of(newest))
        if until is not None and old <= size_of(last := view.checkpoint_at_or_before(until)):
            stated = last
        known = view.witnessed(partner)
        return Statement(
            checkpoint=stated.decode(),
            old=old,
            consistency=view.consistency(old, size_of(stated)),
            cosigned="" if known is None else _with_ours(known),
            seen=0 if known is None else known.size,
        )


def receive(
    ledger: Ledger,
    partner: str,
    statement: Statement,
    *,
    ledger_verifiers: Sequence[Verifier],
    witness_verifiers: Sequence[Verifier],
    cosigners: Sequence[Cosigner],
    sequence: int | None,
    now: datetime,
    handover: str | None = None,
    ended: frozenset[bytes] = frozenset(),
    excused: Callable[[View, int], Sequence[Verifier]] = lambda *_: (),
) -> Outcome:
    """Take a partner's statement in: check and persist in one commit, so that the answer can only be what was kept.

    `sequence` and `handover` are the running number and id of the concern that brought it, None for other messages.
    `ended` are the ids of those keys, of either kind, that no longer vouch for anything new; `excused` finds
    ledger keys besides: what only they have signed is not believed, and no conflict.
    Raises RolledBack, after recording it, if the partner proves that it has cosigned what this ledger does not hold.
    """
    signers = [replace(cosigner, now=int(now.timestamp())) for cosigner in cosigners]
    lasting = [verifier for verifier in ledger_verifiers if verifier.key_id not in ended]

    def take(tx: Transaction) -> tuple[Outcome, RolledBack | None]:
        try:
            said = closing.without_former(tx, partner, statement, ledger.verifiers, witness_verifiers)
            _take_cosigned(tx, partner, said, ledger.verifiers, witness_verifiers, ended)
            _check_sequence(tx, partner, sequence, handover)
            cosigned = _take_checkpoint(tx, partner, said, ledger_verifiers, lasting, excused, signers)
        except RolledBack as loss:
            _record_once(tx, partner, statement)
            return Outcome(cosigned=False), loss
        except Refused as problem:
            _record_conflict(tx, partner, problem.reason, old=statement.old)
            return Outcome(cosigned=False, conflict=problem.reason), None
        return Outcome(cosigned), None

    # SPEC: FORMATS 5 witness: check-and-persist is atomic and happens before the answer
    outcome, loss = ledger.write(take)
    if loss is not None:
        raise loss
    return outcome


def _take_cosigned(
    tx: Transaction,
    partner: str,
    statement: Statement,
    own: Sequence[Verifier],
    witnesses: Sequence[Verifier],
    ended: frozenset[bytes],
) -> None:
    """Keep the partner's signatures on our checkpoint; raises RolledBack, or Refused for what proves nothing.

    That this ledger was rolled back is also believed of a key that was retired since: an older copy of the ledger may
    be what says so, or what does not know its successor yet.
    """
    if statement.seen > 0:
        opened = note.open_note(statement.cosigned.encode(errors="replace"), (*own, *witnesses))
        stated, held = checkpoint.parse(opened.text), tx.checkpoint_of(statement.seen)
        ours, theirs = _ids(own), _ids(witnesses)
        if not any(s.name == stated.origin and (s.name, s.key_id) in ours for s in opened.verified):
            raise Refused("a partner has cosigned what no key of this ledger has signed", reason="not-ours")
        if stated.size != statement.seen:
            raise Refused("a partner has cosigned another size than it says", reason="other-size")
        cosigned = [s for s in opened.verified if (s.name, s.key_id) in theirs]
        if not _holds(tx, stated, opened.text, held):
            if not cosigned:
                raise Refused("a partner shows a checkpoint without its known key's signature", reason="unknown-key")
            raise _rolled_back(partner, stated.size, tx.size)
        # whatever time a line tells: whoever has the key writes any
        for signature in cosigned if held is not None else ():
            if signature.key_id not in ended:
                tx.keep_cosignature(partner, statement.seen, signature.line)


def _holds(view: View, stated: Checkpoint, text: str, held: bytes | None) -> bool:
    """Whether this ledger was once, or still is, what a checkpoint says. Not every size has a checkpoint of its own."""
    if held is not None:
        return note.split(held)[0] == text
    return stated.size <= view.size and view.root(stated.size) == stated.root


def _rolled_back(partner: str, seen: int, size: int) -> RolledBack:
    # SPEC: FORMATS 5 witness: a cosigned size that my ledger does not have means that I was rolled back
    if seen > size:
        return RolledBack(f"{partner} has cosigned {seen} entries of this ledger, which holds {size}", hint=_HINT)
    return RolledBack(f"{partner} has cosigned another tree of {seen} entries than this ledger's", hint=_HINT)


def _record_once(tx: Transaction, partner: str, statement: Statement) -> None:
    """The message is read again at every start, for as long as nobody has done anything about it."""
    root = statement.cosigned.split("\n")[2]
    for (seq,) in tx.rows("SELECT seq FROM entries WHERE event = 'witness.rolled-back' AND +partner = ?", partner):
        if (said := tx.entry(seq).detail)["seen"] == statement.seen and said["root"] == root:
            return
    detail: dict[str, Json] = {"seen": statement.seen, "root": root, "size": tx.size}
    tx.append(Draft(event="witness.rolled-back", actor="daemon", partner=partner, detail=detail))


def _check_sequence(view: View, partner: str, sequence: int | None, handover: str | None) -> None:
    # SPEC: FORMATS 5 witness: the same sequence for another id is a conflict
    if sequence is None or handover is None:
        return
    holder = view.with_number(partner, "in", sequence)
    if holder is not None and holder.id != handover:
        raise Refused("a running number was used for two handovers", reason="sequence-reused")


def _take_checkpoint(
    tx: Transaction,
    partner: str,
    statement: Statement,
    verifiers: Sequence[Verifier],
    lasting: Sequence[Verifier],
    excused: Callable[[View, int], Sequence[Verifier]],
    cosigners: Sequence[Cosigner],
) -> bool:
    """Cosign the partner's checkpoint if it continues the last one; raises Refused for a conflict."""
    signed = statement.checkpoint.encode(errors="replace")
    stated = _opened(tx, partner, signed, verifiers, excused)
    if stated is None or closing.is_of_closed(tx, partner, signed):
        return False
    known = tx.witnessed(partner)
    size, root = (0, merkle.EMPTY_ROOT) if known is None else (known.size, known.root)
    if known is not None:
        _compare(stated, known)
        if stated.size < size and statement.seen > known.seen:
            # both only ever grow in one ledger, so one of the two is not that ledger, or it went back in between
            raise Refused("a partner's ledger has become smaller", reason="smaller-than-before")
    if stated.size >= size:
        # what was overtaken by something newer is no news; else the last word counts, not the greatest: a partner
        # that has forgotten what it cosigned starts from less
        tx.keep_partner_seen(partner, statement.seen)
    if stated.size <= size:
        return False
    # SPEC: C2SP tlog-witness: old ≠ stored size is not cosigned; the answer's `seen` says what is stored
    if statement.old != size:
        _count_unproven(tx, partner, statement, 0 if known is None else known.at)
        return False
    # SPEC: C2SP tlog-witness: old = 0 needs an empty proof; a proof that fails is a conflict
    merkle.verify_consistency(statement.old, stated.size, statement.consistency, root, stated.root)
    # an old message may come late; a ledger that grows is signed by a key that is in use
    if _opened(tx, partner, signed, lasting, excused) is None:
        return False
    lines = "".join(f"{checkpoint.cosign(signed, cosigner)}\n" for cosigner in cosigners)
    kept = Witnessed(stated.size, stated.root, statement.checkpoint, lines, statement.seen, tx.size)
    tx.keep_witnessed(partner, kept)
    tx.keep_unproven(partner, 0)
    return True


def _opened(
    view: View,
    whose: str,
    signed: bytes,
    verifiers: Sequence[Verifier],
    excused: Callable[[View, int], Sequence[Verifier]],
) -> Checkpoint | None:
    """What a checkpoint says; None where only an excused key has signed it. Raises Refused."""
    try:
        return open_checkpoint(signed, verifiers)
    except Refused:
        stated = checkpoint.parse(note.split(signed)[0])
        if not _is_signed(signed, excused(view, stated.size)):
            raise
    if (known := view.witnessed(whose)) is not None:
        # whoever has signed two trees of one size, and however late it comes
        _compare(stated, known)
    return None


def _is_signed(signed: bytes, verifiers: Sequence[Verifier]) -> bool:
    try:
        open_checkpoint(signed, verifiers)
    except Refused:
        return False
    return True


def _compare(stated: Checkpoint, known: Witnessed) -> None:
    # SPEC: FORMATS 5 witness: the same size with another root is a conflict
    if stated.size == known.size and stated.root != known.root:
        raise Refused("a partner signed two trees of one size", reason="other-root")


def _count_unproven(tx: Transaction, partner: str, statement: Statement, at: int) -> None:
    """Raise Refused when a partner that was told from which size to prove has long proven from another one.

    It was told if it has cosigned a checkpoint that we made later than what we keep of it: with that came our `seen`.
    A partner that was not, because messages take their time or are sealed in great numbers, is never counted.
    """
    if statement.seen <= at:
        return
    number = tx.unproven(partner) + 1
    tx.keep_unproven(partner, number)
    if number == MAX_UNPROVEN:
        raise Refused("a partner never proves that its ledger continues", reason="never-consistent")


def compare(ledger: Ledger, partner: str, stated: Checkpoint) -> None:
    """Compare a checkpoint that came inside of something else, as in a receipt's proof, with the one that we know.

    Raises Refused, after recording the conflict, if the two cannot both be honest.
    """
    known = ledger.witnessed(partner)
    if known is None:
        return
    try:
        _compare(stated, known)
    except Refused as problem:
        reason = problem.reason
        ledger.write(lambda tx: _record_conflict(tx, partner, reason, size=stated.size))
        raise


def _record_conflict(tx: Transaction, partner: str, reason: str, **sizes: int) -> None:
    """Record it; but who sends conflicts without end, or the same one again, must not fill our disk with them."""
    detail: dict[str, Json] = {"reason": reason, **sizes}
    sql = "SELECT seq FROM entries WHERE event = 'witness.conflict' AND +partner = ? ORDER BY seq DESC LIMIT ?"
    now, before = tx.now, [tx.entry(seq) for (seq,) in tx.rows(sql, partner, MAX_CONFLICTS)]
    lately = [entry.detail for entry in before if abs(now - from_text(entry.at)) < CONFLICTS_FOR]
    if len(lately) < MAX_CONFLICTS and detail not in lately:
        tx.append(Draft(event="witness.conflict", actor="daemon", partner=partner, detail=detail))


def _with_ours(known: Witnessed) -> str:
    return note.add_signatures(known.note.encode(), known.cosigned.splitlines()).decode()


def _ids(verifiers: Sequence[Verifier]) -> set[tuple[str, bytes]]:
    return {(verifier.name, verifier.key_id) for verifier in verifiers}


_HINT = (
    "the ledger's file was replaced by an older copy: stop, and find out who did it; if it is the newest backup, this"
    " home has come to its end: see 'The machine is lost' in docs/key-management.md"
)
