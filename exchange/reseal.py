"""An envelope that counts no more, because one of its keys has ended: its file is sealed anew, under the same id.

    the key that it was sealed to    retired or revoked by the partner, or not named by its new card
    the key that signed it           revoked by us: the partner refuses whatever it had not recorded by then
    the number in it                 of a ledger that the partner had before (ledger/closing.py)

Such an envelope is not uploaded, however long it has waited: the partner may be unable to open it, and whoever has
stolen the key is not. The new one has the same id and content, and the number that counts now. A partner that had taken
the one before answers with the receipt that it gave then (exchange/receiver.py), and a receipt for any envelope of the
file counts (exchange/receipts.py). So nothing is lost, and nothing arrives twice.

What a person sealed by hand and carried is not ours to seal: `keys revoke` and `keys incident` name it.
"""

from collections.abc import Sequence

from config.errors import NotNow
from exchange import intake, sender
from exchange.envelope.manifest import ManifestError
from exchange.envelope.sealing import EnvelopeError
from exchange.failures import Failures
from exchange.parts import Parts
from keys.announcement import fingerprint
from ledger.entry import Entry
from ledger.handover import Handover


def void(parts: Parts, partner: str, among: Sequence[Handover]) -> list[Handover]:
    """Those of our outgoing handovers to a partner whose envelope counts no more."""
    if not among:
        return []
    count = parts.trust.standing(partner).keys("encryption", parts.effects.clock())
    recipients = {fingerprint("encryption", text) for text in count}
    ended = (key for key in parts.own.keys if key.ended == "revoked")
    revoked = {key.fingerprint for key in ended if key.purpose in ("signing", "signing-pq")}
    anew = parts.ledger.begun(partner) > 0

    def counts(one: Handover) -> bool:
        if one.key not in recipients or (revoked and revoked & signed_by(parts, one)):
            return False
        return not (anew and _has_old_number(parts, one))

    return [one for one in among if not counts(one) and _is_here(parts, one)]


def renew(parts: Parts, partner: str, among: Sequence[Handover], failures: Failures) -> set[str]:
    """Seal anew what must be; returns the ids of those that could not be sealed: they must not go up."""
    left: set[str] = set()
    for one in void(parts, partner, among):
        left.add(one.id)
        with failures.kept():
            _seal(parts, one)
            left.discard(one.id)
    return left


def signed_by(parts: Parts, handover: Handover) -> frozenset[str]:
    """Fingerprints of the keys that signed the envelope which counts now."""
    said = [entry.detail for entry in _sealed(parts, handover)][-1:]
    return frozenset(str(detail[name]) for detail in said for name in ("signed_by", "signed_pq") if name in detail)


def _sealed(parts: Parts, handover: Handover) -> list[Entry]:
    return [entry for entry in parts.ledger.entries_of(handover) if entry.event == "sealed"]


def _has_old_number(parts: Parts, handover: Handover) -> bool:
    said = [entry.event for entry in parts.ledger.entries_of(handover) if entry.event in ("sealed", "renumbered")]
    return said[-1:] == ["renumbered"]


def _seal(parts: Parts, handover: Handover) -> None:
    claim = parts.spool.read_claim(handover.id)
    judgement = None if claim is None else intake.rejudge(parts, claim)
    digest = parts.ledger.openings(_sealed(parts, handover)[-1].seq).get("payload_sha256")
    if judgement is None or judgement.concern is None or not isinstance(digest, str):
        raise _cannot(handover)
    try:
        sender.seal_file(parts, handover, judgement.name, judgement.concern, digest=digest)
    except (EnvelopeError, ManifestError):
        raise _cannot(handover) from None


def _cannot(handover: Handover) -> NotNow:
    return NotNow(
        f"handover {handover.id} must be sealed anew, because a key of its envelope has ended, and may not go any more",
        hint="its file or the agreement has changed: look at 'handover show', and drop the file again",
    )


def _is_here(parts: Parts, handover: Handover) -> bool:
    return parts.spool.payload(handover.id).exists() and parts.spool.read_claim(handover.id) is not None
