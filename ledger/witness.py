"""Two organisations witness each other's ledgers, by a few lines on every message that they exchange anyway.

    {"checkpoint": my newest checkpoint, a signed note,
     "old": the size of mine that you cosigned last, as far as I know,
     "consistency": [base64 hashes: my tree of that checkpoint continues the one of `old`],
     "cosigned": my cosignature lines over the newest checkpoint of yours that I have checked,
     "seen": the size of that checkpoint; 0 with no lines: I have checked none yet}

Specification: the rules of C2SP tlog-witness, carried by messages instead of HTTP. Messages get lost, come twice and
overtake each other, so most of what does not fit is no conflict: it is just not cosigned, and the `seen` of the answer
lets the partner start from the right size next time. A conflict is what an honest ledger can never say; it is recorded
as `witness.conflict`. When the partner has cosigned what this ledger does not hold, this ledger was rolled back: that
is recorded as `witness.rolled-back` and raised, because nothing may go on as before.

>>> Statement.from_json({"checkpoint": "x", "old": 0, "consistency": [], "cosigned": "", "seen": 0}).seen
0
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from config.errors import Refused, Tampered
from ledger import checkpoint, merkle, note
from ledger.canonical import Json
from ledger.checkpoint import Checkpoint, Cosigner
from ledger.entry import MAX_SIZE, Draft
from ledger.head import open_checkpoint
from ledger.note import NoteError, Signature, Verifier
from ledger.store import Ledger, Transaction
from ledger.view import View, Witnessed, size_of

MAX_HASHES = 63
"""Longest consistency proof that C2SP tlog-witness allows."""

MAX_LINES = 8
"""Cosignature lines in one statement: an old and a new key of each of a few algorithms."""

_FIELDS = frozenset({"checkpoint", "old", "consistency", "cosigned", "seen"})


class StatementError(Refused):
    """A `witness` block that is not of the form above."""

    reason = "bad-witness"


class RolledBack(Tampered):
    """A partner has cosigned what this ledger does not hold: an older copy was put in its place."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What one side says about both ledgers. Always: `from_json(s.to_json()) == s`."""

    checkpoint: str
    old: int
    consistency: tuple[bytes, ...]
    cosigned: str
    seen: int

    def to_json(self) -> dict[str, Json]:
        """The manifest's `witness` block."""
        return {
            "checkpoint": self.checkpoint,
            "old": self.old,
            "consistency": [base64.b64encode(digest).decode() for digest in self.consistency],
            "cosigned": self.cosigned,
            "seen": self.seen,
        }

    @classmethod
    def from_json(cls, block: Mapping[str, Json]) -> "Statement":
        """Read the block; raises StatementError. Signatures and proofs are not checked here."""
        if set(block) != _FIELDS:
            raise StatementError("a witness block does not have exactly its five fields")
        hashes, old, seen = block["consistency"], block["old"], block["seen"]
        signed, cosigned = block["checkpoint"], block["cosigned"]
        if not isinstance(signed, str) or not isinstance(cosigned, str):
            raise StatementError("a witness block holds something else than text where notes should be")
        if type(old) is not int or type(seen) is not int or not (0 <= old <= MAX_SIZE and 0 <= seen <= MAX_SIZE):
            raise StatementError("a size in a witness block is out of range")
        if not isinstance(hashes, list) or len(hashes) > MAX_HASHES:
            raise StatementError(f"the proof in a witness block is no list of at most {MAX_HASHES} hashes")
        if (seen == 0) != (_lines(cosigned) == ()):
            raise StatementError("a witness block names a size without its cosignature, or the other way round")
        return cls(signed, old, tuple(_hash(text) for text in hashes), cosigned, seen)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a partner's statement. `conflict` is a reason code, or None."""

    cosigned: bool
    conflict: str | None = None


def compose(ledger: Ledger, partner: str) -> Statement:
    """What to tell `partner` now."""
    with ledger.reading() as view:
        newest = view.checkpoint()
        size, old = size_of(newest), view.partner_seen(partner)
        if old > size:
            raise RolledBack(f"{partner} has cosigned {old} entries of this ledger, which holds {size}", hint=_HINT)
        known = view.witnessed(partner)
        return Statement(
            checkpoint=newest.decode(),
            old=old,
            consistency=view.consistency(old, size),
            cosigned="" if known is None else known.cosigned,
            seen=0 if known is None else known.size,
        )


def receive(
    ledger: Ledger,
    partner: str,
    statement: Statement,
    *,
    ledger_verifiers: Sequence[Verifier],
    witness_verifiers: Sequence[Verifier],
    cosigner: Cosigner,
    sequence: int | None,
    now: datetime,
    handover: str | None = None,
) -> Outcome:
    """Take a partner's statement in: check and persist in one commit, so that the answer can only be what was kept.

    `sequence` and `handover` are the running number and id of the concern that brought it, None for other messages.
    Raises RolledBack, after recording it, if the partner has cosigned what this ledger does not hold.
    """
    signer = replace(cosigner, now=int(now.timestamp()))

    def take(tx: Transaction) -> tuple[Outcome, str | None]:
        lost = _take_cosignature(tx, partner, statement, witness_verifiers)
        if lost is not None:
            detail: dict[str, Json] = {"seen": statement.seen, "size": tx.size}
            tx.append(Draft(event="witness.rolled-back", actor="daemon", partner=partner, detail=detail))
            return Outcome(cosigned=False), lost
        try:
            _check_sequence(tx, partner, sequence, handover)
            cosigned = _take_checkpoint(tx, partner, statement, ledger_verifiers, signer, sequence)
        except Refused as problem:
            detail = {"reason": problem.reason, "old": statement.old}
            tx.append(Draft(event="witness.conflict", actor="daemon", partner=partner, detail=detail))
            return Outcome(cosigned=False, conflict=problem.reason), None
        return Outcome(cosigned), None

    # SPEC: FORMATS 5 witness: check-and-persist is atomic and happens before the answer
    outcome, lost = ledger.write(take)
    if lost is not None:
        raise RolledBack(lost, hint=_HINT)
    return outcome


def _take_cosignature(tx: Transaction, partner: str, statement: Statement, verifiers: Sequence[Verifier]) -> str | None:
    """Keep the partner's signatures on our checkpoint; returns in words how we were rolled back, if we were."""
    # SPEC: FORMATS 5 witness: a cosigned size that my ledger does not have means that I was rolled back
    if statement.seen > tx.size:
        return f"{partner} has cosigned {statement.seen} entries of this ledger, which holds {tx.size}"
    if statement.seen > 0:
        own = tx.checkpoint_of(statement.seen)
        if own is None:
            return f"{partner} has cosigned a checkpoint of {statement.seen} entries that this ledger never made"
        try:
            opened = note.open_note(note.add_signatures(own, _lines(statement.cosigned)), verifiers)
        except NoteError as problem:
            if problem.reason != "unknown-key":
                return f"{partner} has cosigned another tree of {statement.seen} entries than this ledger's"
        else:
            for signature in opened.verified:
                tx.keep_cosignature(partner, statement.seen, signature.line)
    # the last word counts, not the greatest: a partner that was restored from a backup starts from less
    tx.keep_partner_seen(partner, statement.seen)
    return None


def _check_sequence(view: View, partner: str, sequence: int | None, handover: str | None) -> None:
    # SPEC: FORMATS 5 witness: the same sequence for another id is a conflict
    if (
        sequence is not None
        and handover is not None
        and view.sequence_holder(partner, sequence) not in (None, handover)
    ):
        raise Refused("a running number was used for two handovers", reason="sequence-reused")


def _take_checkpoint(
    tx: Transaction,
    partner: str,
    statement: Statement,
    verifiers: Sequence[Verifier],
    cosigner: Cosigner,
    sequence: int | None,
) -> bool:
    """Cosign the partner's checkpoint if it continues the last one; raises Refused for a conflict."""
    signed = statement.checkpoint.encode(errors="replace")
    stated = open_checkpoint(signed, verifiers)
    known = tx.witnessed(partner)
    if known is not None and not _is_news(tx, partner, stated, known, sequence):
        return False
    # SPEC: C2SP tlog-witness: old ≠ stored size is not cosigned; the answer's `seen` says what is stored
    if stated.size == 0 or statement.old != (0 if known is None else known.size):
        return False
    # SPEC: C2SP tlog-witness: old = 0 needs an empty proof; a proof that fails is a conflict
    before = merkle.EMPTY_ROOT if known is None else known.root
    merkle.verify_consistency(statement.old, stated.size, statement.consistency, before, stated.root)
    line = checkpoint.cosign(signed, cosigner)
    tx.keep_witnessed(partner, Witnessed(stated.size, stated.root, statement.checkpoint, f"{line}\n", sequence))
    return True


def _is_news(tx: Transaction, partner: str, stated: Checkpoint, known: Witnessed, sequence: int | None) -> bool:
    """Whether a checkpoint goes further than the one we know; raises Refused if the two cannot both be honest."""
    if stated.size > known.size:
        return True
    # SPEC: FORMATS 5 witness: the same size with another root is a conflict
    if stated.size == known.size and stated.root != known.root:
        raise Refused("a partner signed two trees of one size", reason="other-root")
    if sequence is None or sequence <= (known.sequence or 0):
        return False
    if stated.size == known.size:
        tx.keep_witnessed(partner, replace(known, sequence=sequence))
    elif known.sequence is not None:
        # a later concern from an earlier ledger: it did not overtake, the partner's ledger went back
        raise Refused("a partner's ledger has become smaller", reason="smaller-than-before")
    return False


def _lines(cosigned: str) -> tuple[str, ...]:
    if cosigned == "":
        return ()
    lines = tuple(cosigned.removesuffix("\n").split("\n"))
    if not cosigned.endswith("\n") or len(lines) > MAX_LINES:
        raise StatementError(f"the cosignatures in a witness block are not at most {MAX_LINES} lines")
    try:
        return tuple(Signature.parse(line).line for line in lines)
    except NoteError:
        raise StatementError("a cosignature in a witness block is malformed") from None


def _hash(text: Json) -> bytes:
    try:
        digest = note.decode_base64(text) if isinstance(text, str) else b""
    except NoteError:
        digest = b""
    if len(digest) != merkle.HASH_SIZE:
        raise StatementError("a hash in a witness block is malformed")
    return digest


_HINT = "the ledger's file was replaced by an older copy; stop, find out who did it, and restore the newest backup"
