"""Envelopes made and opened by a person, beside the daemon."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.errors import Misuse, NotNow, Refused
from config.times import to_text
from exchange import key_desk, orders
from exchange.by_hand import ENGLAND, open_by_hand, seal_by_hand
from exchange.status import status
from keys.card import SigningKey
from keys.keyring import Keyring
from keys.trust import Trust, UntrustedKey
from ledger.entry import Draft
from ledger.identifier import new_id
from tests.exchange.crashes import Crash, Machine
from tests.exchange.hostile import envelope, manifest
from tests.exchange.test_key_rotation import chained, rotate
from tests.organisations import CASE, PASSPHRASE, Pair


def seal(pair: Pair, output: Path) -> dict[str, str | int | None]:
    path = output.parent / f"{CASE} decision.pdf"
    path.write_bytes(b"decision")
    return seal_by_hand(pair.lgsco.parts, path, output, "ofsted", "upheld-decision", "Birmingham", None)


def test_what_is_there_is_not_replaced_and_nothing_is_recorded(pair: Pair, tmp_path: Path) -> None:
    output = tmp_path / "envelope.age"
    output.write_bytes(b"something precious")
    before = pair.lgsco.events()
    with pytest.raises(Refused, match="there is a file of that name already") as refused:
        seal(pair, output)
    assert (refused.value.reason, bool(refused.value.hint)) == ("file-exists", True)
    assert output.read_bytes() == b"something precious"
    assert pair.lgsco.events() == before


def test_an_envelope_is_recorded_before_anybody_can_carry_it_away(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "envelope.age"
    seen: list[tuple[bool, str]] = []
    machine = Machine(monkeypatch)
    machine.before_each = lambda: seen.append((output.exists() and output.stat().st_size > 0, pair.lgsco.events()[-1]))
    with machine.on():
        seal(pair, output)
    assert {event for there, event in seen if there} == {"sealed"}
    assert pair.lgsco.events()[-3:] == ["accepted", "sealed", "sent"]
    landing = pair.ofsted.landing()
    landing.mkdir(parents=True, exist_ok=True)
    (landing / f"{pair.lgsco.handovers()[0].id}.age").write_bytes(output.read_bytes())
    pair.settle()
    assert pair.lgsco.states() == ["acknowledged"]


def test_what_cannot_be_finished_is_withdrawn_and_leaves_nothing(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "courier"
    folder.mkdir()
    machine = Machine(monkeypatch)
    for number in range(100):
        machine.steps, machine.stop_at = [], number
        output = folder / f"{number}.age"
        try:
            with machine.on():
                seal(pair, output)
        except Crash:
            states = pair.lgsco.states()
            assert [path.name for path in folder.iterdir() if path.suffix == ".part"] == []
            assert not output.exists() or states[-1] == "sealed"
        else:
            break
    assert number > 3
    assert pair.lgsco.states()[-1] == "sent"


def test_what_was_received_in_time_is_opened_after_its_key_has_ended_and_nothing_else_is(
    pair: Pair, tmp_path: Path
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    pair.clock.now = now - timedelta(days=2)
    for one in (pair.lgsco, pair.ofsted):
        # our own keys were made just now: they are not what this is about
        one.parts = replace(one.parts, keyring=Keyring.open(one.home.keys, lambda: PASSPHRASE))
    card = pair.ofsted.parts.trust.card("lgsco")
    key = SigningKey(card.signing_keys[0].line, to_text(now - timedelta(days=9)), to_text(now - timedelta(days=1)))
    trust = Trust([replace(card, signing_keys=(key,))])
    pair.ofsted.parts = replace(pair.ofsted.parts, cards=trust)
    copies = []
    for name in ("received", "never"):
        pair.lgsco.drop(name.encode(), f"{CASE} {name}.pdf")
        pair.lgsco.take()
        pair.lgsco.send()
        (landed,) = pair.ofsted.landing().iterdir()
        copies.append(tmp_path / landed.name)
        if name == "never":
            landed.rename(copies[-1])
        else:
            copies[-1].write_bytes(landed.read_bytes())
            pair.ofsted.receive()
    ofsted = pair.ofsted.parts

    def opened(path: Path) -> dict[str, str | int | None]:
        return open_by_hand(ofsted.home, ofsted.keyring, trust, ofsted.ledger, path, None)

    assert opened(copies[0])["name"] == f"{CASE} received.pdf"
    with pytest.raises(UntrustedKey) as refused:
        opened(copies[1])
    assert refused.value.reason == "key-expired"
    # another message under an id that was received proves no time
    reused = envelope(pair, manifest(pair, id=copies[0].stem).encode())
    copies[0].write_bytes(reused)
    with pytest.raises(UntrustedKey) as refused:
        opened(copies[0])
    assert refused.value.reason == "key-expired"


def short(pair: Pair, path: Path, output: Path, reference: str | None = None) -> dict[str, str | int | None]:
    """`seal FILE --to P -o ENVELOPE`, and no more."""
    return seal_by_hand(pair.lgsco.parts, path, output, "ofsted", None, None, reference)


def test_without_a_council_it_is_about_england_and_opens_at_the_partner(pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / f"{CASE} decision.pdf"
    path.write_bytes(b"decision")
    short(pair, path, tmp_path / "envelope.age")
    ofsted = pair.ofsted.parts
    opened = open_by_hand(ofsted.home, ofsted.keyring, ofsted.trust, ofsted.ledger, tmp_path / "envelope.age", None)
    assert (opened["authority"], opened["category"], opened["reference"]) == (ENGLAND, "upheld-decision", CASE)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (f"{CASE} program.exe", b"x", "kind of file is not in the agreement"),
        ("decision.pdf", b"x", "complaint reference is missing"),
        (f"{CASE} decision.pdf", b"", "empty"),
    ],
)
def test_leaving_the_council_out_gets_nothing_else_past_the_agreement(
    pair: Pair, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    before = pair.lgsco.events()
    with pytest.raises(Refused, match=words):
        short(pair, tmp_path / name, tmp_path / "envelope.age")
    assert not (tmp_path / "envelope.age").exists()
    assert pair.lgsco.events() == before


@pytest.mark.parametrize("reference", ['x"\nauthority = "E08000035', 'a"b', "a\\b", "a\nb"])
def test_a_reference_cannot_say_more_than_a_reference(pair: Pair, tmp_path: Path, reference: str) -> None:
    (tmp_path / "decision.pdf").write_bytes(b"x")
    with pytest.raises(Misuse, match="no reference has"):
        short(pair, tmp_path / "decision.pdf", tmp_path / "envelope.age", reference)


def test_what_a_crash_left_without_an_envelope_is_listed_and_keeps_no_other_file(pair: Pair) -> None:
    ledger, identifier = pair.lgsco.parts.ledger, new_id(pair.clock(), pair.lgsco.parts.effects.random)
    draft = Draft(event="accepted", actor="operator", handover=identifier, partner="ofsted", direction="out")
    ledger.write(lambda tx: tx.append(draft.replace(detail={"sequence": 1, "by_hand": True})))
    ledger.write(lambda tx: tx.append(draft.replace(event="sealed", detail={"by_hand": True})))
    pair.lgsco.drop(b"decision")
    pair.settle()
    assert pair.lgsco.states() == ["sealed", "acknowledged"]
    parts = pair.lgsco.parts

    def problems() -> tuple[str, ...]:
        return status(parts.home, ledger, parts.keyring, parts.trust).problems

    said = f"an envelope made by hand was not finished: 'handover withdraw {identifier}', and seal it again"
    assert said in problems()
    orders.place(ledger, pair.lgsco.handovers()[0], "withdraw", "Kim Example")
    pair.settle()
    assert pair.lgsco.states() == ["withdrawn", "acknowledged"]
    assert said not in problems()


def test_what_a_courier_carries_keeps_the_key_that_signed_it_until_it_has_expired(pair: Pair, tmp_path: Path) -> None:
    chained(pair)
    seal(pair, tmp_path / "envelope.age")
    rotate(pair.lgsco, "signing", timedelta(0))
    pair.settle()
    with pytest.raises(NotNow, match="1 handovers that were sealed with it have no receipt"):
        key_desk.retire(pair.lgsco.parts, "signing", "root")
    pair.clock.advance(days=31)
    assert key_desk.retire(pair.lgsco.parts, "signing", "root").serial == 1


def test_what_lies_here_is_opened_with_the_revoked_key_that_was_kept_for_it(pair: Pair, tmp_path: Path) -> None:
    chained(pair)
    parts = pair.ofsted.parts
    pair.lgsco.drop(b"sealed before", f"{CASE} decision.pdf")
    pair.lgsco.take()
    pair.lgsco.send()
    [lies] = pair.ofsted.landing().glob("*.age")
    # where we collect, it lies here only when it was fetched
    here = parts.home.quarantine / "lgsco" / lies.name
    here.parent.mkdir(parents=True, exist_ok=True)
    here.write_bytes(lies.read_bytes())
    stolen = parts.own.usable("encryption")[0].fingerprint
    assert int(key_desk.revoke(parts, stolen, None, "root")["to_open"] or 0) > 0
    opened = open_by_hand(pair.ofsted.home, parts.keyring, parts.trust, parts.ledger, here, tmp_path / "opened")
    assert Path(str(opened["file"])).read_bytes() == b"sealed before"
