"""A partner that builds its messages by hand, so that any part of one can be wrong while the rest is right."""

import dataclasses
import hashlib
import io
from collections.abc import Sequence
from typing import Any

from exchange import sender
from exchange.envelope import tar
from exchange.envelope.manifest import Concern, Manifest, Payload
from keys import age, sshsig
from ledger.identifier import new_id
from tests.exchange.envelopes import member
from tests.organisations import CASE, Organisation, Pair

CONTENT = b"%PDF-1.7 upheld\n" * 100
NAME = f"{CASE} decision.pdf"
CONCERN = Concern("E08000025", "upheld-decision", CASE, ("LGA1974_PtIII",), None, None)


def described(content: bytes = CONTENT, name: str = NAME) -> Payload:
    """What an honest manifest says of the content."""
    return Payload(name, len(content), hashlib.sha256(content).hexdigest(), "application/pdf")


def manifest(pair: Pair, **changes: Any) -> Manifest:
    """What LGSCO would say to Ofsted, with some of it changed."""
    parts = pair.lgsco.parts
    identifier = new_id(pair.clock(), parts.effects.random)
    key = age.fingerprint(parts.trust.recipients("ofsted", parts.effects.clock())[0])
    honest = sender.manifest_for(parts, identifier, "ofsted", 1, CONCERN, key)
    return dataclasses.replace(honest, **{"payload": described(), **changes})


def signed(by: Organisation, said: bytes, namespace: str = "manifest@handover") -> bytes:
    """The signature member."""
    return sshsig.sign(by.parts.keyring.signer("signing"), io.BytesIO(said), namespace).encode()


def encrypted(plain: bytes, recipients: Sequence[age.Recipient]) -> bytes:
    """The age file."""
    target = io.BytesIO()
    age.encrypt(io.BytesIO(plain), target, recipients)
    return target.getvalue()


def envelope(
    pair: Pair,
    said: Manifest | bytes,
    *,
    content: bytes | None = CONTENT,
    signature: bytes | None = None,
    recipients: Sequence[age.Recipient] | None = None,
    after: bytes = b"",
) -> bytes:
    """A whole envelope from LGSCO to Ofsted."""
    text = said if isinstance(said, bytes) else said.encode()
    members = member("manifest.json", text)
    members += member("manifest.json.sig", signed(pair.lgsco, text) if signature is None else signature)
    if content is not None:
        members += member("payload", content)
    return encrypted(
        members + after + tar.END,
        recipients or pair.lgsco.parts.trust.recipients("ofsted", pair.lgsco.parts.effects.clock()),
    )


def land(pair: Pair, data: bytes, name: str) -> None:
    """Put a file into the landing zone that Ofsted keeps for LGSCO."""
    pair.ofsted.landing().mkdir(parents=True, exist_ok=True)
    (pair.ofsted.landing() / name).write_bytes(data)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a message did to Ofsted."""

    events: list[str]
    reason: str | None
    answers: int
    learnt: bool
    delivered: list[bytes]
    spooled: int
    kept: list[bytes]


def receive(pair: Pair) -> Outcome:
    """Let Ofsted take what landed and answer what it wants to answer."""
    ledger = pair.ofsted.parts.ledger
    before = ledger.size
    pair.ofsted.receive()
    entries = ledger.entries(before, ledger.size)
    pair.ofsted.send()
    answers = list(pair.lgsco.landing().iterdir())
    quarantine = pair.ofsted.home.quarantine.rglob("*")
    return Outcome(
        events=[entry.event for entry in entries],
        reason=next((str(e.detail["reason"]) for e in reversed(entries) if "reason" in e.detail), None),
        answers=len(answers),
        learnt=ledger.witnessed("lgsco") is not None,
        delivered=[path.read_bytes() for path in pair.ofsted.inbound()],
        spooled=len(pair.ofsted.spooled()),
        kept=[path.read_bytes() for path in quarantine if path.is_file()],
    )


def silence(data: bytes, reason: str, *, event: str = "quarantined", learnt: bool = False) -> Outcome:
    """Nothing delivered, nothing answered, the message kept in quarantine, one entry."""
    return Outcome([event], reason, 0, learnt, [], 0, [data])


def refusal(reason: str, *, learnt: bool) -> Outcome:
    """Nothing delivered; recorded and answered."""
    return Outcome(["rejected"], reason, 1, learnt, [], 0, [])
