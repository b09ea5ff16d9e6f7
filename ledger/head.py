"""The head of a ledger: its size, and the newest checkpoint, which must fit each other and be signed by its origin."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from config.errors import Refused, Tampered
from ledger import checkpoint, note
from ledger.checkpoint import Checkpoint
from ledger.view import View

_VERIFY = "run 'handover ledger verify'; never delete anything to make this go away"


@dataclass(frozen=True, slots=True)
class Head:
    """What a ledger is at one moment."""

    size: int
    note: bytes


@dataclass(frozen=True, slots=True)
class OwnKey:
    """Knows a signature of a signer that we hold by making it again: Ed25519 signatures are deterministic."""

    signer: note.Signer

    @property
    def name(self) -> str:
        """See note.Verifier."""
        return self.signer.name

    @property
    def key_id(self) -> bytes:
        """See note.Verifier."""
        return self.signer.key_id

    def verify(self, message: bytes, signature: bytes) -> bool:
        """See note.Verifier."""
        return hmac.compare_digest(self.signer.sign(message), signature)


def sign(size: int, root: bytes, signers: Sequence[note.Signer]) -> bytes:
    """A checkpoint of the first signer's ledger, signed by all."""
    # SPEC: FORMATS 5: Checkpoint = C2SP tlog-checkpoint in a C2SP signed-note
    return note.sign_note(Checkpoint(signers[0].name, size, root).encode(), signers)


def open_checkpoint(signed: bytes, verifiers: Sequence[note.Verifier]) -> Checkpoint:
    """Read a checkpoint that its own origin has signed; raises Refused."""
    return open_signed(signed, verifiers)[0]


def open_signed(signed: bytes, verifiers: Sequence[note.Verifier]) -> tuple[Checkpoint, note.Note]:
    """The same, with the note that says who has signed it."""
    opened = note.open_note(signed, verifiers)
    stated = checkpoint.parse(opened.text)
    if stated.origin not in {signature.name for signature in opened.verified}:
        raise Refused("a checkpoint is not signed by its own origin", reason="wrong-origin")
    return stated, opened


def check(view: View, verifiers: Sequence[note.Verifier]) -> Head:
    """The head as it is; raises Tampered unless size, root and signature fit. `view` sees one moment."""
    size, newest = view.size, view.checkpoint()
    try:
        stated = open_checkpoint(newest, verifiers)
    except Refused as problem:
        raise Tampered(f"the ledger's newest checkpoint is not valid: {problem.message}", hint=_VERIFY) from None
    if stated.size != size:
        raise Tampered(f"the ledger holds {size} entries, but its newest checkpoint says {stated.size}", hint=_VERIFY)
    if stated.root != view.root(size):
        raise Tampered("the ledger's tree has another root than its newest checkpoint says", hint=_VERIFY)
    return Head(size, newest)


def check_continues(view: View, known: Head, verifiers: Sequence[note.Verifier]) -> Head:
    """The head now, perhaps moved by another process; raises Tampered unless it continues the one that was known."""
    if view.size < known.size or view.checkpoint_of(known.size) != known.note:
        raise Tampered("the ledger no longer continues what it was a moment ago", hint=_VERIFY)
    if view.size == known.size and view.checkpoint() == known.note:
        return known
    return check(view, verifiers)
