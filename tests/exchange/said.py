"""Control messages made by hand: what one organisation says to the other, as it lands and as it is taken."""

import dataclasses
import io
from datetime import timedelta
from typing import Any

from config.times import to_text
from exchange.envelope.manifest import KINDS, Manifest, Said
from exchange.envelope.sealing import seal
from keys import age
from keys.keyring import Keyring
from ledger import witness
from ledger.identifier import new_id
from tests.organisations import Organisation


def message(by: Organisation, kind: str, said: Said, **changes: Any) -> Manifest:
    """A message that is right in every field, with some of it changed."""
    parts = by.parts
    now = parts.effects.clock()
    honest = Manifest(
        kind=kind,
        id=new_id(now, parts.effects.random),
        sequence=None,
        sender=parts.me,
        recipient=by.partner,
        recipient_key=age.fingerprint(parts.trust.recipients(by.partner, parts.effects.clock())[0]),
        created=to_text(now),
        expires=to_text(now + timedelta(days=1)) if "expires" in KINDS[kind].must else None,
        agreement=None,
        payload=None,
        concern=None,
        said=said,
        witness=witness.compose(parts.ledger, by.partner).to_json(),
    )
    return dataclasses.replace(honest, **changes)


def land(by: Organisation, at: Organisation, said: Manifest, keyring: Keyring | None = None) -> bytes:
    """Seal a message, put it into the other's landing zone, and return it."""
    target = io.BytesIO()
    key = (keyring or by.parts.keyring).signer("signing")
    seal(None, said, signer=key, recipients=by.parts.trust.recipients(by.partner, by.parts.effects.clock()), dst=target)
    at.landing().mkdir(parents=True, exist_ok=True)
    (at.landing() / f"{said.id}.age").write_bytes(target.getvalue())
    return target.getvalue()


def take(at: Organisation) -> list[tuple[str, object]]:
    """Let an organisation receive; what its ledger says of it, with reasons."""
    ledger = at.parts.ledger
    before = ledger.size
    at.receive()
    return [(entry.event, entry.detail.get("reason")) for entry in ledger.entries(before, ledger.size)]
