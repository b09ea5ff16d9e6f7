"""Composite signatures on everything that is exchanged: sent once accepted, always checked, and required by policy."""

import io
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from config.errors import NotNow, Refused
from exchange import by_hand, key_desk, post_quantum, pq_inventory
from exchange.assembly import system_effects
from exchange.audit import verify_home
from exchange.envelope import tar
from exchange.envelope.manifest import Manifest
from exchange.envelope.sealing import COMPOSITE, Opened, open_envelope
from exchange.landing import HostKeyChanged, KeyExchangeTooWeak, LandingError
from keys import sshsig
from keys.composite import CompositeSigner
from tests.exchange.envelopes import member
from tests.exchange.hostile import CONTENT, encrypted, land, manifest, receive, signed, silence
from tests.exchange.test_key_rotation import begin, chained, exchange_files, quiet, rotate
from tests.organisations import DECISION, Organisation, Pair
from tests.sshd import Sshd


def require(pair: Pair, *what: str) -> None:
    """Both ask for that, and accept by the chain."""
    for one, partner in ((pair.lgsco, "ofsted"), (pair.ofsted, "lgsco")):
        settings = one.home.settings
        said = settings.partner(partner).model_copy(update={"accept_rotation": "chain", "require_pq": what})
        changed = settings.model_copy(update={"partners": {partner: said}})
        one.parts = replace(one.parts, home=replace(one.home, settings=changed))


@pytest.fixture
def strong(pair: Pair) -> Pair:
    """Both have composite keys, know each other's, and require their signatures."""
    chained(pair)
    begin(pair, "signing-pq")
    require(pair, "signature", "encryption")
    return pair


def composite_of(one: Organisation) -> CompositeSigner:
    return one.parts.keyring.composite_signer(one.parts.own.fingerprints("signing-pq"))


def detail_of(one: Organisation, event: str) -> dict[str, object]:
    found = [e for e in one.parts.ledger.entries(0, one.parts.ledger.size) if e.event == event]
    return dict(found[-1].detail)


# --- what is sent -----------------------------------------------------------------------------------------------------


def test_before_a_composite_key_is_accepted_nothing_is_signed_with_it(pair: Pair) -> None:
    exchange_files(pair, "before")
    pair.clock.advance(days=1)
    made = rotate(pair.lgsco, "signing-pq")
    exchange_files(pair, "waiting")
    assert "signed_pq" not in detail_of(pair.lgsco, "sealed")
    [waiting] = key_desk.waiting(pair.ofsted.parts.ledger)
    assert waiting.announcement.fingerprint == made.fingerprint
    key_desk.accept(pair.ofsted.parts, "lgsco", made.fingerprint, "root")
    pair.clock.advance(hours=7)
    pair.settle()
    exchange_files(pair, "accepted")
    assert detail_of(pair.lgsco, "sealed")["signed_pq"] == made.fingerprint
    assert detail_of(pair.ofsted, "received")["signed_pq"] == made.fingerprint
    quiet(pair.ofsted)


def test_files_receipts_and_messages_carry_both_signatures(strong: Pair) -> None:
    exchange_files(strong, "one")
    [sent] = [h for h in strong.lgsco.handovers() if h.direction == "out"]
    [got] = [h for h in strong.ofsted.handovers() if h.direction == "in"]
    for one, partner, kind, identifier in (
        (strong.ofsted, "lgsco", "manifest", got.id),
        (strong.lgsco, "ofsted", "receipt", sent.id),
    ):
        ledger = one.parts.ledger
        other = strong.lgsco if one is strong.ofsted else strong.ofsted
        classical, composite = (ledger.document(k, partner, identifier) for k in (kind, f"{kind}-pq"))
        namespace = f"{kind}@handover"
        assert classical is not None
        assert composite is not None
        assert classical.body == composite.body
        assert sshsig.verify(classical.signature, io.BytesIO(classical.body), namespace)
        key = sshsig.verify_composite(composite.signature, io.BytesIO(classical.body), namespace)
        assert key == composite_of(other).public
    for one in (strong.lgsco, strong.ofsted):
        report = verify_home(one.home)
        assert report.ok, report.problems


def test_stock_tools_check_the_classical_signature_as_before(strong: Pair, tmp_path: Path) -> None:
    exchange_files(strong, "one")
    [got] = [h for h in strong.ofsted.handovers() if h.direction == "in"]
    kept = strong.ofsted.parts.ledger.document("manifest", "lgsco", got.id)
    assert kept is not None
    (tmp_path / "signers").write_text(strong.ofsted.parts.trust.allowed_signers())
    (tmp_path / "sig").write_text(kept.signature)
    command = ["ssh-keygen", "-Y", "verify", "-f", str(tmp_path / "signers"), "-I", "lgsco", "-n", "manifest@handover"]
    done = subprocess.run([*command, "-s", str(tmp_path / "sig")], input=kept.body, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert b"Good" in done.stdout


def test_rotating_composite_keys_while_they_are_required_loses_nothing(strong: Pair) -> None:
    for number in range(2):
        exchange_files(strong, f"before {number}")
        for one in (strong.lgsco, strong.ofsted):
            rotate(one, "signing-pq")
        strong.settle()
        exchange_files(strong, f"after {number}")
        strong.clock.advance(days=31)
        for one in (strong.lgsco, strong.ofsted):
            key_desk.tend(one.parts)
            assert len(one.parts.own.usable("signing-pq")) == 1
    exchange_files(strong, "at last")
    quiet(strong.ofsted)
    quiet(strong.lgsco)


# --- attacks ----------------------------------------------------------------------------------------------------------


def forged(pair: Pair, said: Manifest, second: bytes | None, *, after: bytes = b"") -> bytes:
    """What LGSCO would send to Ofsted, with that as the second signature."""
    text = said.encode()
    members = member("manifest.json", text) + member("manifest.json.sig", signed(pair.lgsco, text))
    members += b"" if second is None else member(COMPOSITE, second)
    members += member("payload", CONTENT) + after
    return encrypted(members + tar.END, pair.lgsco.parts.trust.recipients("ofsted", pair.clock()))


def second(signer: CompositeSigner, said: Manifest, namespace: str = "manifest@handover") -> bytes:
    return sshsig.sign(signer, io.BytesIO(said.encode()), namespace).encode()


def refused(pair: Pair, said: Manifest, with_second: bytes | None, reason: str) -> None:
    data = forged(pair, said, with_second)
    land(pair, data, f"{said.id}.age")
    assert receive(pair) == silence(data, reason)


def halves(one: bytes, other: bytes) -> bytes:
    """The first's key and ML-DSA half with the Ed25519 half of the second."""
    a, b = (sshsig.parse_composite(text.decode()) for text in (one, other))
    return replace(a, signature=a.signature[:2420] + b.signature[2420:]).armored.encode()


def of_other_key(text: bytes, key: sshsig.CompositeKey) -> bytes:
    return replace(sshsig.parse_composite(text.decode()), public=key).armored.encode()


@contextmanager
def learnt_nothing(pair: Pair) -> Iterator[None]:
    before = pair.ofsted.parts.ledger.witnessed("lgsco")
    yield
    assert pair.ofsted.parts.ledger.witnessed("lgsco") == before
    assert pair.ofsted.inbound() == []


STRANGER = CompositeSigner.from_seed(bytes(range(64)))
Forge = Callable[[CompositeSigner, Manifest, Manifest], bytes | None]
FORGERIES: dict[str, tuple[Forge, str]] = {
    "stripped": (lambda key, said, other: None, "no-composite-signature"),
    "a stranger's key": (lambda key, said, other: second(STRANGER, said), "unknown-key"),
    "another purpose": (lambda key, said, other: second(key, said, "receipt@handover"), "wrong-namespace"),
    "another manifest": (lambda key, said, other: second(key, other), "bad-signature"),
    "the ed25519 half of another manifest": (
        lambda key, said, other: halves(second(key, said), second(key, other)),
        "bad-signature",
    ),
    "the ml-dsa half of another manifest": (
        lambda key, said, other: halves(second(key, other), second(key, said)),
        "bad-signature",
    ),
    "a stranger's ed25519 half": (
        lambda key, said, other: halves(second(key, said), second(STRANGER, said)),
        "bad-signature",
    ),
    "a stranger's ml-dsa half": (
        lambda key, said, other: of_other_key(halves(second(STRANGER, said), second(key, said)), key.public),
        "bad-signature",
    ),
    "a mixed key": (
        lambda key, said, other: of_other_key(
            halves(second(STRANGER, said), second(key, said)),
            sshsig.CompositeKey(STRANGER.public.raw[:1312] + key.public.raw[1312:]),
        ),
        "unknown-key",
    ),
    "cut short": (lambda key, said, other: second(key, said)[:-40], "not-a-signature"),
    "empty": (lambda key, said, other: b"", "not-a-signature"),
    "too long": (lambda key, said, other: b"x" * 8193, "not-a-signature"),
    "the classical one twice": (
        lambda key, said, other: sshsig.sign(key._ed25519, io.BytesIO(said.encode()), "manifest@handover").encode(),
        "wrong-key-type",
    ),
}


@pytest.mark.parametrize("how", FORGERIES)
def test_a_forged_second_signature_is_a_signature_failure(strong: Pair, how: str) -> None:
    forge, reason = FORGERIES[how]
    said, other = manifest(strong), manifest(strong)
    with learnt_nothing(strong):
        data = forged(strong, said, forge(composite_of(strong.lgsco), said, other))
        land(strong, data, f"{said.id}.age")
        before = strong.ofsted.parts.ledger.size
        strong.ofsted.receive()
        entries = strong.ofsted.parts.ledger.entries(before, strong.ofsted.parts.ledger.size)
        assert [(entry.event, entry.detail.get("reason")) for entry in entries] == [("quarantined", reason)]
        strong.ofsted.send()
        assert list(strong.lgsco.landing().iterdir()) == []


def test_the_honest_one_is_delivered(strong: Pair) -> None:
    said = manifest(strong, sequence=1)
    data = forged(strong, said, second(composite_of(strong.lgsco), said))
    land(strong, data, f"{said.id}.age")
    assert receive(strong).delivered == [CONTENT]


WRONG = [how for how, (_, reason) in FORGERIES.items() if reason in ("bad-signature", "wrong-namespace")]


@pytest.mark.parametrize("how", WRONG)
def test_a_second_signature_of_a_partner_that_has_shown_no_key_must_hold_too(pair: Pair, how: str) -> None:
    forge, reason = FORGERIES[how]
    said, other = manifest(pair), manifest(pair)
    refused(pair, said, forge(CompositeSigner.from_seed(bytes(64)), said, other), reason)


def test_a_stranger_adds_nothing_to_a_partner_that_has_shown_no_key(pair: Pair) -> None:
    said = manifest(pair, sequence=1)
    land(pair, forged(pair, said, second(STRANGER, said)), f"{said.id}.age")
    assert receive(pair).delivered == [CONTENT]
    assert "signed_pq" not in detail_of(pair.ofsted, "received")


def test_the_second_signature_stands_in_its_place_once(strong: Pair) -> None:
    said, key = manifest(strong), composite_of(strong.lgsco)
    text, both = said.encode(), member(COMPOSITE, second(key, said))
    first, payload = member("manifest.json.sig", signed(strong.lgsco, text)), member("payload", CONTENT)
    head = member("manifest.json", text)
    for members in (
        head + both + first + payload,
        head + first + payload + both,
        head + first + both + both + payload,
        both + head + first + payload,
        head + both + payload,
    ):
        data = encrypted(members + tar.END, strong.lgsco.parts.trust.recipients("ofsted", strong.clock()))
        said = manifest(strong)
        land(strong, data, f"{said.id}.age")
        strong.ofsted.receive()
        assert strong.ofsted.inbound() == []
        # what stands behind the payload is not even looked at
        reasons = ("wrong-member", "no-composite-signature")
        assert detail_of(strong.ofsted, "quarantined")["reason"] in reasons


def test_a_message_without_payload_is_held_to_it_too(strong: Pair) -> None:
    exchange_files(strong, "one")
    strong.lgsco.drop(b"two", "24 015 493 two.pdf", DECISION)
    strong.lgsco.take()
    strong.lgsco.send()
    strong.ofsted.receive()
    strong.ofsted.send()
    [path] = strong.lgsco.landing().glob("*.age")
    opened: Opened
    with path.open("rb") as source:
        opened = open_envelope(source, strong.lgsco.parts.identities())
    head = member("manifest.json", opened.manifest_bytes) + member("manifest.json.sig", opened.signature.encode())
    recipients = strong.ofsted.parts.trust.recipients("lgsco", strong.clock())
    path.write_bytes(encrypted(head + tar.END, recipients))
    strong.lgsco.receive()
    assert strong.lgsco.states()[-1] == "sent"
    reasons = [e.detail.get("reason") for e in strong.lgsco.parts.ledger.entries(0, strong.lgsco.parts.ledger.size)]
    assert "no-composite-signature" in reasons


def test_a_revoked_composite_key_signs_nothing_that_counts(strong: Pair) -> None:
    stolen = composite_of(strong.lgsco)
    key_desk.revoke(strong.lgsco.parts, stolen.public.fingerprint, None, "root")
    strong.clock.advance(hours=1)
    strong.settle()
    said = manifest(strong)
    data = forged(strong, said, second(stolen, said))
    land(strong, data, f"{said.id}.age")
    assert receive(strong).reason == "key-revoked"
    exchange_files(strong, "after")


# --- policy -----------------------------------------------------------------------------------------------------------


def test_what_requires_a_signature_sends_nothing_without_one(pair: Pair) -> None:
    require(pair, "signature")
    pair.lgsco.drop(b"one", "24 015 493 one.pdf", DECISION)
    pair.lgsco.take()
    with pytest.raises(NotNow, match="no composite signing key"):
        pair.lgsco.send()
    assert pair.lgsco.states() == ["accepted"]


def test_a_courier_is_held_to_it_both_ways(strong: Pair, tmp_path: Path) -> None:
    file, sealed = tmp_path / "24 015 493 decision.pdf", tmp_path / "by-hand.age"
    file.write_bytes(CONTENT)
    by_hand.seal_by_hand(strong.lgsco.parts, file, sealed, "ofsted", "upheld-decision", "Birmingham", None)
    parts = strong.ofsted.parts
    told = by_hand.open_by_hand(parts.home, parts.keyring, parts.trust, parts.ledger, sealed, None)
    assert told["signed_pq"] == composite_of(strong.lgsco).public.fingerprint
    said = manifest(strong)
    sealed.write_bytes(forged(strong, said, None))
    with pytest.raises(Refused) as caught:
        by_hand.open_by_hand(parts.home, parts.keyring, parts.trust, parts.ledger, sealed, tmp_path / "out")
    assert caught.value.reason == "no-composite-signature"


def weaken(pair: Pair) -> None:
    """Ofsted has an X25519 key, which a person at LGSCO has accepted."""
    settings = pair.ofsted.home.settings
    keys = settings.keys.model_copy(update={"encryption": "x25519"})
    home = replace(pair.ofsted.home, settings=settings.model_copy(update={"keys": keys}))
    pair.ofsted.parts = replace(pair.ofsted.parts, home=home)
    rotate(pair.ofsted, "encryption", timedelta(0))
    pair.settle()
    [waiting] = key_desk.waiting(pair.lgsco.parts.ledger)
    key_desk.accept(pair.lgsco.parts, "ofsted", waiting.announcement.fingerprint, "root")


def test_a_recipient_that_is_not_hybrid_is_not_encrypted_to_where_that_is_required(pair: Pair) -> None:
    require(pair, "encryption")
    exchange_files(pair, "one")
    pair.clock.advance(days=1)
    weaken(pair)
    with pytest.raises(NotNow, match="no post-quantum encryption key"):
        post_quantum.recipient(pair.lgsco.parts, "ofsted")
    pair.lgsco.drop(b"two", "24 015 493 two.pdf", DECISION)
    pair.lgsco.take()
    with pytest.raises(NotNow, match="require_pq"):
        pair.lgsco.send()
    assert pair.lgsco.states()[-1] == "accepted"
    parts = pair.lgsco.parts
    said = "ofsted has no post-quantum encryption key, and require_pq asks for one: nothing is sealed to it"
    told = pq_inventory.problems(parts.home.settings, parts.ledger, parts.trust, ["ofsted"], pair.clock())
    assert list(told) == [said]


def test_what_was_sealed_to_a_key_that_is_not_hybrid_is_refused_where_that_is_required(pair: Pair) -> None:
    chained(pair)
    pair.clock.advance(days=1)
    weaken(pair)
    # it hears first that its key was accepted, then uses it
    pair.clock.advance(hours=7)
    for _ in range(3):
        pair.settle()
    exchange_files(pair, "allowed")
    settings = pair.ofsted.home.settings
    said = settings.partner("lgsco").model_copy(update={"require_pq": ("encryption",)})
    home = replace(pair.ofsted.home, settings=settings.model_copy(update={"partners": {"lgsco": said}}))
    pair.ofsted.parts = replace(pair.ofsted.parts, home=home)
    pair.lgsco.drop(b"two", "24 015 493 two.pdf", DECISION)
    pair.settle()
    assert pair.lgsco.states()[-1] == "rejected"
    assert detail_of(pair.ofsted, "rejected")["reason"] == "downgrade"


@pytest.mark.topologies(but="lgsco-hosts")
@pytest.mark.parametrize(("required", "error"), [((), HostKeyChanged), (("key-exchange",), KeyExchangeTooWeak)])
def test_the_policy_reaches_the_login(pair: Pair, required: tuple[str, ...], error: type[LandingError]) -> None:
    """This server has another host key than the card names; by the policy it never comes so far."""
    parts, settings = pair.lgsco.parts, pair.lgsco.home.settings
    with Sshd() as server:
        where = {"host": "127.0.0.1", "port": server.port, "user": server.user, "path": "x", "require_pq": required}
        said = settings.partner("ofsted").model_copy(update=where)
        home = replace(parts.home, settings=settings.model_copy(update={"partners": {"ofsted": said}}))
        with pytest.raises(error):
            system_effects(home, parts.keyring, parts.book).connect(parts.trust.card("ofsted"))
