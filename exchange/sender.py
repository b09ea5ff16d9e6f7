"""The outgoing pipeline: accepted -> sealed -> sent. Every step can be repeated; the ledger says which is next.

The same sealed object goes up however often it takes: it is never sealed again once its digest is recorded, unless one
of its keys has ended (exchange/reseal.py). Its name on the partner's server is the handover's id, first with `.part`,
then renamed in one step.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

from config.errors import NotNow
from config.times import from_text, to_text
from exchange import archive, files, folders, intake, post_quantum, retention
from exchange.envelope.manifest import AgreementRef, Concern, Manifest, ManifestError
from exchange.envelope.sealing import EnvelopeError, seal
from exchange.failures import Failures
from exchange.landing import Landing, LandingError, LandingFull, Small, UnfinishedChanged, agreed
from exchange.parts import Parts
from exchange.retry import growing
from exchange.spool import Claim
from exchange.troubles import TOLERANCE
from keys import age
from ledger.entry import Draft
from ledger.handover import Handover
from ledger.store import Transaction

EXPIRES_AFTER = timedelta(days=30)
"""How long a partner may take an envelope; after that it is sent anew, by a person's decision."""

MOST_PATIENCE = 4
"""How many times `retry.resend` the longest wait before a file is sent once more; the receiver answers as often."""

SMALL = 256 * 1024
"""Envelopes up to this many bytes are read whole and uploaded many at a time."""

ENDING = ".age"
UNFINISHED = ".age.part"


def seal_next(parts: Parts, handover: Handover) -> None:
    """accepted -> sealed; or -> held, when the file changed meanwhile or the agreement no longer allows it."""
    claim = parts.spool.read_claim(handover.id)
    if claim is None:
        if "by_hand" in parts.ledger.entry(handover.first_seq).detail:
            return
        raise NotNow(f"the spool has nothing of handover {handover.id}", hint="restore it, or withdraw the handover")
    judgement = intake.rejudge(parts, claim)
    if judgement.concern is None:
        _hold(parts, handover, claim, [o.code for o in judgement.objections], [o.text for o in judgement.objections])
        return
    try:
        seal_file(parts, handover, judgement.name, judgement.concern)
    except (EnvelopeError, ManifestError) as problem:
        _hold(parts, handover, claim, [problem.reason], [problem.message[:1].upper() + problem.message[1:] + "."])


def seal_file(parts: Parts, handover: Handover, name: str, concern: Concern, *, digest: str | None = None) -> None:
    """Seal the claimed file and record it; raises EnvelopeError or ManifestError where that cannot be done.

    Where a `digest` is given, the file must still have it.
    """
    recipient, signer = post_quantum.recipient(parts, handover.partner), parts.signer(handover.partner)
    composite = post_quantum.composite_signer(parts, handover.partner)
    envelope = parts.spool.envelope(handover.id)
    unfinished = envelope.with_suffix(".part")
    manifest = manifest_for(
        parts, handover.id, handover.partner, handover.sequence, concern, age.fingerprint(recipient)
    )
    files.require_room(envelope.parent, parts.spool.payload(handover.id).stat().st_size)
    try:
        with parts.spool.payload(handover.id).open("rb") as payload, unfinished.open("wb") as target:
            sealed = seal(
                payload,
                manifest,
                name=name,
                signer=signer,
                recipients=[recipient],
                dst=target,
                composite=composite,
            )
            files.sync_file(target)
    except BaseException:
        # half an envelope must not keep the disk full, or the ledger could write nothing either
        unfinished.unlink(missing_ok=True)
        raise
    if digest is not None and sealed.payload_sha256 != digest:
        unfinished.unlink()
        raise EnvelopeError("file is not the one that was sealed before", reason="file-changed")
    files.move(unfinished, envelope)
    parts.ledger.write(
        lambda tx: tx.append(
            Draft(
                event="sealed",
                actor="daemon",
                handover=handover.id,
                partner=handover.partner,
                direction="out",
                bytes=sealed.size,
                envelope_sha256=sealed.envelope_sha256,
                key=manifest.recipient_key,
                private={"payload_sha256": sealed.payload_sha256},
                detail={
                    "manifest_sha256": sealed.manifest_sha256,
                    "recipient": recipient.kind,
                    **post_quantum.signers(signer, composite),
                },
            )
        )
    )


def is_small(parts: Parts, handover: Handover) -> bool:
    """Whether the sealed object goes up together with others; one that is missing does not."""
    envelope = parts.spool.envelope(handover.id)
    return envelope.exists() and envelope.stat().st_size <= SMALL


def is_unfinished_by_hand(parts: Parts, handover: Handover) -> bool:
    """Whether a person's own sealing was cut off before its envelope had its name: there is nothing to send, and the
    person withdraws it (`status` says so)."""
    if parts.spool.envelope(handover.id).exists():
        return False
    return "by_hand" in parts.ledger.entry(handover.first_seq).detail


def needs_resending(parts: Parts, handover: Handover) -> bool:
    """Whether a sent handover has been without an answer so long that it, or its receipt, must have been lost.

    Each time twice as long as before, up to MOST_PATIENCE times `retry.resend`: a partner that is only slow, or away
    for weeks, must not be buried in copies, nor our ledger in entries about them. The partner knows what it has
    delivered, and answers a repetition with the same receipt. An envelope that a person made and carried is not ours
    to send.
    """
    if handover.sent_at is None or not parts.spool.envelope(handover.id).exists():
        return False
    waited = parts.effects.clock() - from_text(handover.sent_at)
    resend = parts.home.settings.retry.resend
    # few have waited so long that it matters how often they went
    times = sum(entry.event == "sent" for entry in parts.ledger.entries_of(handover)) if waited >= resend else 1
    # sent at a time that has not come: the clock was wrong then, and who knows how long ago that was
    return waited >= growing(resend, MOST_PATIENCE * resend, times) or waited < -TOLERANCE


def upload(parts: Parts, landing: Landing, handover: Handover) -> None:
    """sealed -> sent: put the sealed object into the partner's landing zone and give it its final name.

    Goes on behind what an earlier attempt has brought there; if that even got to the final name, nothing is left to do.
    """
    envelope = parts.spool.envelope(handover.id)
    size = envelope.stat().st_size
    # what was sealed anew may be as long as what it takes the place of
    if _is_sealed_anew(parts, handover) or landing.size(handover.id + ENDING) != size:
        with envelope.open("rb") as source:
            _put(landing, source, size, handover.id + UNFINISHED)
        landing.rename(handover.id + UNFINISHED, handover.id + ENDING)
    _record_sent(parts, landing, handover)


def _is_sealed_anew(parts: Parts, handover: Handover) -> bool:
    return sum(entry.event == "sealed" for entry in parts.ledger.entries_of(handover)) > 1


def _put(landing: Landing, source: BinaryIO, size: int, name: str) -> None:
    try:
        landing.put(source, size, name, offset=landing.resume_offset(source, size, name))
    except UnfinishedChanged:
        landing.put(source, size, name)
    except LandingFull:
        # what lies there unfinished would keep everything else out, too
        with contextlib.suppress(LandingError):
            landing.remove(name)
        raise


def upload_small(parts: Parts, landing: Landing, handovers: Sequence[Handover], done: Callable[[str], None]) -> None:
    """sealed -> sent for many small objects at once; each is recorded, and `done` told its id, when its final name is
    there. One that cannot be read keeps no other; the first failure is raised at the end."""
    by_name = {handover.id + ENDING: handover for handover in handovers}
    failures = Failures()

    def messages() -> Iterator[Small]:
        for handover in handovers:
            message = None
            with failures.kept():
                message = small(parts.spool.envelope(handover.id), handover.id)
            if message is not None:
                yield message

    def record(message: Small) -> None:
        _record_sent(parts, landing, by_name[message.final])
        done(by_name[message.final].id)

    landing.put_many(messages(), record)
    failures.raise_first()


def small(path: Path, name: str) -> Small:
    """A whole sealed message, and the names under which it goes up."""
    return Small(path.read_bytes(), name + UNFINISHED, name + ENDING)


def _record_sent(parts: Parts, landing: Landing, handover: Handover) -> None:
    draft = Draft(event="sent", actor="daemon", handover=handover.id, partner=handover.partner, direction="out")
    draft = draft.replace(detail=agreed(landing))

    def record(tx: Transaction) -> None:
        # a quick partner's receipt may have been taken in by another thread already: then nothing is left to say
        now = tx.handover(handover.partner, "out", handover.id)
        if now is None or now.state in ("sealed", "sent"):
            tx.append(draft)

    parts.ledger.write(record)


def settle(parts: Parts, handover: Handover) -> None:
    """Bring the file of a finished handover to its last place; repeats what a crash left undone."""
    claim = parts.spool.read_claim(handover.id)
    if claim is None:
        return
    if handover.state == "held":
        archive.hold(parts, claim)
    elif handover.state == "acknowledged":
        retention.settle(parts, claim, handover)
    elif handover.state in ("rejected", "withdrawn"):
        archive.return_to_sender(parts, claim, handover)
    elif handover.state == "destroyed":
        parts.spool.clear(handover.id)


def _hold(parts: Parts, handover: Handover, claim: Claim, codes: list[str], texts: list[str]) -> None:
    parts.ledger.write(
        lambda tx: tx.append(
            Draft(
                event="held",
                actor="daemon",
                handover=handover.id,
                partner=handover.partner,
                direction="out",
                private={"why": "\n".join(texts), folders.OPENING: folders.as_text(claim)},
                detail={"reason": codes[0], "reasons": list(dict.fromkeys(codes))},
            )
        )
    )
    # not before this has failed may another thread's round take it up
    with parts.spool.gone_on_with_later(handover.id):
        archive.hold(parts, claim)


def manifest_for(
    parts: Parts, handover: str, partner: str, sequence: int | None, concern: Concern, recipient_key: str
) -> Manifest:
    """What is to be signed for one handover, but for the payload's name, size and digest."""
    now = parts.effects.clock()
    agreement = parts.agreements[partner]
    return Manifest(
        kind="concern",
        id=handover,
        sequence=sequence,
        sender=parts.me,
        recipient=partner,
        recipient_key=recipient_key,
        created=to_text(now),
        expires=to_text(now + EXPIRES_AFTER),
        agreement=AgreementRef(agreement.id, agreement.version, agreement.sha256),
        payload=None,
        concern=concern,
        said=None,
        witness=parts.statement(partner).to_json(),
    )
