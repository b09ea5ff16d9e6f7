"""Post-quantum cosignatures: partners make, check and keep them, and the ledger is verified by them."""

import base64
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from exchange import key_desk
from exchange.audit import newest_checkpoint, verify_home
from keys.key_info import Purpose
from ledger import checkpoint, note, witness
from ledger.checkpoint import MLDSA44, CosignatureVerifier, Cosigner, MlDsaVerifier
from ledger.note import Signature, Verifier
from ledger.statement import Statement
from ledger.store import Transaction
from tests.exchange.test_key_expired import give_card, restart_both
from tests.exchange.test_key_revocation import persist
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


def by_hand(pair: Pair, cosigner: Cosigner, size: int) -> tuple[str, Statement]:
    """What somebody who has a witness key of Ofsted's makes of LGSCO's checkpoint of `size` entries."""
    signed = pair.lgsco.parts.ledger.checkpoint_at_or_after(size)
    line = checkpoint.cosign(signed, replace(cosigner, now=int(pair.clock().timestamp())))
    said = pair.ofsted.parts.ledger.checkpoint().decode()
    seen = checkpoint.parse(note.split(signed)[0]).size
    return line, Statement(said, 0, (), signed.decode() + line + "\n", seen)


def take(pair: Pair, statement: Statement) -> witness.Outcome:
    """LGSCO reads it in a message."""
    parts = pair.lgsco.parts
    return witness.receive(
        parts.ledger,
        "ofsted",
        statement,
        ledger_verifiers=parts.trust.ledger_verifiers("ofsted"),
        witness_verifiers=parts.trust.witness_verifiers("ofsted"),
        cosigners=parts.cosigners(),
        sequence=None,
        now=pair.clock(),
        ended=parts.trust.ended_ledger_keys("ofsted") | parts.trust.ended_witness_keys("ofsted"),
    )


def lines(one: Organisation) -> set[str]:
    return {str(line) for (line,) in one.parts.ledger.rows("SELECT line FROM cosignatures")}


@pytest.mark.parametrize("end", ["revoked", "retired"])
@pytest.mark.parametrize("purpose", ["witness", "witness-pq"])
def test_what_a_witness_key_cosigns_after_its_end_is_neither_kept_nor_counted(
    cosigning: Pair, purpose: Purpose, end: str, tmp_path: Path
) -> None:
    lgsco, ofsted = cosigning.lgsco, cosigning.ofsted
    exchange_files(cosigning, "before")
    [ours] = ofsted.parts.own.usable(purpose)
    [stolen] = [one for one in ofsted.parts.cosigners() if (one.kind == MLDSA44) == (purpose == "witness-pq")]
    size = lgsco.parts.ledger.size
    cosigning.clock.advance(days=1)
    if end == "revoked":
        key_desk.revoke(ofsted.parts, ours.fingerprint, None, "root")
    else:
        rotate(ofsted, purpose, overlap=timedelta(0))
        cosigning.settle()
        cosigning.clock.advance(hours=1)
        key_desk.retire(ofsted.parts, purpose, "root")
    persist(cosigning)
    exchange_files(cosigning, "after")
    before, counted = lines(lgsco), verify_home(lgsco.home).cosignatures
    assert ours.public in lgsco.parts.trust.standing("ofsted").ended
    assert counted == len(before) > 0
    cosigning.clock.advance(days=10)

    def is_refused() -> None:
        for at_least in (size, lgsco.parts.ledger.size):
            line, statement = by_hand(cosigning, stolen, at_least)
            take(cosigning, statement)
            assert line not in lines(lgsco)
            # an earlier version kept it
            lgsco.parts.ledger.write(partial(keep, statement.seen, line))
            report = verify_home(lgsco.home)
            assert (report.ok, report.cosignatures) == (True, counted), report.problems

    def keep(seen: int, line: str, tx: Transaction) -> None:
        tx.keep_cosignature("ofsted", seen, line)

    is_refused()
    # a new card undoes no end
    cosigning.clock.advance(hours=7)
    give_card(ofsted, lgsco, tmp_path / "ofsted.toml")
    restart_both(cosigning)
    lgsco, ofsted = cosigning.lgsco, cosigning.ofsted
    counted = verify_home(lgsco.home).cosignatures
    is_refused()
    quiet(lgsco)


def test_a_rolled_back_ledger_is_noticed_by_a_cosignature_of_a_key_that_was_retired_since(cosigning: Pair) -> None:
    exchange_files(cosigning, "before")
    [old] = [one for one in cosigning.ofsted.parts.cosigners() if one.kind != MLDSA44]
    rotate(cosigning.ofsted, "witness", overlap=timedelta(0))
    cosigning.settle()
    key_desk.retire(cosigning.ofsted.parts, "witness", "root")
    cosigning.settle()
    parts = cosigning.lgsco.parts
    assert old.key_id in parts.trust.ended_witness_keys("ofsted")
    other = checkpoint.Checkpoint("lgsco/handover", parts.ledger.size + 5, bytes(32)).encode()
    signer = parts.keyring.note_signer("ledger", "lgsco/handover")
    signed = note.sign_note(other, [signer])
    line = checkpoint.cosign(signed, replace(old, now=int(cosigning.clock().timestamp())))
    said = cosigning.ofsted.parts.ledger.checkpoint().decode()
    with pytest.raises(witness.RolledBack):
        take(cosigning, Statement(said, 0, (), signed.decode() + line + "\n", parts.ledger.size + 5))


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
