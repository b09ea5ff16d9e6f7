"""The incoming pipeline: what lies in a partner's landing zone is checked in order, and only then let out.

     1  the name is `<id>.age`, a regular file, not larger than allowed     else quarantine
     2  it opens with one of our keys                                       else quarantine
     3  the tar and the manifest have exactly the agreed form               else quarantine
     4  the signature is the partner's, by a key valid now; so is the
        composite one, where there is one or must be (require_pq)           else quarantine; nothing is answered
    --- from here the sender is known: a refusal is recorded, signed and sent back ---
     5  it is sealed as strongly as we ask for; the manifest names this file, us and the key it opened with
     6  the partner's checkpoint is consistent with the last one (witness)
     7  it was not delivered before, in this envelope or one that it took the place of (else: the same receipt again),
        and its id not used for another (else quarantine)
     8  it is neither expired nor from the future, nor numbered far beyond what came before
     9  the agreement, in the same version, allows it
    10  the content has the size and the digest that were signed, and ends where it should     else quarantine
    11  delivery: synced, renamed, recorded; the receipt goes after that

What fails step 7 or 10 is not answered: a refusal is final, and the same message may still come undamaged. Nor is a
receipt that names another file, sender or key. A step happens only if all before it have passed. Until step 10 has, the
content is a private file in the spool.
"""

import datetime
import os
from functools import partial
from typing import BinaryIO

from config import agreement as agreements
from config.authorities import Authority, UnknownAuthority
from config.errors import Refused
from config.times import from_text
from exchange import authentication, delivery, gaps, late_statements, messages, post_quantum, repetition
from exchange.control import CLOCK_TOLERANCE, Message
from exchange.envelope.manifest import Concern, Manifest, Payload
from exchange.envelope.sealing import Opened, open_envelope
from exchange.landed import Arrival, Unauthenticated, open_regular
from exchange.parts import Parts
from exchange.quarantine import heard, limit, quarantine
from exchange.troubles import note_signed
from keys import age, sshsig
from ledger import witness
from ledger.entry import Draft
from ledger.handover import Handover
from ledger.holds import open_holds
from ledger.store import Transaction

MAX_JUMP = 1_000_000
"""How far a running number may lie above the highest that came: more never were under way at once."""


class NotAccepted(Refused):
    """Refused although the sender is known: recorded and answered with a signed negative receipt."""

    reason = "not-accepted"


def receive(parts: Parts, arrival: Arrival) -> None:
    """Carry one envelope through all steps; leaves it in the spool only when a NotNow or OSError says try again."""
    name = arrival.path.stem
    known = parts.ledger.handover(arrival.partner, "in", name)
    if known is not None and known.state == "received" and delivery.finish(parts, arrival, known):
        return
    try:
        with open_regular(arrival.path) as source:
            _check_size(parts, source)
            if arrival.recovered and known is not None and repetition.is_decided(source, known):
                parts.spool.finish_incoming(arrival.path)
                return
            try:
                opened = open_envelope(source, parts.identities())
            except age.NoMatch:
                # its receipt was lost, and our key has been destroyed since: the bytes are those that it was for
                if known is None or not known.is_answered or not repetition.is_same(source, known):
                    raise
                repetition.answer(parts, known)
                parts.spool.finish_incoming(arrival.path)
                return
            manifest = authentication.signed(parts, arrival, opened)
            _pass_on(parts, arrival, opened, manifest)
    except Refused as problem:
        quarantine(parts, arrival.partner, arrival.path, name, problem.reason)
    else:
        parts.spool.finish_incoming(arrival.path)


def _check_size(parts: Parts, source: BinaryIO) -> None:
    if os.fstat(source.fileno()).st_size > limit(parts):
        raise Unauthenticated("an envelope is larger than allowed", reason="too-large")


def forget_decided(parts: Parts, arrival: Arrival) -> None:
    """After a restart, before any receipt goes: remove an envelope that was decided before, if it is still there."""
    known = parts.ledger.handover(arrival.partner, "in", arrival.path.stem)
    if known is not None:
        with open_regular(arrival.path) as source:
            decided = repetition.is_decided(source, known)
        if decided:
            parts.spool.finish_incoming(arrival.path)


def _pass_on(parts: Parts, arrival: Arrival, opened: Opened, manifest: Manifest) -> None:
    """Steps 5 to 11 for a message whose sender is known."""
    try:
        _check_strength(parts, arrival.partner, opened)
        _check_address(parts, arrival, opened, manifest)
    except NotAccepted as problem:
        if manifest.kind != "concern" or manifest.id != arrival.path.stem:
            raise
        _reject(parts, arrival, opened, manifest, problem)
        return
    if messages.is_control(manifest.kind):
        opened.finish()
        message = Message(arrival.partner, opened, again=arrival.recovered)
        # what says that a key of the ledger came or went is heard before what that key has signed
        if manifest.kind == "announcement":
            messages.accept(parts, message)
        _witness(parts, arrival, manifest)
        if manifest.kind != "announcement":
            messages.accept(parts, message)
        heard(parts, arrival.partner, manifest.id)
        return
    _witness(parts, arrival, manifest)
    known = parts.ledger.handover(arrival.partner, "in", manifest.id)
    if known is not None and known.is_answered:
        repetition.repeat(parts, opened, known)
        return
    try:
        _check_times(parts, manifest)
        _check_sequence(parts, arrival.partner, manifest)
        _check_agreement(parts, arrival.partner, manifest)
        _record_received(parts, arrival, opened, manifest, known)
        concern, payload = _content(manifest)
        council, _ = _authority(parts, manifest)
        directory = parts.home.inbound / arrival.partner / concern.category / council.short_name
        delivery.deliver(parts, arrival, opened, payload, directory)
    except NotAccepted as problem:
        _reject(parts, arrival, opened, manifest, problem)


def _witness(parts: Parts, arrival: Arrival, manifest: Manifest) -> None:
    """What every message of a partner says about both ledgers, and when it was made."""
    witness.receive(
        parts.ledger,
        arrival.partner,
        witness.Statement.from_json(manifest.witness),
        ledger_verifiers=parts.trust.ledger_verifiers(arrival.partner),
        witness_verifiers=parts.trust.witness_verifiers(arrival.partner),
        cosigners=parts.cosigners(),
        sequence=manifest.sequence,
        handover=manifest.id if manifest.kind == "concern" else None,
        now=parts.effects.clock(),
        ended=parts.trust.ended_ledger_keys(arrival.partner) | parts.trust.ended_witness_keys(arrival.partner),
        excused=partial(late_statements.excused, partner=arrival.partner, now=parts.effects.clock()),
    )
    note_signed(parts, arrival.partner, manifest.created)


def _check_strength(parts: Parts, partner: str, opened: Opened) -> None:
    """Step 5: it was sealed as strongly as our card asks for, and to nobody more weakly beside us."""
    ours = opened.identity.recipient()
    if ours.kind == "pq" and any(kind == "X25519" for kind in opened.stanza_types):
        raise NotAccepted("an envelope mixes post-quantum and classical recipients", reason="mixed-recipients")
    own = parts.own
    known = own.fingerprints("encryption", partner) or own.fingerprints("encryption")
    current = parts.keyring.newest("encryption", known)
    # a key that is being replaced is still good, also by a stronger one: what was sealed to it is on its way
    good = own.replaced("encryption") | own.leaving("encryption")
    # and so is its successor, also a weaker one: the acceptance that tells us of it comes sealed to it
    good |= {key.fingerprint for key in own.usable("encryption") if key.replaces == current.fingerprint}
    if not post_quantum.check_recipient(parts.home.settings, partner, opened):
        raise NotAccepted("an envelope is sealed more weakly than require_pq asks for", reason="downgrade")
    if current.post_quantum and ours.kind != "pq" and age.fingerprint(ours) not in good:
        raise NotAccepted("an envelope is sealed more weakly than our card asks for", reason="downgrade")


def _check_address(parts: Parts, arrival: Arrival, opened: Opened, manifest: Manifest) -> None:
    """Step 5: the signed text names what it came as, so that nothing can be re-addressed."""
    if manifest.id != arrival.path.stem:
        raise NotAccepted("an envelope came under the name of another", reason="other-name")
    if manifest.recipient != parts.me:
        raise NotAccepted("a manifest is addressed to another organisation", reason="wrong-recipient")
    if manifest.recipient_key != age.fingerprint(opened.identity.recipient()):
        raise NotAccepted("a manifest names another key than the one it was sealed to", reason="wrong-recipient-key")


def _check_times(parts: Parts, manifest: Manifest) -> None:
    """Step 8."""
    now = parts.effects.clock()
    if from_text(manifest.created) > now + CLOCK_TOLERANCE:
        raise NotAccepted("a manifest was made in the future", reason="not-yet-valid")
    if manifest.expires is not None and from_text(manifest.expires) <= now:
        raise NotAccepted("a manifest has expired", reason="expired")


def _check_sequence(parts: Parts, partner: str, manifest: Manifest) -> None:
    """Step 8."""
    if _is_jump(parts, partner, manifest):
        raise NotAccepted("a running number is far above all before it", reason="sequence-jump")


def _is_jump(parts: Parts, partner: str, manifest: Manifest) -> bool:
    """Whether a number would, if it were believed, name a million others as missing."""
    number = manifest.sequence or 0
    return number > MAX_JUMP and number > parts.ledger.highest_sequence(partner, "in") + MAX_JUMP


def _check_agreement(parts: Parts, partner: str, manifest: Manifest) -> None:
    """Step 9: the same agreement text on both sides, and a flow of it that allows this file."""
    agreement, concern, payload = parts.agreements.get(partner), *_content(manifest)
    named = manifest.agreement
    if agreement is None or named is None or named.id != agreement.id:
        raise NotAccepted("a manifest names another agreement than ours", reason="other-agreement")
    if (named.version, named.sha256) != (agreement.version, agreement.sha256):
        raise NotAccepted("a manifest names another version of the agreement", reason="other-agreement-version")
    authority, on = _authority(parts, manifest)
    objections = agreements.check(
        agreement,
        sender=partner,
        recipient=parts.me,
        category=concern.category,
        authority=authority,
        name=payload.name,
        size=payload.size,
        reference=concern.reference,
        gateways=concern.gateways,
        on=on,
    )
    if objections:
        raise NotAccepted("the agreement does not allow a file", reason=objections[0].code)
    if payload.size > parts.home.settings.limits.max_bytes:
        raise NotAccepted("a file is larger than allowed", reason="too-large")


def _authority(parts: Parts, manifest: Manifest) -> tuple[Authority, datetime.date]:
    """The council that is named, and the day for which the register was asked: it may have been abolished since."""
    concern, _ = _content(manifest)
    on = datetime.date.fromisoformat(concern.event_date or manifest.created[:10])
    try:
        authority = parts.register.resolve(concern.authority, on)
    except UnknownAuthority:
        authority = None
    if authority is None or authority.gss != concern.authority:
        raise NotAccepted("a manifest names an unknown authority", reason="unknown-authority")
    return authority, on


def _content(manifest: Manifest) -> tuple[Concern, Payload]:
    if manifest.concern is None or manifest.payload is None:
        raise NotAccepted("a manifest describes no file", reason="bad-manifest")
    return manifest.concern, manifest.payload


def _draft(event: str, arrival: Arrival, manifest: Manifest, opened: Opened, **detail: str | int | bool) -> Draft:
    concern, payload = _content(manifest)
    private = {"name": payload.name, "payload_sha256": payload.sha256}
    if concern.reference is not None:
        private["reference"] = concern.reference
    return Draft(
        event=event,
        actor="daemon",
        handover=manifest.id,
        partner=arrival.partner,
        direction="in",
        authority=concern.authority,
        category=concern.category,
        bytes=payload.size,
        key=manifest.recipient_key,
        private=private,
        detail={"sequence": manifest.sequence or 0, "manifest_sha256": opened.manifest_sha256, **detail},
    )


def _record_received(
    parts: Parts, arrival: Arrival, opened: Opened, manifest: Manifest, known: Handover | None
) -> None:
    """The intention, before the act. A try that failed before (quarantined) begins again; one under way goes on."""
    if known is not None and known.state == "received":
        if known.manifest_sha256 != opened.manifest_sha256:
            raise Unauthenticated("an id is used for two different manifests", reason="id-reused")
        return

    def record(tx: Transaction) -> None:
        facts = {
            "recipient": opened.identity.recipient().kind,
            "created": manifest.created,
            "signed_by": sshsig.parse(opened.signature).public.fingerprint,
        }
        if opened.composite is not None and parts.trust.composite(arrival.partner):
            facts["signed_pq"] = opened.composite.fingerprint
        facts.update(parts.spool.came_over.get(arrival.path, {}))
        tx.append(_draft("received", arrival, manifest, opened, **facts))
        gaps.note_arrival(tx, arrival.partner, manifest.id, manifest.sequence)
        tx.keep_document("manifest", arrival.partner, manifest.id, opened.manifest_bytes, opened.signature)
        if opened.composite_signature is not None:
            kept = opened.manifest_bytes, opened.composite_signature
            tx.keep_document("manifest-pq", arrival.partner, manifest.id, *kept)

    parts.ledger.write(record)


def _reject(parts: Parts, arrival: Arrival, opened: Opened, manifest: Manifest, problem: NotAccepted) -> None:
    """Record the refusal; it makes a signed negative receipt due.

    Raises the `problem` for one that was let out of quarantine and is on hold: it goes back there.
    """
    envelope = opened.digest_rest()
    draft = _draft("rejected", arrival, manifest, opened, reason=problem.reason)
    if _is_jump(parts, arrival.partner, manifest):
        # one that was recorded would be the highest that came
        draft = draft.replace(detail={name: value for name, value in draft.detail.items() if name != "sequence"})

    def record(tx: Transaction) -> None:
        known = tx.handover(arrival.partner, "in", manifest.id)
        was_let_out = known is not None and tx.entry(known.first_seq).event == "quarantined"
        if known is not None and was_let_out and open_holds(tx, parts.register.with_predecessors).over(known):
            raise problem
        tx.append(draft.replace(envelope_sha256=envelope))

    parts.ledger.write(record)
