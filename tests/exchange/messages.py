"""Messages that are right in every field, for tests to send or to spoil."""

import dataclasses
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import strategies as st

from exchange.envelope.absence import Absence
from exchange.envelope.key_news import Announced, Answer
from exchange.envelope.manifest import AgreementRef, Concern, Manifest, Payload
from exchange.envelope.receipt import Receipt
from exchange.envelope.request import Request
from keys import announcement
from keys.openssh import KeySigner
from ledger import canonical

ID = "01a205b3-d000-7000-8000-000000000000"
KEY = "SHA256:" + "A" * 43

RECEIPT = Receipt(
    handover="01a205b3-cfff-7000-8000-000000000000",
    manifest_sha256="0" * 64,
    envelope_sha256="1" * 64,
    outcome="delivered",
    reason="",
    at="2026-11-23T10:16:02.500Z",
    entry=1207,
    proof="c2sp.org/tlog-proof@v1\nindex 1207\n\nofsted/handover\n1208\n",
)

TO_SEAL = Manifest(
    kind="concern",
    id=ID,
    sequence=17,
    sender="lgsco",
    recipient="ofsted",
    recipient_key=KEY,
    created="2026-11-23T10:15:00.123Z",
    expires="2026-12-23T10:15:00Z",
    agreement=AgreementRef("ofsted-lgsco", "2019-12", "2" * 64),
    payload=None,
    concern=Concern("E08000025", "upheld-decision", "24 015 493", ("LGA1974_PtIII",), "2026-11-20", "2031-11-20"),
    said=None,
    witness={"old": 0, "seen": 0},
)
"""A concern whose payload is still to be filled in."""

CONCERN = dataclasses.replace(TO_SEAL, payload=Payload("decision.pdf", 81234, "3" * 64, "application/pdf"))

RECEIPT_MESSAGE = dataclasses.replace(
    TO_SEAL,
    kind="receipt",
    sequence=None,
    sender="ofsted",
    recipient="lgsco",
    expires=None,
    agreement=None,
    concern=None,
    said=RECEIPT,
)

REQUEST_MESSAGE = dataclasses.replace(RECEIPT_MESSAGE, kind="request", expires=TO_SEAL.expires, said=Request((5, 6, 9)))
ABSENCE_MESSAGE = dataclasses.replace(
    REQUEST_MESSAGE, kind="absence", said=Absence({"held": (9,), "withdrawn": (5, 6)})
)
_KEYS = [KeySigner(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)) for number in (1, 2)]
_OLD, _NEW = (signer.public.line for signer in _KEYS)
ROTATION = announcement.Announcement(
    "ofsted", 1, "2026-11-23T10:16:00.000Z", "rotate", "signing", _NEW, _OLD, "2026-11-23T10:16:00.000Z"
)
ANNOUNCEMENT_MESSAGE = dataclasses.replace(
    REQUEST_MESSAGE, kind="announcement", said=Announced(announcement.sign(ROTATION, *_KEYS))
)
ACCEPTANCE_MESSAGE = dataclasses.replace(
    REQUEST_MESSAGE, kind="acceptance", sender="lgsco", recipient="ofsted", said=Answer(1, "4" * 64, "accepted")
)
_ALL = (CONCERN, RECEIPT_MESSAGE, REQUEST_MESSAGE, ABSENCE_MESSAGE, ANNOUNCEMENT_MESSAGE, ACCEPTANCE_MESSAGE)
SAMPLES = {message.kind: message for message in _ALL}
"""One message of every kind."""


def changed(manifest: Manifest, *path: str, **fields: Any) -> bytes:
    """The canonical bytes of the manifest with fields of the object at `path` replaced, added, or (`...`) removed."""
    value: Any = canonical.decode(manifest.encode(), limit=1 << 20)
    inner = value
    for name in path:
        inner = inner[name]
    for name, item in fields.items():
        if item is ...:
            del inner[name]
        else:
            inner[name] = item
    return canonical.encode(value)


_digests = st.text("0123456789abcdef", min_size=64, max_size=64)
_names = st.from_regex(r"[A-Za-z0-9 .()é_-]{1,40}", fullmatch=True).filter(lambda name: name not in (".", ".."))
_days = st.dates().map(lambda day: day.isoformat())
_integers = st.integers(0, 2**53 - 1)

concerns = st.builds(
    dataclasses.replace,
    st.just(CONCERN),
    sequence=st.integers(1, 2**53 - 1),
    sender=st.from_regex(r"[a-z][a-z0-9-]{1,31}", fullmatch=True),
    payload=st.builds(Payload, _names, _integers, _digests, st.sampled_from(["application/pdf", "text/csv"])),
    concern=st.builds(
        Concern,
        st.from_regex(r"[EWSN]\d{8}", fullmatch=True).filter(str.isascii),
        st.from_regex(r"[a-z][a-z0-9-]{0,63}", fullmatch=True),
        st.none() | st.just("24 015 493"),
        st.lists(st.from_regex(r"[A-Z][A-Za-z0-9_]{0,20}", fullmatch=True), max_size=3).map(tuple),
        st.none() | _days,
        st.none() | _days,
        st.none() | _days,
    ),
    witness=st.dictionaries(st.text("abc", min_size=1), st.text() | _integers | st.none(), max_size=3),
)
receipts = st.builds(
    dataclasses.replace,
    st.just(RECEIPT),
    manifest_sha256=_digests,
    entry=_integers,
    proof=st.text(min_size=1, max_size=50),
) | st.builds(
    dataclasses.replace,
    st.just(RECEIPT),
    outcome=st.just("rejected"),
    reason=st.from_regex(r"[a-z][a-z0-9-]{0,63}", fullmatch=True),
)
receipt_messages = st.builds(dataclasses.replace, st.just(RECEIPT_MESSAGE), said=receipts)

number_sets = st.sets(st.integers(1, 300) | _integers.filter(bool), min_size=1, max_size=100).map(sorted).map(tuple)
requests = st.builds(Request, number_sets)


def _absence(numbers: tuple[int, ...], reasons: list[str]) -> Absence:
    """Each number for one of the reasons, in turn."""
    found: dict[str, tuple[int, ...]] = {}
    for position, number in enumerate(numbers):
        reason = reasons[position % len(reasons)]
        found[reason] = (*found.get(reason, ()), number)
    return Absence(dict(sorted(found.items())))


absences = st.builds(
    _absence,
    number_sets,
    st.lists(st.from_regex(r"[a-z][a-z0-9-]{0,63}", fullmatch=True), min_size=1, max_size=4, unique=True),
)
control_messages = (
    receipt_messages
    | st.builds(dataclasses.replace, st.just(REQUEST_MESSAGE), said=requests)
    | st.builds(dataclasses.replace, st.just(ABSENCE_MESSAGE), said=absences)
)
