"""Post-quantum cosignatures: partners make, check and keep them, and the ledger is verified by them."""

import base64

import pytest

from exchange import key_desk
from exchange.audit import newest_checkpoint, verify_home
from keys.key_info import Purpose
from ledger import note
from ledger.checkpoint import CosignatureVerifier, MlDsaVerifier
from ledger.note import Signature, Verifier
from tests.exchange.test_key_rotation import begin, chained, exchange_files, quiet, rotate
from tests.ledger.ledgers import sqlite3
from tests.organisations import Organisation, Pair


@pytest.fixture
def cosigning(pair: Pair) -> Pair:
    """Both have post-quantum witness keys and know each other's."""
    chained(pair)
    begin(pair, "witness-pq")
    return pair


def kept(one: Organisation) -> dict[type[Verifier], list[int]]:
    """The sizes of our tree on which the partner's cosignatures of each kind are kept."""
    ledger, [partner] = one.parts.ledger, one.parts.trust.partners
    verifiers = one.parts.trust.witness_verifiers(partner)
    found: dict[type[Verifier], list[int]] = {CosignatureVerifier: [], MlDsaVerifier: []}
    for size, line in ledger.rows("SELECT size, line FROM cosignatures ORDER BY size"):
        signature = Signature.parse(line)
        [verifier] = [v for v in verifiers if (v.name, v.key_id) == (signature.name, signature.key_id)]
        text, _ = note.split(ledger.checkpoint_of(size) or b"")
        assert verifier.verify(text.encode(), signature.blob)
        found[type(verifier)].append(size)
    return found


def test_every_checkpoint_that_a_partner_has_seen_is_cosigned_in_both_ways(cosigning: Pair) -> None:
    for number in range(3):
        exchange_files(cosigning, f"file {number}")
    for one in (cosigning.lgsco, cosigning.ofsted):
        found = kept(one)
        assert found[MlDsaVerifier]
        assert set(found[MlDsaVerifier]) <= set(found[CosignatureVerifier])
        report = verify_home(one.home)
        assert report.ok, report.problems
        quiet(one)


def test_no_line_of_a_key_that_is_not_known_is_kept(pair: Pair) -> None:
    exchange_files(pair, "before")
    pair.clock.advance(days=1)
    rotate(pair.ofsted, "witness-pq")
    exchange_files(pair, "waiting")
    exchange_files(pair, "still")
    assert kept(pair.lgsco)[MlDsaVerifier] == []
    [waiting] = key_desk.waiting(pair.lgsco.parts.ledger)
    key_desk.accept(pair.lgsco.parts, "ofsted", waiting.announcement.fingerprint, "root")
    exchange_files(pair, "after")
    exchange_files(pair, "and again")
    assert kept(pair.lgsco)[MlDsaVerifier]
    quiet(pair.lgsco)


def test_a_kept_post_quantum_cosignature_that_was_changed_is_found(cosigning: Pair) -> None:
    exchange_files(cosigning, "one")
    exchange_files(cosigning, "two")
    one = cosigning.lgsco
    [size, *_] = kept(one)[MlDsaVerifier]
    [line] = [
        line
        for (line,) in one.parts.ledger.rows("SELECT line FROM cosignatures WHERE size = ?", size)
        if len(line) > 3000
    ]
    signature = Signature.parse(line)
    changed = bytearray(signature.blob)
    changed[100] ^= 1
    forged = Signature(signature.name, signature.key_id, bytes(changed)).line
    sqlite3(one.home.ledger, f"UPDATE cosignatures SET line = '{forged}' WHERE line = '{line}'")
    report = verify_home(one.home)
    assert not report.ok
    assert any("cosign" in str(problem) or "signature" in str(problem) for problem in report.problems)


def test_both_kinds_are_rotated_while_files_go_on(cosigning: Pair) -> None:
    purposes: tuple[Purpose, ...] = ("witness", "witness-pq")
    for purpose in purposes:
        for one in (cosigning.lgsco, cosigning.ofsted):
            rotate(one, purpose)
    exchange_files(cosigning, "during")
    exchange_files(cosigning, "meanwhile")
    lines = newest_checkpoint(cosigning.lgsco.parts.ledger).text.splitlines()
    assert all(len(base64.b64decode(line.split(" ")[2])) in (68, 76, 2432) for line in lines if line.startswith("—"))
    cosigning.clock.advance(days=31)
    for one in (cosigning.lgsco, cosigning.ofsted):
        key_desk.tend(one.parts)
        assert [len(one.parts.own.usable(purpose)) for purpose in purposes] == [1, 1]
    exchange_files(cosigning, "after")
    exchange_files(cosigning, "at last")
    for one in (cosigning.lgsco, cosigning.ofsted):
        quiet(one)
        report = verify_home(one.home)
        assert report.ok, report.problems
