"""`keys inventory --pq`: what protected each handover, and what the next one would be protected by."""

from datetime import timedelta

import pytest

from config.errors import NotNow
from exchange import collect, key_desk
from exchange.landing import Agreed
from exchange.pq_inventory import Row, inventory_pq
from exchange.status import status
from tests.exchange.test_key_rotation import begin, chained, exchange_files, rotate
from tests.exchange.test_post_quantum import require
from tests.organisations import FolderLanding, Organisation, Pair

HYBRID = Agreed("mlkem768x25519-sha256", "aes128-gcm@openssh.com")
CLASSICAL = Agreed("curve25519-sha256", "aes128-gcm@openssh.com")


def over(monkeypatch: pytest.MonkeyPatch, agreed: Agreed) -> None:
    """As if files went over SSH that had agreed on that."""
    monkeypatch.setattr(FolderLanding, "agreed", agreed, raising=False)


def found(one: Organisation) -> tuple[Row, list[Row]]:
    parts = one.parts
    said = inventory_pq(parts.home.settings, parts.ledger, parts.trust, now=parts.effects.clock())
    [partner] = said["partners"]
    return partner, said["handovers"]


WE_UPLOAD = pytest.mark.topologies(but="lgsco-hosts")
"""LGSCO logs in to bring its files."""


@WE_UPLOAD
def test_each_handover_says_what_it_was_protected_by(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    chained(pair)
    over(monkeypatch, CLASSICAL)
    exchange_files(pair, "classical")
    begin(pair, "signing-pq")
    over(monkeypatch, HYBRID)
    exchange_files(pair, "strong")
    partner, [strong, classical] = found(pair.lgsco)
    assert (strong["recipient"], strong["key_exchange"], strong["cipher"], strong["signature"], strong["weak"]) == (
        "pq",
        "mlkem768x25519-sha256",
        "aes128-gcm@openssh.com",
        "composite",
        [],
    )
    assert classical["weak"] == ["key-exchange", "signature"]
    assert (partner["we_sign"], partner["they_sign"], partner["weak"]) == ("composite", "composite", [])
    assert (partner["key_exchange"], partner["cipher"]) == ("mlkem768x25519-sha256", "aes128-gcm@openssh.com")
    _, [got, before] = found(pair.ofsted)
    assert (got["direction"], got["recipient"], got["signature"]) == ("in", "pq", "composite")
    # they brought it: which key exchange that was, our sshd knows
    assert got["key_exchange"] is None
    assert before["weak"] == ["signature"]


@pytest.mark.topologies("lgsco-hosts", only=True)
@pytest.mark.parametrize(("over_ssh", "weak"), [(HYBRID, ["signature"]), (CLASSICAL, ["key-exchange", "signature"])])
def test_what_we_collected_says_what_ssh_agreed_on(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, over_ssh: Agreed, weak: list[str]
) -> None:
    over(monkeypatch, over_ssh)
    pair.lgsco.drop(b"small")
    pair.settle()
    monkeypatch.setattr(collect, "SMALL", 0)
    pair.lgsco.drop(b"alone")
    pair.settle()
    partner, got = found(pair.ofsted)
    assert [(row["direction"], row["key_exchange"], row["cipher"], row["weak"]) for row in got] == [
        ("in", over_ssh.key_exchange, over_ssh.cipher, weak)
    ] * 2
    assert partner["key_exchange"] == over_ssh.key_exchange
    # they put it into a folder of their own
    partner, put = found(pair.lgsco)
    assert {row["key_exchange"] for row in put} == {None}
    assert partner["key_exchange"] is None
    assert pair.ofsted.parts.spool.came_over == {}


NO_KEY_OF_OURS = (
    "ofsted has accepted no composite signing key of ours, and require_pq asks for its signature: nothing is sent to it"
)
NO_KEY_OF_THEIRS = (
    "we have accepted no composite signing key of ofsted, and require_pq asks for its signature:"
    " what comes from it is quarantined"
)


def told(one: Organisation) -> list[str]:
    """What `status` says needs a person."""
    return list(status(one.home, one.parts.ledger, one.parts.keyring, one.parts.trust).problems)


def test_what_is_required_and_not_there_is_told_before_anything_waits_for_it(pair: Pair) -> None:
    assert told(pair.lgsco) == []
    require(pair, "encryption", "key-exchange", "signature")
    # how strong the key exchange is, the next login says
    assert told(pair.lgsco) == [NO_KEY_OF_OURS, NO_KEY_OF_THEIRS]
    require(pair)
    chained(pair)
    rotate(pair.lgsco, "signing-pq")
    pair.settle()
    require(pair, "signature")
    assert told(pair.lgsco) == [NO_KEY_OF_THEIRS]
    require(pair)
    rotate(pair.ofsted, "signing-pq")
    pair.settle()
    require(pair, "encryption", "signature")
    assert told(pair.lgsco) == []


@WE_UPLOAD
def test_what_is_required_and_not_there_is_named_as_refused(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    over(monkeypatch, CLASSICAL)
    exchange_files(pair, "before")
    require(pair, "encryption", "key-exchange", "signature")
    partner, _ = found(pair.lgsco)
    assert partner["required"] == ["encryption", "key-exchange", "signature"]
    assert partner["refused"] == ["key-exchange", "signature"]


def test_what_was_not_recorded_is_not_guessed(pair: Pair) -> None:
    partner, handovers = found(pair.lgsco)
    assert (partner["key_exchange"], handovers) == (None, [])
    pair.lgsco.drop(b"one")
    pair.lgsco.take()
    _, [waiting] = found(pair.lgsco)
    assert [waiting[name] for name in ("recipient", "key_exchange", "cipher", "signature")] == [None] * 4
    assert waiting["weak"] == []
    exchange_files(pair, "two")
    parts = pair.lgsco.parts
    assert len(inventory_pq(parts.home.settings, parts.ledger, parts.trust, 1)["handovers"]) == 1


def test_a_composite_key_for_later_protects_nothing_yet(pair: Pair) -> None:
    chained(pair)
    later = pair.clock() + timedelta(days=20)
    key_desk.rotate(pair.lgsco.parts, "signing-pq", timedelta(days=30), later, "root")
    rotate(pair.ofsted, "signing-pq")
    pair.settle()
    exchange_files(pair, "before")
    require(pair, "signature")
    partner, [before] = found(pair.lgsco)
    assert (before["signature"], partner["we_sign"], partner["they_sign"]) == ("ed25519", "ed25519", "composite")
    assert (partner["weak"], partner["refused"]) == (["signature"], ["signature"])
    with pytest.raises(NotNow, match="has accepted no composite signing key of ours"):
        exchange_files(pair, "refused")
    pair.clock.advance(days=21)
    partner, _ = found(pair.lgsco)
    assert (partner["we_sign"], partner["refused"]) == ("composite", [])
    pair.settle()
    _, [refused, _] = found(pair.lgsco)
    assert refused["signature"] == "composite"
