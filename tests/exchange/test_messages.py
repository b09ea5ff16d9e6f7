"""What all control messages share, shown by a kind that is planted for the test: its lines in the tables are enough."""

import dataclasses
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from config.errors import NotNow
from config.times import from_text, to_text
from exchange import messages
from exchange.control import Due, Message, MessageRefused
from exchange.envelope import manifest as manifests
from exchange.envelope.fields import Fields
from exchange.envelope.manifest import Kind, Manifest
from exchange.landing import ConnectionLost
from exchange.messages import Control
from exchange.parts import Parts
from keys.trust import NAMESPACES
from ledger.canonical import Json
from ledger.entry import Draft
from tests.exchange import hostile
from tests.exchange.hostile import envelope, land
from tests.exchange.messages import changed
from tests.organisations import Pair

AGAIN = timedelta(hours=6)


@dataclasses.dataclass(frozen=True)
class Greeting:
    """What the planted kind says."""

    words: str

    def to_json(self) -> dict[str, Json]:
        return {"words": self.words}

    @classmethod
    def from_json(cls, value: Json) -> "Greeting":
        fields = Fields(value, "a greeting", reason="bad-greeting")
        said = cls(fields.text("words", re.compile("[a-z ]{1,64}")))
        fields.done()
        return said


def greet(parts: Parts, partner: str) -> Sequence[Due]:
    """LGSCO greets until the greeting has been returned, every six hours."""
    if parts.me != "lgsco" or parts.ledger.rows("SELECT 1 FROM entries WHERE event = 'greeting.came'"):
        return []
    said = parts.ledger.rows("SELECT at FROM entries WHERE event = 'greeting.sent' ORDER BY seq DESC LIMIT 1")
    if said and parts.effects.clock() - from_text(said[0][0]) < AGAIN:
        return []
    sent = Draft(event="greeting.sent", actor="daemon", partner=partner)
    return [Due("greeting", lambda: Greeting("good morning"), sent, timedelta(days=1))]


def be_greeted(parts: Parts, message: Message) -> None:
    """Only politely."""
    if not isinstance(message.manifest.said, Greeting) or message.manifest.said.words == "go away":
        raise MessageRefused("a greeting is rude", reason="rude")
    parts.ledger.write(lambda tx: tx.append(Draft(event="greeting.came", actor="daemon", partner=message.partner)))


@pytest.fixture
def greetings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted kind: a line in each of the two tables."""
    kind = Kind(frozenset({"greeting", "expires"}), frozenset(), "greeting@handover", Greeting.from_json)
    monkeypatch.setattr(manifests, "KINDS", {**manifests.KINDS, "greeting": kind})
    monkeypatch.setattr(messages, "KINDS", manifests.KINDS)
    monkeypatch.setattr(messages, "CONTROLS", {**messages.CONTROLS, "greeting": Control(greet, be_greeted)})


def said(pair: Pair, words: str = "good morning", **changes: Any) -> Manifest:
    """A greeting from LGSCO to Ofsted."""
    blank: dict[str, Any] = dict.fromkeys(("sequence", "agreement", "payload", "concern"))
    return hostile.manifest(pair, kind="greeting", said=Greeting(words), **{**blank, **changes})


def greet_ofsted(pair: Pair, message: Manifest) -> list[tuple[str, object]]:
    """Let a greeting land; what Ofsted's ledger says of it, with reasons."""
    signature = hostile.signed(pair.lgsco, message.encode(), "greeting@handover")
    land(pair, envelope(pair, message, content=None, signature=signature), f"{message.id}.age")
    ledger = pair.ofsted.parts.ledger
    before = ledger.size
    pair.ofsted.receive()
    return [(entry.event, entry.detail.get("reason")) for entry in ledger.entries(before, ledger.size)]


def test_every_control_message_has_a_source_a_use_and_a_namespace_of_its_own() -> None:
    assert set(messages.CONTROLS) == set(manifests.CONTROL)
    namespaces = [kind.namespace for kind in manifests.KINDS.values()]
    assert len(set(namespaces)) == len(namespaces)
    assert set(namespaces) <= set(NAMESPACES)


def test_a_message_of_a_kind_that_only_newer_versions_know_is_kept_in_quarantine_and_says_so(pair: Pair) -> None:
    text = changed(hostile.manifest(pair), kind="lease")
    identifier = hostile.manifest(pair).id
    data = envelope(pair, text, content=None)
    land(pair, data, f"{identifier}.age")
    assert hostile.receive(pair) == hostile.silence(data, "unknown-kind")


def test_a_message_is_sent_again_after_a_pause_until_the_ledger_says_that_it_is_not_needed(
    pair: Pair, greetings: None
) -> None:
    for _ in range(3):
        pair.lgsco.send()
    assert pair.lgsco.events().count("greeting.sent") == 1
    for lost in pair.ofsted.landing().iterdir():
        lost.unlink()
    pair.clock.advance(hours=6)
    pair.settle()
    assert pair.lgsco.events().count("greeting.sent") == 2
    assert pair.ofsted.events().count("greeting.came") == 1
    assert pair.lgsco.spooled() == pair.ofsted.spooled() == []


@pytest.mark.topologies("push", only=True)
def test_a_message_whose_upload_was_cut_off_is_made_anew_and_leaves_nothing_behind(
    pair: Pair, greetings: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing = pair.lgsco.connection.open(pair.lgsco.parts)

    def cut(*_args: object) -> None:
        raise ConnectionLost("127.0.0.1:22")

    with monkeypatch.context() as patch:
        patch.setattr(landing, "rename", cut)
        with pytest.raises(ConnectionLost):
            pair.lgsco.send()
    assert [path.suffix for path in pair.ofsted.landing().iterdir()] == [".part"]
    pair.settle()
    assert list(pair.ofsted.landing().iterdir()) == []
    assert (pair.lgsco.spooled(), pair.ofsted.events().count("greeting.came")) == ([], 1)


@pytest.mark.parametrize("broken", ["due", "say"])
def test_what_cannot_be_made_keeps_no_other_message_from_going(
    pair: Pair, greetings: None, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def fail(*_args: object) -> Any:
        raise NotNow("the disk is full")

    odd = fail if broken == "due" else lambda *_: [Due("greeting", fail, Draft(event="odd.sent", actor="daemon"))]
    monkeypatch.setattr(messages, "CONTROLS", {"odd": Control(odd, fail), **messages.CONTROLS})
    with pytest.raises(NotNow, match="the disk is full"):
        pair.lgsco.send()
    assert pair.ofsted.receive() == 1
    assert pair.ofsted.events()[-1] == "greeting.came"


@pytest.mark.parametrize(
    ("created", "expires", "reason"),
    [(-48, 0, "expired"), (-48, 1, None), (25, 48, "not-yet-valid"), (23, 48, None)],
)
def test_a_message_counts_only_in_its_time(
    pair: Pair, greetings: None, created: int, expires: int, reason: str | None
) -> None:
    made, until = (to_text(pair.clock() + timedelta(hours=hours)) for hours in (created, expires))
    expected = ("greeting.came", None) if reason is None else ("message.refused", reason)
    noticed = [("clock.disagrees", None)] if created > 0 else []
    assert greet_ofsted(pair, said(pair, created=made, expires=until)) == [*noticed, expected]


def test_a_partner_that_repeats_what_is_refused_makes_us_write_it_down_once_an_hour(
    pair: Pair, greetings: None
) -> None:
    assert greet_ofsted(pair, said(pair, "go away")) == [("message.refused", "rude")]
    assert greet_ofsted(pair, said(pair, "go away")) == []
    assert greet_ofsted(pair, said(pair, created=to_text(pair.clock() - AGAIN), expires=to_text(pair.clock()))) == [
        ("message.refused", "expired")
    ]
    pair.clock.advance(hours=1)
    assert greet_ofsted(pair, said(pair, "go away")) == [("message.refused", "rude")]


def test_a_clock_that_was_put_back_does_not_keep_a_refusal_from_being_recorded(pair: Pair, greetings: None) -> None:
    pair.clock.advance(days=1)
    greet_ofsted(pair, said(pair, "go away"))
    pair.clock.advance(days=-1)
    assert greet_ofsted(pair, said(pair, "go away")) == [("message.refused", "rude")]


def test_a_message_under_the_signature_of_another_purpose_is_quarantined(pair: Pair, greetings: None) -> None:
    message = said(pair)
    data = envelope(pair, message, content=None)
    land(pair, data, f"{message.id}.age")
    assert hostile.receive(pair) == hostile.silence(data, "wrong-namespace")
