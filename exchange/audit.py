"""Verifying, proving and checking: what an auditor does with a ledger, without any private key."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Never

from config.errors import Misuse, Refused, Tampered
from config.home import Home
from config.times import system_clock
from exchange.former_keys import announced_witnesses, former_witnesses
from exchange.key_book import carried_forward, witness_ends
from exchange.ledger_keys import ledger_verifiers
from exchange.partner_trust import trusted
from keys.keyring import Keyring, Secret
from keys.trust import Trust
from ledger import checkpoint, entry, note, tlogproof, verify
from ledger.database import connect
from ledger.key_events import WitnessEnd
from ledger.known import rows_of
from ledger.note import NoteError, Verifier
from ledger.store import Ledger
from ledger.verify import Report
from ledger.view import View

MAX_FILE = 1024 * 1024
"""Proofs and checkpoints are a few kilobytes; a larger file is something else."""


def _no_passphrase() -> Never:
    raise Misuse("an audit needs no private key")


def public_keyring(home: Home) -> Keyring:
    """Our keys, of which only the public halves can be used."""

    def nothing() -> Secret:
        _no_passphrase()

    return Keyring.open(home.keys, nothing)


def read_ledger(home: Home) -> Ledger:
    """The ledger of a home, for reading only."""
    verifiers = ledger_verifiers(public_keyring(home))
    return Ledger.open(home.ledger, verifiers=verifiers, clock=system_clock, random=os.urandom)


def verify_home(home: Home) -> Report:
    """Recompute the whole ledger of a home."""
    return verify_ledger(home, public_keyring(home), trusted(home, None), None)


def verify_ledger(home: Home, keyring: Keyring, trust: Trust, since: Path | None) -> Report:
    """Recompute everything; with `since`, also that the ledger continues that checkpoint."""
    known, others, ends = _with_announced(home, trust)
    witnesses = {
        partner: _each_once(*known.cosigned_with(partner), *others.get(partner, ())) for partner in known.partners
    }
    return verify.verify(
        home.ledger,
        ledger_verifiers(keyring),
        witness_verifiers=witnesses,
        witness_ends=ends,
        since=_checkpoint(since) if since is not None else None,
    )


def _each_once(*verifiers: Verifier) -> tuple[Verifier, ...]:
    return tuple({(one.name, one.key_id): one for one in verifiers}.values())


def _with_announced(
    home: Home, trust: Trust
) -> tuple[Trust, Mapping[str, Sequence[Verifier]], Mapping[str, Mapping[bytes, WitnessEnd]]]:
    """With the witness keys that partners ever announced, those of older cards, and when any of them ended, as far as
    the ledger, which is in question, can be read at all.

    Whoever changed it to name another witness key also changed what our own checkpoints say.
    """
    try:
        connection = connect(home.ledger, writable=False)
        try:
            view = View(rows_of(connection))
            former, announced = former_witnesses(view), announced_witnesses(view)
            others = {one: (*former.get(one, ()), *announced.get(one, ())) for one in former.keys() | announced.keys()}
            return carried_forward(trust, view), others, witness_ends(view)
        finally:
            connection.close()
    except (Refused, Tampered, Misuse):
        return trust, {}, {}


def _checkpoint(path: Path) -> bytes:
    data = _read(path)
    try:
        checkpoint.parse(note.split(data)[0])
    except NoteError as problem:
        hint = "give a file that 'handover ledger checkpoint' wrote"
        raise Misuse(f"{path} is no checkpoint: {problem.message}", hint=hint) from None
    return data


def prove(ledger: Ledger, what: str) -> bytes:
    """The proof file of an entry by its number, or of the entry that decided a handover by its id."""
    if what.isascii() and what.isdigit() and len(what) < 19:
        seq = int(what)
        if seq >= ledger.size:
            raise Misuse(f"the ledger has no entry {seq}", hint=f"its entries are 0 to {ledger.size - 1}")
        return ledger.prove(seq)
    found = ledger.find_handovers(what)
    if len(found) != 1:
        raise Misuse(
            f"{len(found)} handovers have an id that begins with {what}", hint="'handover list --all' shows the ids"
        )
    return ledger.prove(found[0].decided_seq)


def check_proof(proof: bytes, vkeys: tuple[str, ...]) -> dict[str, object]:
    """Check a proof file on its own; raises Refused with the step that failed."""
    parsed = tlogproof.parse(proof[: MAX_FILE + 1])
    if parsed.extra is None:
        raise Refused("the proof does not carry its entry, so there is nothing to check", reason="no-entry")
    signed = parsed.verify(parsed.extra, [note.parse_vkey(vkey) for vkey in vkeys])
    proven = entry.parse(parsed.extra)
    if proven.seq != parsed.index:
        raise Refused("the proof's entry has another number than the proof", reason="other-entry")
    return {
        "ok": True,
        "origin": signed.origin,
        "size": signed.size,
        "root": signed.root.hex(),
        "seq": proven.seq,
        "at": proven.at,
        "event": proven.event,
        "handover": proven.handover,
        "entry": proven.to_json(),
    }


@dataclass(frozen=True, slots=True)
class NewestCheckpoint:
    """A checkpoint with all signatures that are held for it."""

    text: str

    def to_json(self) -> dict[str, object]:
        """Its fields and the whole note."""
        body = self.text.rpartition("\n\n")[0] + "\n"
        parsed = checkpoint.parse(body)
        signers = [line.split(" ")[1] for line in self.text.rpartition("\n\n")[2].splitlines()]
        return {
            "origin": parsed.origin,
            "size": parsed.size,
            "root": parsed.root.hex(),
            "signed_by": signers,
            "note": self.text,
        }


def newest_checkpoint(ledger: Ledger) -> NewestCheckpoint:
    """The newest signed tree head, with the cosignatures of partners on it."""
    size = ledger.size
    signed = ledger.checkpoint_of(size) or ledger.checkpoint()
    return NewestCheckpoint(note.add_signatures(signed, ledger.cosignatures(size)).decode())


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE)
    except OSError as problem:
        raise Misuse(f"{path} cannot be read: {problem.strerror}") from None
