"""A partner's card is added, or replaced by a newer one, without a moment in which there is no whole card."""

import shutil
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.errors import HandoverError, Misuse, NotNow, Refused, Tampered
from exchange import key_desk
from exchange.assembly import assemble
from exchange.partner_trust import trusted
from exchange.partners import add_partner, make_card
from exchange.status import check_home
from keys import card as cards
from keys import rotation
from keys.card import SigningKey
from keys.key_info import OPTIONAL
from keys.keyring import Keyring
from keys.trust import Trust
from tests.exchange.crashes import Crash, Machine
from tests.exchange.test_key_rotation import chained
from tests.organisations import PASSPHRASE, Pair


def newer_card(pair: Pair, folder: Path) -> tuple[Path, str]:
    """Another card of Ofsted; the file and its fingerprint."""
    path = folder / "ofsted.toml"
    pair.clock.advance(days=1)
    office = pair.ofsted.parts.office
    rotation.order(office, "transport", overlap=timedelta(days=30), begins=None, by="root")
    rotation.finish(office)
    return path, make_card(pair.ofsted.home, office.keyring, path).fingerprint


def older_card(pair: Pair, folder: Path) -> tuple[Path, str]:
    """Another file of the card that is in use, and its fingerprint."""
    present = cards_of(pair) / "ofsted.toml"
    path = folder / "older.toml"
    for ending in ("", ".sig"):
        shutil.copy(f"{present}{ending}", f"{path}{ending}")
    return path, cards.fingerprint(path.read_bytes())


def cards_of(pair: Pair) -> Path:
    return pair.lgsco.home.cards


@pytest.mark.parametrize("fresh", [True, False], ids=["new partner", "newer card"])
def test_after_a_crash_at_any_step_the_old_card_or_the_new_one_is_trusted(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: bool
) -> None:
    old = trusted(pair.lgsco.home, pair.lgsco.parts.ledger).card("ofsted")
    older = older_card(pair, tmp_path)
    path, fingerprint = newer_card(pair, tmp_path)
    machine = Machine(monkeypatch)
    issued: list[str | None] = []
    done = False
    while not done:
        for after in (False, True):
            for one in cards_of(pair).iterdir():
                one.unlink()
            if not fresh:
                add_partner(pair.lgsco.parts, *older, older=True)
            machine.steps, machine.stop_at, machine.done = [], len(issued) // 2, after
            try:
                with machine.on():
                    add_partner(pair.lgsco.parts, path, fingerprint)
                done = True
            except Crash:
                pass
            found = trusted(pair.lgsco.home, pair.lgsco.parts.ledger)
            issued.append(found.card("ofsted").issued if "ofsted" in found.partners else None)
    new = issued[-1]
    assert set(issued) == {None if fresh else old.issued, new}
    assert sorted(path.name for path in cards_of(pair).iterdir()) == ["ofsted.toml", "ofsted.toml.sig"]


def test_no_reader_sees_a_card_without_its_signature(pair: Pair, tmp_path: Path) -> None:
    both = older_card(pair, tmp_path), newer_card(pair, tmp_path)
    looks = 0
    ended = threading.Event()

    def exchange() -> None:
        try:
            for number in range(40):
                add_partner(pair.lgsco.parts, *both[number % 2], older=True)
                # nobody exchanges a card more often than a look takes
                enough = looks + 2
                while looks < enough and not ended.is_set():
                    time.sleep(0.001)
        finally:
            ended.set()

    writer = threading.Thread(target=exchange)
    writer.start()
    seen = set()
    try:
        while not ended.is_set():
            seen.add(trusted(pair.lgsco.home, pair.lgsco.parts.ledger).card("ofsted").issued)
            looks += 1
    finally:
        ended.set()
        writer.join()
    assert len(seen) == 2


@pytest.mark.parametrize("ending", [".toml", ".toml.sig"])
@pytest.mark.parametrize("content", [b"", b"\xff", None], ids=["empty", "no text", "gone"])
def test_a_broken_card_is_mended_by_adding_the_partner_again(
    pair: Pair, tmp_path: Path, ending: str, content: bytes | None
) -> None:
    path, fingerprint = newer_card(pair, tmp_path)
    broken = cards_of(pair) / f"ofsted{ending}"
    if content is None:
        broken.unlink()
        (cards_of(pair) / "ofsted.toml").touch()
    else:
        broken.write_bytes(content)
    with pytest.raises(HandoverError):
        assemble(pair.lgsco.home, lambda: PASSPHRASE)
    parts = assemble(pair.lgsco.home, lambda: PASSPHRASE, replacing="ofsted")
    with parts.ledger:
        add_partner(parts, path, fingerprint)
    with assemble(pair.lgsco.home, lambda: PASSPHRASE).ledger:
        pass


def test_a_card_without_its_signature_is_named(pair: Pair) -> None:
    (cards_of(pair) / "ofsted.toml.sig").unlink()
    with pytest.raises(NotNow, match="the card of ofsted or its signature cannot be read"):
        trusted(pair.lgsco.home, pair.lgsco.parts.ledger)


def test_our_own_card_is_not_added(pair: Pair, tmp_path: Path) -> None:
    path, fingerprint = newer_card(pair, tmp_path)
    with pytest.raises(Misuse, match="this is the card of this organisation itself"):
        add_partner(pair.ofsted.parts, path, fingerprint)


def test_a_card_in_the_place_of_the_confirmed_one_is_evidence_of_tampering(pair: Pair, tmp_path: Path) -> None:
    path, fingerprint = newer_card(pair, tmp_path)
    for ending in ("", ".sig"):
        shutil.copy(f"{path}{ending}", cards_of(pair) / f"ofsted.toml{ending}")
    with pytest.raises(Tampered, match="the card of ofsted is not the one whose fingerprint was confirmed") as found:
        assemble(pair.lgsco.home, lambda: PASSPHRASE)
    assert found.value.hint
    parts = assemble(pair.lgsco.home, lambda: PASSPHRASE, replacing="ofsted")
    with parts.ledger:
        add_partner(parts, path, fingerprint)
    assemble(pair.lgsco.home, lambda: PASSPHRASE).ledger.close()


def test_a_card_that_nobody_confirmed_is_evidence_of_tampering(pair: Pair) -> None:
    ring = Keyring.create(pair.base / "ring", "dfe", PASSPHRASE, datetime.now(UTC), work_factor=1)
    card = trusted(pair.lgsco.home, pair.lgsco.parts.ledger).card("ofsted")
    signing = next(info for info in ring.infos() if info.purpose == "signing")
    planted = replace(
        card,
        organisation="dfe",
        ledger_origin="dfe/handover",
        ledger_keys=tuple(info.public for info in ring.infos() if info.purpose == "ledger"),
        witness_keys=tuple(info.public for info in ring.infos() if info.purpose == "witness"),
        signing_keys=(SigningKey(signing.public, signing.valid_from, None),),
        issued=signing.valid_from,
    ).encode()
    (cards_of(pair) / "dfe.toml").write_bytes(planted)
    (cards_of(pair) / "dfe.toml.sig").write_text(cards.sign(planted, ring.signer("signing")))
    with pytest.raises(Tampered, match="there is a card of dfe whose fingerprint nobody confirmed"):
        trusted(pair.lgsco.home, pair.lgsco.parts.ledger)


def test_a_card_that_others_may_change_is_refused(pair: Pair) -> None:
    (cards_of(pair) / "ofsted.toml").chmod(0o664)
    with pytest.raises(Misuse, match="file 1 in the folder of the partners' cards"):
        assemble(pair.lgsco.home, lambda: PASSPHRASE)


# --- a card that is weaker than before --------------------------------------------------------------------------------


def test_a_card_that_has_lost_its_post_quantum_keys_is_refused_without_an_order(pair: Pair, tmp_path: Path) -> None:
    for purpose in OPTIONAL:
        key_desk.rotate(pair.ofsted.parts, purpose, timedelta(days=30), None, "root")
    strong, old = tmp_path / "strong.toml", older_card(pair, tmp_path)
    fingerprint = make_card(pair.ofsted.home, pair.ofsted.parts.keyring, strong).fingerprint
    added = add_partner(pair.lgsco.parts, strong, fingerprint)
    assert added["organisation"] == "ofsted"
    assert trusted(pair.lgsco.home, pair.lgsco.parts.ledger).composite("ofsted")
    # as the command does, which does not read the present card: it may be broken
    parts = replace(pair.lgsco.parts, cards=Trust([]))
    for one in (parts, pair.lgsco.parts):
        with pytest.raises(Refused, match="signing-pq and witness-pq") as caught:
            add_partner(one, *old)
        assert caught.value.reason == "downgrade"
    assert trusted(pair.lgsco.home, pair.lgsco.parts.ledger).composite("ofsted")
    add_partner(parts, *old, weaker=True, older=True)
    assert not trusted(pair.lgsco.home, pair.lgsco.parts.ledger).composite("ofsted")
    ledger = pair.lgsco.parts.ledger
    entries = [entry for entry in ledger.entries(0, ledger.size) if entry.event == "partner.added"]
    assert [entry.detail.get("weaker") for entry in entries[-2:]] == [None, ["signing-pq", "witness-pq"]]


def test_a_card_that_has_lost_what_was_announced_is_refused_too(pair: Pair, tmp_path: Path) -> None:
    chained(pair)
    old = older_card(pair, tmp_path)
    key_desk.rotate(pair.ofsted.parts, "signing-pq", timedelta(days=30), None, "root")
    pair.settle()
    assert pair.lgsco.parts.trust.composite("ofsted")
    with pytest.raises(Refused) as caught:
        add_partner(pair.lgsco.parts, *old)
    assert caught.value.reason == "downgrade"


def test_a_first_composite_key_waits_until_everything_before_it_was_accepted(pair: Pair) -> None:
    chained(pair)
    key_desk.rotate(pair.ofsted.parts, "transport", timedelta(days=30), None, "root")
    with pytest.raises(NotNow, match="earlier announcement"):
        key_desk.rotate(pair.ofsted.parts, "signing-pq", timedelta(days=30), None, "root")
    pair.settle()
    made = key_desk.rotate(pair.ofsted.parts, "signing-pq", timedelta(days=30), None, "root")
    assert not made.is_for("lgsco")
    pair.settle()
    assert pair.ofsted.parts.own.fingerprints("signing-pq", "lgsco") == {made.fingerprint}


def test_a_server_without_host_keys_is_named_before_a_card_is_made_of_it(pair: Pair) -> None:
    landing = pair.lgsco.home.settings.landing.model_copy(update={"host": "sftp.lgsco.example", "host_keys": ()})
    home = replace(pair.lgsco.home, settings=pair.lgsco.home.settings.model_copy(update={"landing": landing}))
    with pytest.raises(Misuse, match=r"sets landing\.host, and no landing\.host_keys"):
        make_card(home, pair.lgsco.parts.keyring, None)
    with pytest.raises(Misuse, match=r"sets landing\.host, and no landing\.host_keys"):
        check_home(home)
