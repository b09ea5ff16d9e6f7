"""Receipts from Ofsted to LGSCO, true ones and others, as they land and as they are taken."""

import dataclasses
import io
from typing import Any

from config.times import to_text
from exchange import receipts
from exchange.envelope import seal
from exchange.manifest import Manifest
from exchange.receipt import Receipt
from keys import age
from keys.keyring import Keyring
from ledger import witness
from ledger.identifier import new_id
from tests.organisations import Pair


def honest(pair: Pair) -> Receipt:
    (theirs,) = pair.ofsted.handovers()
    return receipts.receipt_for(pair.ofsted.parts, theirs)


def message(pair: Pair, receipt: Receipt, **changes: Any) -> Manifest:
    """A receipt message from Ofsted."""
    ofsted = pair.ofsted.parts
    said = Manifest(
        kind="receipt",
        id=new_id(pair.clock(), ofsted.effects.random),
        sequence=None,
        sender="ofsted",
        recipient="lgsco",
        recipient_key=age.fingerprint(ofsted.trust.recipients("lgsco")[0]),
        created=to_text(pair.clock()),
        expires=None,
        agreement=None,
        payload=None,
        concern=None,
        said=receipt,
        witness=witness.compose(ofsted.ledger, "lgsco").to_json(),
    )
    return dataclasses.replace(said, **changes)


def land(pair: Pair, said: Manifest, keyring: Keyring | None = None) -> bytes:
    target = io.BytesIO()
    key = (keyring or pair.ofsted.parts.keyring).signer("signing")
    seal(None, said, signer=key, recipients=pair.ofsted.parts.trust.recipients("lgsco"), dst=target)
    pair.lgsco.landing().mkdir(parents=True, exist_ok=True)
    (pair.lgsco.landing() / f"{said.id}.age").write_bytes(target.getvalue())
    return target.getvalue()


def take(pair: Pair) -> list[tuple[str, object]]:
    """Let LGSCO receive; what its ledger says of it, with reasons."""
    ledger = pair.lgsco.parts.ledger
    before = ledger.size
    pair.lgsco.receive()
    return [(entry.event, entry.detail.get("reason")) for entry in ledger.entries(before, ledger.size)]
