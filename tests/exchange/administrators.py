"""Administrators for tests: each has an SSH key of its own and signs with ssh-keygen, as they would."""

import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from config.errors import Refused
from exchange import approval_desk
from exchange.approval_desk import Told
from exchange.approval_list import problems
from keys import approvals
from keys.key_info import Purpose
from ledger.entry import Entry
from tests.organisations import Organisation

ALL = ("keys rotate", "keys revoke", "keys accept", "partner add")


@dataclass(frozen=True)
class Administrator:
    """One person."""

    name: str
    key: Path

    @classmethod
    def new(cls, name: str, folder: Path) -> "Administrator":
        folder.mkdir(exist_ok=True)
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)]
        subprocess.run(command, check=True, capture_output=True)
        return cls(name, folder / name)

    @property
    def line(self) -> str:
        """The public key without its comment."""
        return " ".join(self.key.with_suffix(".pub").read_text().split()[:2])

    @property
    def said(self) -> str:
        """As in handover.toml."""
        return f"{self.name} {self.line}"

    def signs(self, data: bytes, namespace: str = "approve@handover") -> Path:
        """The signature's file."""
        order = self.key.with_name("order")
        order.write_bytes(data)
        signature = order.with_name("order.sig")
        signature.unlink(missing_ok=True)
        command = ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(self.key), str(order)]
        subprocess.run(command, check=True, capture_output=True)
        return signature

    def approves(self, one: Organisation, order: object) -> Told:
        """Sign what is shown, and hand the signature in."""
        number = int(str(order))
        signature = self.signs(approval_desk.to_sign(one.parts.ledger, number))
        return approval_desk.sign(one.parts, number, signature, self.name)


@dataclass(frozen=True)
class Board:
    """Three administrators."""

    first: Administrator
    second: Administrator
    third: Administrator

    @classmethod
    def new(cls, folder: Path) -> "Board":
        return cls(*(Administrator.new(name, folder) for name in ("casework", "records", "security")))

    @property
    def everybody(self) -> tuple[Administrator, ...]:
        return (self.first, self.second, self.third)

    def say(self, one: Organisation, **changes: object) -> None:
        """What handover.toml says under [approval]."""
        values = {"required": ALL, "administrators": tuple(each.said for each in self.everybody), **changes}
        settings = one.home.settings
        changed = settings.approval.model_copy(update=values)
        home = replace(one.home, settings=settings.model_copy(update={"approval": changed}))
        one.parts = replace(one.parts, home=home)

    def rule(self, one: Organisation, **changes: object) -> None:
        """The same, brought into force."""
        self.say(one, **changes)
        asked = approval_desk.propose_policy(one.parts, "root")
        self.first.approves(one, asked["order"])
        done = self.second.approves(one, asked["order"])
        assert done["state"] == "done"


def state_of(one: Organisation, order: object) -> str:
    """How far an order is."""
    book = approvals.read(one.parts.ledger)
    known = book.find(order)
    assert known is not None
    return book.state(known, one.parts.effects.clock())


def events(one: Organisation, *names: str) -> list[Entry]:
    ledger = one.parts.ledger
    return [entry for entry in ledger.entries(0, ledger.size) if entry.event in names]


def number(told: Told) -> int:
    return int(str(told["order"]))


def ask_to_rotate(one: Organisation, purpose: Purpose = "signing") -> int:
    return number(approval_desk.rotate(one.parts, purpose, "30d", None, "root"))


def waiting_problems(one: Organisation) -> list[str]:
    return list(problems(one.home, one.parts.ledger, one.parts.effects.clock()))


def refused(one: Organisation, order: int, signature: Path) -> str:
    before = one.parts.ledger.size
    with pytest.raises(Refused) as caught:
        approval_desk.sign(one.parts, order, signature, "root")
    assert one.parts.ledger.size == before
    return caught.value.message
