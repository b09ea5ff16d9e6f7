"""Receipts from Ofsted to LGSCO, true ones and others, as they land and as they are taken."""

from typing import Any

from exchange import receipts
from exchange.envelope.manifest import Manifest
from exchange.envelope.receipt import Receipt
from keys.keyring import Keyring
from tests.exchange import said
from tests.organisations import Pair


def honest(pair: Pair) -> Receipt:
    (theirs,) = pair.ofsted.handovers()
    return receipts.receipt_for(pair.ofsted.parts, theirs)


def message(pair: Pair, receipt: Receipt, **changes: Any) -> Manifest:
    """A receipt message from Ofsted."""
    return said.message(pair.ofsted, "receipt", receipt, **changes)


def land(pair: Pair, manifest: Manifest, keyring: Keyring | None = None) -> bytes:
    return said.land(pair.ofsted, pair.lgsco, manifest, keyring)


def take(pair: Pair) -> list[tuple[str, object]]:
    """Let LGSCO receive; what its ledger says of it, with reasons."""
    return said.take(pair.lgsco)
