"""One organisation with two partners under two agreements: each gets its own files, and waits for nobody else.

Ofsted has an SFTP server as LGSCO has; the Department for Education has none, and collects.
"""

import os
from pathlib import Path

import pytest

from config.home import Home
from exchange import rounds
from exchange.assembly import assemble
from exchange.collect import PickUp, collect
from exchange.drop import Completeness
from exchange.landing import Landing, Unreachable
from exchange.partners import add_partner, make_card
from exchange.parts import Effects, Parts
from exchange.pickup import PickupFolder
from exchange.rounds import Connection
from exchange.setup import initialise
from keys.card import Card
from keys.keyring import Keyring
from tests.organisations import CASE, PASSPHRASE, FolderLanding, ManualClock

SHIPPED = Path(__file__).parents[2] / "config" / "data" / "ofsted-lgsco.toml"
FULL_NAMES = {
    "lgsco": "Local Government and Social Care Ombudsman",
    "ofsted": "Ofsted",
    "dfe": "Department for Education",
}
COLLECTOR = "dfe"
PAIRS = (("lgsco", "ofsted"), ("ofsted", "lgsco"), ("lgsco", "dfe"), ("dfe", "lgsco"))


class Exchange:
    """Three homes; LGSCO shares with each of the two others."""

    def __init__(self, base: Path) -> None:
        (base / "dfe-lgsco.toml").write_text(SHIPPED.read_text("utf-8").replace("ofsted", "dfe"), "utf-8")
        self.away: set[str] = set()
        self.clock = ManualClock()
        self.homes = {organisation: self._home(base, organisation) for organisation in FULL_NAMES}
        # the keys are valid from the second in which they were made, by the machine's own clock
        self.clock = ManualClock()
        self.clock.advance(seconds=2)
        for mine, theirs in PAIRS:
            made = make_card(
                self.homes[theirs], Keyring.open(self.homes[theirs].keys, lambda: PASSPHRASE), base / f"{theirs}.toml"
            )
            with (parts := self._assemble(mine)).ledger:
                add_partner(parts, base / f"{theirs}.toml", made.fingerprint)
        self.parts = {organisation: self._assemble(organisation) for organisation in FULL_NAMES}
        for parts in self.parts.values():
            rounds.recover(parts)

    def _home(self, base: Path, organisation: str) -> Home:
        values: dict[str, str | float | list[str]] = {
            "agreements.files": [str(base / "dfe-lgsco.toml")],
        }
        if organisation != COLLECTOR:
            key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti"
            values |= {"landing.host": "127.0.0.1", "landing.host_keys": [key]}
        name = FULL_NAMES[organisation]
        return initialise(base / organisation, organisation, name, PASSPHRASE, values=values, work_factor=1)

    def _assemble(self, me: str) -> Parts:
        def connect(card: Card) -> Landing:
            if card.organisation in self.away:
                raise Unreachable(card.organisation)
            if card.organisation == COLLECTOR:
                return PickupFolder(self.homes[me].collect / COLLECTOR, COLLECTOR)
            return FolderLanding(self.homes[card.organisation].landing / me)

        def pick_up(card: Card) -> Landing:
            return FolderLanding(self.homes[card.organisation].collect / me)

        effects = Effects(self.clock, lambda: self.clock.now.timestamp(), os.urandom, lambda: 1.0, connect, pick_up)
        return assemble(self.homes[me], lambda: PASSPHRASE, effects)

    def settle(self) -> None:
        for _ in range(4):
            for parts in self.parts.values():
                rounds.take_dropped(parts, Completeness(0.0, parts.effects.monotonic))
                for partner in parts.agreements:
                    collect(parts, PickUp(partner))
                    rounds.receive_landed(parts, partner)
                    if partner not in self.away:
                        rounds.seal_and_send(parts, Connection(partner))

    def drop(self, partner: str, content: bytes) -> None:
        folder = self.homes["lgsco"].outbound / partner / "upheld-decision" / "Leeds"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{CASE} decision.pdf").write_bytes(content)

    def inbound(self, organisation: str) -> list[bytes]:
        return [path.read_bytes() for path in self.homes[organisation].inbound.rglob("*.pdf")]

    def close(self) -> None:
        for parts in self.parts.values():
            parts.ledger.close()


@pytest.fixture
def three(tmp_path: Path) -> Exchange:
    return Exchange(tmp_path)


def test_each_partner_gets_its_own_files_under_its_own_agreement_with_its_own_numbers(three: Exchange) -> None:
    three.drop("ofsted", b"for ofsted")
    three.drop("dfe", b"for dfe")
    three.settle()
    assert three.inbound("ofsted") == [b"for ofsted"]
    assert three.inbound("dfe") == [b"for dfe"]
    handovers = three.parts["lgsco"].ledger.handovers()
    assert {(h.partner, h.state, h.sequence) for h in handovers} == {
        ("ofsted", "acknowledged", 1),
        ("dfe", "acknowledged", 1),
    }
    three.close()


def test_a_partner_that_is_away_keeps_the_other_from_nothing(three: Exchange) -> None:
    three.away.add("ofsted")
    three.drop("ofsted", b"for ofsted")
    three.drop("dfe", b"for dfe")
    three.settle()
    assert three.inbound("dfe") == [b"for dfe"]
    assert three.inbound("ofsted") == []
    three.away.clear()
    three.settle()
    assert three.inbound("ofsted") == [b"for ofsted"]
    three.close()


def test_an_envelope_for_one_partner_is_nothing_to_another(three: Exchange) -> None:
    three.away.add("dfe")
    three.drop("dfe", b"for dfe")
    three.settle()
    lgsco = three.parts["lgsco"]
    rounds.seal_accepted(lgsco, "dfe")
    (handover,) = lgsco.ledger.handovers()
    landing = three.homes["ofsted"].landing / "lgsco"
    (landing / f"{handover.id}.age").write_bytes(lgsco.spool.envelope(handover.id).read_bytes())
    three.settle()
    assert three.inbound("ofsted") == []
    assert [h.state for h in three.parts["ofsted"].ledger.handovers()] == ["quarantined"]
    three.close()
