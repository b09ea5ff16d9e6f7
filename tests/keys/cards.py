"""Cards for the tests, with verifier keys spelled from the specification and not by the code under test."""

import base64
import hashlib
from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keys import age
from keys.card import Card, Landing, SigningKey
from keys.sshsig import PublicKey

ISSUED = "2026-11-24T09:30:00.000Z"
START = "2026-11-24T00:00:00.000Z"
END = "2027-11-24T00:00:00.000Z"

PQ = str(age.HybridIdentity.generate().recipient())
X25519 = str(age.X25519Identity.generate().recipient())


def private(name: str) -> Ed25519PrivateKey:
    """The same key for the same name."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


def public(name: str) -> PublicKey:
    return PublicKey.from_key(private(name))


def vkey(name: str, kind: int, raw: bytes) -> str:
    """C2SP signed-note: name+hex(SHA-256(name, line end, kind, key)[:4])+base64(kind, key)."""
    tail = bytes([kind]) + raw
    key_id = hashlib.sha256(name.encode() + bytes([10]) + tail).hexdigest()[:8]
    return f"{name}+{key_id}+{base64.b64encode(tail).decode()}"


def card(organisation: str = "lgsco", **changes: Any) -> Card:
    """A card in which everything is in order, before `changes`."""
    base = Card(
        organisation=organisation,
        name="Local Government and Social Care Ombudsman",
        issued=ISSUED,
        ledger_origin=f"{organisation}/handover",
        ledger_keys=(vkey(f"{organisation}/handover", 1, public(f"{organisation} ledger").raw),),
        witness_keys=(vkey(f"{organisation}/witness", 4, public(f"{organisation} witness").raw),),
        signing_keys=(SigningKey(public(f"{organisation} signing").line, START, END),),
        recipients=(PQ,),
        transport_keys=(public(f"{organisation} transport").line,),
        landing=Landing(
            "sftp.example.org", 22, "{partner}", "landing/{partner}", (public(f"{organisation} host").line,)
        ),
    )
    return replace(base, **changes)
