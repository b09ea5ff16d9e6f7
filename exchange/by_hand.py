"""One envelope made or opened by a person: for an emergency, a courier, or an audit."""

import datetime
import os
import stat
from pathlib import Path

from config.agreement import Flow
from config.errors import Misuse, Refused
from config.home import Home
from config.times import from_text, system_clock, to_text
from exchange import files, post_quantum
from exchange.concern import FileFacts, judge, sidecar_for
from exchange.envelope.manifest import Concern, Manifest
from exchange.envelope.sealing import Opened, open_envelope, seal
from exchange.parts import Parts
from exchange.sender import manifest_for
from exchange.spool import Claim
from exchange.unnamed import unnamed
from keys import age
from keys.keyring import Keyring
from keys.rotation import of_ledger
from keys.trust import Trust
from ledger.canonical import Json
from ledger.entry import Draft
from ledger.identifier import new_id
from ledger.store import Ledger

ENGLAND = "E92000001"
"""GSS code of the whole country: stands for a council that was not named."""


def seal_by_hand(
    parts: Parts,
    path: Path,
    output: Path,
    partner: str,
    category: str | None,
    authority: str | None,
    reference: str | None,
) -> dict[str, str | int | None]:
    """Seal `path` for `partner` into `output`. The ledger records it as sent: a receipt can still acknowledge it.

    The name of `output` is taken at once, by an empty file: what is there already is never replaced.
    """
    concern = _concern(parts, path, partner, category, authority, reference)
    _take_name(output)
    try:
        return _seal_into(parts, path, output, partner, concern)
    except BaseException:
        # our own empty file goes; an envelope that was recorded stays
        if output.exists() and output.stat().st_size == 0:
            output.unlink()
        raise


def _take_name(output: Path) -> None:
    try:
        os.close(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    except FileExistsError:
        raise Refused(
            "there is a file of that name already", hint="nothing was sealed; give another name", reason="file-exists"
        ) from None


def _seal_into(parts: Parts, path: Path, output: Path, partner: str, concern: Concern) -> dict[str, str | int | None]:
    now = parts.effects.clock()
    handover = new_id(now, parts.effects.random)
    recipient, signer = post_quantum.recipient(parts, partner), parts.signer(partner)
    composite = post_quantum.composite_signer(parts, partner)
    size = path.stat().st_size

    def draft(event: str, **detail: Json) -> Draft:
        return Draft(event=event, actor="operator", handover=handover, partner=partner, direction="out", detail=detail)

    accepted = parts.ledger.write(
        lambda tx: tx.append(
            draft("accepted", sequence=tx.next_sequence(partner), dropped_at=to_text(now), by_hand=True).replace(
                authority=concern.authority,
                category=concern.category,
                bytes=size,
                private={"name": path.name, **({"reference": concern.reference} if concern.reference else {})},
            )
        )
    )
    sequence = accepted.detail["sequence"]
    manifest = manifest_for(parts, handover, partner, int(str(sequence)), concern, age.fingerprint(recipient))
    temporary = output.with_name(f".{handover}.part")
    try:
        with path.open("rb") as payload, temporary.open("wb") as target:
            sealed = seal(
                payload,
                manifest,
                name=path.name,
                signer=signer,
                recipients=[recipient],
                dst=target,
                composite=composite,
            )
            files.sync_file(target)
        facts = {
            "manifest_sha256": sealed.manifest_sha256,
            "recipient": recipient.kind,
            **post_quantum.signers(signer, composite),
        }
        record = draft("sealed", **facts, by_hand=True).replace(
            bytes=sealed.size, envelope_sha256=sealed.envelope_sha256, key=manifest.recipient_key
        )
        # recorded before anybody can carry it away: a receipt always finds what it answers
        parts.ledger.write(lambda tx: tx.append(record))
        files.move(temporary, output)
    except BaseException:
        for unfinished in (temporary, output):
            unfinished.unlink(missing_ok=True)
        parts.ledger.write(lambda tx: tx.append(draft("withdrawn", reason="seal-failed")))
        raise
    parts.ledger.write(lambda tx: tx.append(draft("sent", by_hand=True)))
    return {"id": handover, "partner": partner, "envelope": str(output), "envelope_sha256": sealed.envelope_sha256}


def _concern(
    parts: Parts, path: Path, partner: str, category: str | None, authority: str | None, reference: str | None
) -> Concern:
    agreement = parts.agreements.get(partner)
    if agreement is None:
        known = ", ".join(sorted(parts.agreements)) or "none yet"
        raise Misuse(f"{partner} is not a partner", hint=f"partners: {known}")
    flow = _flow(parts, agreement.flows, partner, category)
    folders = (partner, flow.category) if authority is None else (partner, flow.category, authority)
    judgement = judge(
        Claim("", folders, path.name, "", sidecar_for(reference)),
        FileFacts(path.stat().st_size, stat.S_IFREG, 1, files.may_read(path)),
        me=parts.me,
        partners=parts.agreements,
        register=parts.register,
        today=parts.effects.clock().astimezone(datetime.UTC).date(),
        max_bytes=parts.home.settings.limits.max_bytes,
    )
    # a courier's envelope may leave the council out, and nothing else that the agreement asks for
    objections = [o for o in judgement.objections if authority is not None or o.code != "unknown-authority"]
    if objections:
        raise Refused("not sealed: " + " ".join(o.text for o in objections), reason="not-allowed")
    return judgement.concern or Concern(
        ENGLAND, flow.category, judgement.reference, flow.gateways, event_date=None, review_by=None
    )


def _flow(parts: Parts, flows: tuple[Flow, ...], partner: str, category: str | None) -> Flow:
    possible = [f for f in flows if (f.sender, f.recipient) == (parts.me, partner) and category in (None, f.category)]
    if len(possible) != 1:
        names = ", ".join(f.category for f in flows if (f.sender, f.recipient) == (parts.me, partner))
        raise Misuse(
            "it is not clear which kind of concern this is", hint=f"give --category: {names or 'none is agreed'}"
        )
    return possible[0]


def open_by_hand(
    home: Home, keyring: Keyring, trust: Trust, ledger: Ledger, path: Path, output: Path | None
) -> dict[str, str | int | None]:
    """Open and verify one envelope; the content appears in `output` only after everything has been checked.

    What the ledger knows was signed in time if it was so when it was received: the sender's key may have ended since,
    or be no more on its card.
    """
    with path.open("rb") as source:
        opened = open_envelope(source, keyring.identities(of_ledger(ledger).opening))
        manifest = opened.manifest
        public = opened.verify_signature()
        received = _received(ledger, opened)
        at, recorded = received or system_clock(), received is not None
        trust.signing_key(manifest.sender, public, at, recorded=recorded)
        signed_pq = post_quantum.check_signature(home.settings, trust, manifest.sender, opened, at, recorded=recorded)
        if manifest.recipient != home.settings.organisation.id:
            raise Refused("the envelope is addressed to another organisation", reason="wrong-recipient")
        if manifest.recipient_key != age.fingerprint(opened.identity.recipient()):
            raise Refused("the envelope was sealed again to another key", reason="wrong-recipient-key")
        written = _write_content(opened, manifest, output)
    concern, payload = manifest.concern, manifest.payload
    return {
        "id": manifest.id,
        "kind": manifest.kind,
        "sender": manifest.sender,
        "signed_by": public.fingerprint,
        "signed_pq": signed_pq,
        "sequence": manifest.sequence,
        "created": manifest.created,
        "category": concern.category if concern else None,
        "authority": concern.authority if concern else None,
        "reference": concern.reference if concern else None,
        "name": payload.name if payload else None,
        "size": payload.size if payload else None,
        "sha256": payload.sha256 if payload else None,
        "file": str(written) if written else None,
    }


def _received(ledger: Ledger, opened: Opened) -> datetime.datetime | None:
    """When the ledger recorded this very manifest; None if it never did."""
    known = ledger.handover(opened.manifest.sender, "in", opened.manifest.id)
    if known is None or known.received_at is None or known.manifest_sha256 != opened.manifest_sha256:
        return None
    return from_text(known.received_at)


def _write_content(opened: Opened, manifest: Manifest, output: Path | None) -> Path | None:
    if manifest.payload is None:
        opened.finish()
        return None
    if output is None:
        with Path(os.devnull).open("wb") as nowhere:
            opened.copy_payload(nowhere, manifest.payload.size)
        return None
    output.mkdir(parents=True, exist_ok=True)
    with unnamed(output, f".{manifest.id}.part") as content:
        opened.copy_payload(content.file, manifest.payload.size)
        return content.place(manifest.payload.name)
