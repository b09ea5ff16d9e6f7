"""Keys that a partner's new card does not name any more: what they signed before verifies, and nothing new does."""

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from config.times import to_text
from exchange import key_desk, partners
from exchange.assembly import assemble
from exchange.audit import verify_home
from exchange.by_hand import open_by_hand
from exchange.former_keys import former_witnesses
from exchange.key_export import composite_signers
from exchange.partners import add_partner, make_card
from keys import card as cards
from keys import sshsig
from keys.card import Card, SigningKey
from keys.key_info import Purpose
from keys.openssh import Signer
from keys.trust import UntrustedKey
from tests.exchange.hostile import envelope, land, manifest
from tests.exchange.test_key_expired import give_card, restart_both
from tests.exchange.test_key_revocation import first, persist, revoke, stamp
from tests.exchange.test_key_rotation import begin, chained, exchange_files, quiet, rotate
from tests.organisations import CASE, PASSPHRASE, Pair, restart


def archive(pair: Pair, path: Path) -> Path:
    """A file from LGSCO is delivered, and its envelope kept."""
    pair.lgsco.drop(b"archived", f"{CASE} {path.stem}.pdf")
    pair.lgsco.take()
    pair.lgsco.send()
    [landed] = pair.ofsted.landing().glob("*.age")
    path.write_bytes(landed.read_bytes())
    pair.settle()
    return path


def opened(pair: Pair, path: Path) -> dict[str, str | int | None]:
    parts = pair.ofsted.parts
    return open_by_hand(parts.home, parts.keyring, parts.trust, parts.ledger, path, None)


def refusal(pair: Pair, path: Path) -> str:
    with pytest.raises(UntrustedKey) as refused:
        opened(pair, path)
    return refused.value.reason


def end_and_give_card(
    pair: Pair, folder: Path, purpose: Purpose = "signing", *, lost: bool = False, name: str = "next.toml"
) -> str:
    """LGSCO revokes the key, and Ofsted takes the next card, as 'partner add' does; returns its public half."""
    public = pair.lgsco.parts.own.usable(purpose)[0].public
    key_desk.revoke(pair.lgsco.parts, first(pair.lgsco, purpose), None, "root", lost=lost)
    if not lost:
        persist(pair)
        pair.clock.advance(hours=7)
        persist(pair)
    take_card(pair, folder / name)
    return public


def take_card(pair: Pair, path: Path) -> None:
    """As the command does: whose card is about to be replaced is not asked about the present one."""
    pair.lgsco.parts.keyring.reload()
    made = make_card(pair.lgsco.home, pair.lgsco.parts.keyring, path)
    parts = assemble(pair.ofsted.home, lambda: PASSPHRASE, pair.ofsted.parts.effects, replacing="lgsco")
    with parts.ledger:
        add_partner(parts, path, made.fingerprint)
    restart_both(pair)


def ends(pair: Pair, public: str) -> list[str]:
    """valid-before of each line of allowed_signers that names the key."""
    lines = pair.ofsted.parts.trust.allowed_signers().splitlines()
    return [line.partition('valid-before="')[2].partition('"')[0] for line in lines if line.endswith(public)]


def last_quarantined(pair: Pair) -> str:
    ledger = pair.ofsted.parts.ledger
    found = [entry for entry in ledger.entries(0, ledger.size) if entry.event == "quarantined"]
    return str(found[-1].detail["reason"])


@pytest.mark.parametrize("lost", [False, True])
def test_what_was_delivered_before_a_revocation_opens_after_the_next_card_and_the_one_after_it(
    pair: Pair, tmp_path: Path, lost: bool
) -> None:
    chained(pair)
    path = archive(pair, tmp_path / "archived.age")
    signer = opened(pair, path)["signed_by"]
    pair.clock.advance(days=1)
    revoked = pair.clock()
    public = end_and_give_card(pair, tmp_path, lost=lost)
    assert public not in {key.line for key in pair.ofsted.parts.trust.card("lgsco").signing_keys}
    for again in range(2):
        assert opened(pair, path)["signed_by"] == signer
        assert ends(pair, public) == [stamp(revoked)]
        persist(pair)
        pair.clock.advance(hours=7)
        exchange_files(pair, f"after {again}")
        end_and_give_card(pair, tmp_path, name=f"{again}.toml")
    assert verify_home(pair.ofsted.home).ok


def test_what_two_keys_signed_opens_after_the_card_that_names_neither(pair: Pair, tmp_path: Path) -> None:
    chained(pair)
    begin(pair, "signing-pq")
    path = archive(pair, tmp_path / "archived.age")
    signed = opened(pair, path)["signed_pq"]
    assert signed == first(pair.lgsco, "signing-pq")
    pair.clock.advance(days=1)
    public = end_and_give_card(pair, tmp_path, "signing-pq")
    parts = pair.ofsted.parts
    assert public not in {key.line for key in parts.trust.card("lgsco").signing_pq}
    assert opened(pair, path)["signed_pq"] == signed
    assert public in composite_signers(parts.home, parts.keyring, parts.ledger, parts.trust)
    assert public not in parts.trust.allowed_signers()


def forged(pair: Pair, stolen: Signer, at: datetime | None = None) -> tuple[str, bytes]:
    """What a thief sends who has the former key: its id, and the envelope."""
    said = manifest(pair) if at is None else manifest(pair, created=to_text(at))
    signature = sshsig.sign(stolen, io.BytesIO(said.encode()), "manifest@handover").encode()
    return said.id, envelope(pair, said, signature=signature)


@pytest.mark.parametrize("back", [False, True], ids=["now", "with the clock set back"])
@pytest.mark.parametrize("dated", [False, True], ids=["as it is", "back-dated"])
def test_nothing_new_counts_because_a_former_key_signed_it(pair: Pair, tmp_path: Path, back: bool, dated: bool) -> None:
    chained(pair)
    exchange_files(pair, "before")
    counted, stolen = pair.clock(), pair.lgsco.parts.keyring.signer("signing")
    pair.clock.advance(days=1)
    end_and_give_card(pair, tmp_path)
    identifier, data = forged(pair, stolen, counted if dated else None)
    path = tmp_path / "forged.age"
    path.write_bytes(data)
    if back:
        pair.clock.now = counted
    land(pair, data, f"{identifier}.age")
    pair.ofsted.receive()
    assert last_quarantined(pair) == "unknown-key"
    assert pair.ofsted.states("in") == ["delivered", "quarantined"]
    assert len(pair.ofsted.inbound()) == 1
    # by hand, too: the ledger has never recorded this
    assert refusal(pair, path) == "unknown-key"


def test_under_the_id_of_what_was_delivered_a_former_key_says_nothing_else(pair: Pair, tmp_path: Path) -> None:
    chained(pair)
    stolen = pair.lgsco.parts.keyring.signer("signing")
    exchange_files(pair, "before")
    pair.clock.advance(days=1)
    end_and_give_card(pair, tmp_path)
    known = pair.ofsted.handovers()[0].id
    said = replace(manifest(pair), id=known)
    signature = sshsig.sign(stolen, io.BytesIO(said.encode()), "manifest@handover").encode()
    path = tmp_path / "forged.age"
    path.write_bytes(envelope(pair, said, signature=signature))
    assert refusal(pair, path) == "unknown-key"
    land(pair, path.read_bytes(), f"{known}.age")
    pair.ofsted.receive()
    assert last_quarantined(pair) == "unknown-key"


def changed_card(pair: Pair, path: Path, change: Callable[[Card], Card]) -> str:
    """A card of LGSCO that its newest key signs; its fingerprint."""
    parts = pair.lgsco.parts
    data = change(cards.parse(make_card(pair.lgsco.home, parts.keyring, None).text.encode())).encode()
    path.write_bytes(data)
    signer = parts.keyring.signer_of(parts.own.usable("signing")[-1].fingerprint)
    path.with_name(f"{path.name}.sig").write_text(cards.sign(data, signer))
    return cards.fingerprint(data)


def test_a_revoked_key_that_a_later_card_names_again_counts_as_long_as_before(pair: Pair, tmp_path: Path) -> None:
    chained(pair)
    path = archive(pair, tmp_path / "archived.age")
    [before] = pair.ofsted.parts.trust.card("lgsco").signing_keys
    stolen = pair.lgsco.parts.keyring.signer("signing")
    pair.clock.advance(days=1)
    revoked = pair.clock()
    public = end_and_give_card(pair, tmp_path)
    again = SigningKey(public, before.valid_from)
    digest = changed_card(
        pair, tmp_path / "again.toml", lambda card: replace(card, signing_keys=(again, *card.signing_keys))
    )
    add_partner(pair.ofsted.parts, tmp_path / "again.toml", digest)
    restart_both(pair)
    identifier, data = forged(pair, stolen)
    land(pair, data, f"{identifier}.age")
    pair.ofsted.receive()
    assert last_quarantined(pair) == "key-revoked"
    opened(pair, path)
    assert ends(pair, public) == [stamp(revoked)]
    # and once more without it
    give_card(pair.lgsco, pair.ofsted, tmp_path / "without.toml")
    restart_both(pair)
    opened(pair, path)
    assert ends(pair, public) == [stamp(revoked)]


def test_a_theft_that_is_told_after_the_card_was_taken_counts_from_the_theft_on(pair: Pair, tmp_path: Path) -> None:
    chained(pair)
    path = archive(pair, tmp_path / "archived.age")
    pair.clock.advance(hours=1)
    theft = pair.clock()
    pair.clock.advance(hours=1)
    doubtful = archive(pair, tmp_path / "doubtful.age")
    pair.clock.advance(hours=1)
    public = pair.lgsco.parts.own.usable("signing")[0].public
    key_desk.revoke(pair.lgsco.parts, first(pair.lgsco, "signing"), to_text(theft), "root", lost=True)
    pair.clock.advance(hours=1)
    take_card(pair, tmp_path / "next.toml")
    # the card came first: until the announcement does, nobody here knows of the theft
    opened(pair, doubtful)
    assert ends(pair, public) == [stamp(pair.clock())]
    persist(pair)
    assert refusal(pair, doubtful) == "key-revoked"
    opened(pair, path)
    assert ends(pair, public) == [stamp(theft)]
    quiet(pair.ofsted)


def test_the_same_card_once_more_ends_nothing_that_was_announced_since(pair: Pair, tmp_path: Path) -> None:
    chained(pair)
    pair.clock.advance(hours=1)
    take_card(pair, tmp_path / "one.toml")
    pair.clock.advance(hours=1)
    new = rotate(pair.lgsco, "signing")
    pair.settle()
    add_partner(pair.ofsted.parts, tmp_path / "one.toml", cards.fingerprint((tmp_path / "one.toml").read_bytes()))
    restart_both(pair)
    assert pair.ofsted.parts.trust.standing("lgsco").former.keys == ()
    assert ends(pair, new.public) == [""]
    exchange_files(pair, "after")


def test_a_ledger_that_kept_no_former_keys_knows_those_that_were_announced(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chained(pair)
    of_the_card = archive(pair, tmp_path / "first.age")
    pair.clock.advance(days=1)
    rotate(pair.lgsco, "signing", timedelta(0))
    pair.settle()
    key_desk.tend(pair.lgsco.parts)
    pair.settle()
    pair.clock.advance(days=1)
    announced = archive(pair, tmp_path / "second.age")
    retired, new = pair.lgsco.parts.own.keys[0], pair.lgsco.parts.own.usable("signing")[0]
    pair.clock.advance(days=1)
    gone = pair.clock()
    revoke(pair.lgsco, "signing")
    persist(pair)
    pair.clock.advance(hours=7)
    # the first key is not on the card either, as where there is no more room
    digest = changed_card(
        pair,
        tmp_path / "next.toml",
        lambda card: replace(card, signing_keys=card.signing_keys[-1:]),
    )
    with monkeypatch.context() as patch:
        patch.setattr(partners, "left_out", lambda before, card: {})
        add_partner(pair.ofsted.parts, tmp_path / "next.toml", digest)
    restart_both(pair)
    assert opened(pair, announced)["signed_by"] == new.fingerprint
    assert ends(pair, new.public) == [stamp(gone)]
    assert retired.ended == "retired"
    assert refusal(pair, of_the_card) == "unknown-key"


def test_what_a_revoked_witness_key_cosigned_verifies_after_the_command_took_the_next_card(
    pair: Pair, tmp_path: Path
) -> None:
    chained(pair)
    exchange_files(pair, "before")
    pair.ofsted.drop(b"{}", f"{CASE} concern.json", ("lgsco", "unimplemented-recommendation", "Leeds"))
    pair.settle()
    pair.clock.advance(hours=1)
    public = end_and_give_card(pair, tmp_path, "witness")
    assert [vkey.name for vkey in former_witnesses(pair.ofsted.parts.ledger)["lgsco"]] == ["lgsco/witness"]
    assert public not in pair.ofsted.parts.trust.card("lgsco").witness_keys
    exchange_files(pair, "after")
    report = verify_home(pair.ofsted.home)
    assert report.ok, report.problems


def test_a_card_that_is_broken_is_replaced_and_only_what_it_alone_said_is_forgotten(pair: Pair, tmp_path: Path) -> None:
    chained(pair)
    path = archive(pair, tmp_path / "archived.age")
    pair.clock.advance(days=1)
    (pair.ofsted.home.cards / "lgsco.toml").write_text("broken")
    end_and_give_card(pair, tmp_path)
    assert refusal(pair, path) == "unknown-key"
    exchange_files(pair, "after")


@pytest.mark.parametrize("purposes", [("signing",), ("signing", "signing-pq")], ids=["signing", "and composite"])
def test_a_card_that_is_quicker_than_the_revocation_leaves_nobody_waiting(
    pair: Pair, purposes: tuple[Purpose, ...]
) -> None:
    chained(pair)
    if "signing-pq" in purposes:
        rotate(pair.lgsco, "signing-pq")
        persist(pair)
    exchange_files(pair, "before")
    for purpose in purposes:
        revoke(pair.lgsco, purpose)
    give_card(pair.lgsco, pair.ofsted, pair.base / "quick.toml")
    restart_both(pair)
    for _ in range(4):
        persist(pair)
        pair.clock.advance(hours=7)
    for purpose in purposes:
        [new] = pair.lgsco.parts.own.usable(purpose)
        assert new.is_for("ofsted")
    exchange_files(pair, "after")


def test_a_card_instead_of_the_confirmation_that_was_asked_for_lets_files_go_on(pair: Pair) -> None:
    exchange_files(pair, "before")
    revoke(pair.lgsco, "signing")
    pair.clock.advance(hours=7)
    persist(pair)
    [waiting] = key_desk.waiting(pair.ofsted.parts.ledger)
    assert waiting.announcement.fingerprint == first(pair.lgsco, "signing")
    give_card(pair.lgsco, pair.ofsted, pair.base / "instead.toml")
    pair.ofsted = restart(pair.ofsted, pair.lgsco, pair.clock)
    pair.clock.advance(hours=7)
    persist(pair)
    [new] = pair.lgsco.parts.own.usable("signing")
    assert new.is_for("ofsted")
    exchange_files(pair, "after")
