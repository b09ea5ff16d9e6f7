"""A partner's card is added, or replaced by a newer one, without a moment in which there is no whole card."""

import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from config.errors import HandoverError, Misuse, NotNow
from exchange import card_folder
from exchange.assembly import assemble, trusted
from exchange.partners import add_partner, make_card
from keys.keyring import Keyring
from tests.exchange.crashes import Crash, Machine
from tests.organisations import PASSPHRASE, Pair


def newer_card(pair: Pair, folder: Path) -> tuple[Path, str]:
    """Another card of Ofsted; the file and its fingerprint."""
    path = folder / "ofsted.toml"
    ring = Keyring.open(pair.ofsted.home.keys, lambda: PASSPHRASE)
    ring.add("transport", "ofsted", datetime.now(UTC))
    return path, make_card(pair.ofsted.home, ring, path).fingerprint


def cards_of(pair: Pair) -> Path:
    return pair.lgsco.home.cards


@pytest.mark.parametrize("fresh", [True, False], ids=["new partner", "newer card"])
def test_after_a_crash_at_any_step_the_old_card_or_the_new_one_is_trusted(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: bool
) -> None:
    old = trusted(pair.lgsco.home).card("ofsted")
    kept = {} if fresh else {path.name: path.read_bytes() for path in cards_of(pair).iterdir()}
    path, fingerprint = newer_card(pair, tmp_path)
    machine = Machine(monkeypatch)
    issued: list[str | None] = []
    done = False
    while not done:
        for after in (False, True):
            for one in cards_of(pair).iterdir():
                one.unlink()
            for name, content in kept.items():
                (cards_of(pair) / name).write_bytes(content)
            machine.steps, machine.stop_at, machine.done = [], len(issued) // 2, after
            try:
                with machine.on():
                    add_partner(pair.lgsco.parts, path, fingerprint)
                done = True
            except Crash:
                pass
            found = trusted(pair.lgsco.home)
            issued.append(found.card("ofsted").issued if "ofsted" in found.partners else None)
    new = issued[-1]
    assert set(issued) == {None if fresh else old.issued, new}
    assert sorted(path.name for path in cards_of(pair).iterdir()) == ["ofsted.toml", "ofsted.toml.sig"]


def test_no_reader_sees_a_card_without_its_signature(pair: Pair, tmp_path: Path) -> None:
    path, _ = newer_card(pair, tmp_path)
    data, signature = path.read_bytes(), path.with_name("ofsted.toml.sig").read_text()
    old = (cards_of(pair) / "ofsted.toml").read_bytes(), (cards_of(pair) / "ofsted.toml.sig").read_text()
    ended = threading.Event()

    def exchange() -> None:
        for number in range(60):
            card_folder.stage(cards_of(pair), "ofsted", *((data, signature) if number % 2 else old))
            card_folder.switch(cards_of(pair), "ofsted")
            time.sleep(0.02)
        ended.set()

    writer = threading.Thread(target=exchange)
    writer.start()
    seen = set()
    while not ended.is_set():
        seen.add(trusted(pair.lgsco.home).card("ofsted").issued)
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
        trusted(pair.lgsco.home)


def test_our_own_card_is_not_added(pair: Pair, tmp_path: Path) -> None:
    path, fingerprint = newer_card(pair, tmp_path)
    with pytest.raises(Misuse, match="this is the card of this organisation itself"):
        add_partner(pair.ofsted.parts, path, fingerprint)
