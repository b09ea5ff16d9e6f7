"""`keys inventory --pq`: what protected each handover, and what the next one would be protected by."""

import pytest

from exchange.landing import Agreed
from exchange.pq_inventory import Row, inventory_pq
from tests.exchange.test_key_rotation import begin, chained, exchange_files
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
    _, [got, before] = found(pair.ofsted)
    assert (got["direction"], got["recipient"], got["signature"]) == ("in", "pq", "composite")
    # they brought it: which key exchange that was, our sshd knows
    assert got["key_exchange"] is None
    assert before["weak"] == ["signature"]


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
