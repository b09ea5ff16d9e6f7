"""The recorded changes of keys: an old key is replaced and revoked, a partner's is accepted, a replaced one is retired.

    revoke   the key is revoked, a successor in use, and the partner told; or it is as it was, and can be revoked
    accept   the partner's new key is accepted or waits, never both and never neither
    retire   the replaced key is in use and its private half there, or it has ended and its private half is destroyed

What the command had finished must be so; then files go on.
"""

import contextlib
from datetime import timedelta
from pathlib import Path

from config.errors import NotNow
from exchange import key_desk
from keys.key_info import Purpose
from keys.own_keys import OwnKey
from tests.faults.invariant import Finding
from tests.organisations import Organisation, Pair
from tests.powerloss.desk import CONTENT, Case, expect, together, two_homes, unverifiable, within

OVERLAP = timedelta(days=30)
REPLACED = "replaced"
"""A file beside the homes, with the fingerprint of the key that is the matter."""


def cases() -> list[Case]:
    """Every command about keys but `rotate`, which is among the other commands."""
    return [_revoke("signing"), _revoke("encryption"), _accept(), _retire()]


def _revoke(purpose: Purpose) -> Case:
    def prepare(desk: Path) -> None:
        two_homes(desk)
        with together(desk) as pair:
            (desk / REPLACED).write_text(pair.lgsco.parts.own.usable(purpose)[0].fingerprint)

    def acts(desk: Path) -> dict[str, list[str]]:
        return {f"revoke {purpose}": [*within("lgsco", desk), "keys", "revoke", (desk / REPLACED).read_text()]}

    return Case(prepare, acts, _look_at_revoked)


def _accept() -> Case:
    def acts(desk: Path) -> dict[str, list[str]]:
        with together(desk) as pair:
            new = pair.lgsco.parts.own.usable("signing")[-1].fingerprint
        return {"accept": [*within("ofsted", desk), "keys", "accept", "lgsco", "--fingerprint", new]}

    return Case(_announced, acts, _look_at_accepted)


def _retire() -> Case:
    def prepare(desk: Path) -> None:
        _announced(desk)
        with together(desk) as pair:
            (desk / REPLACED).write_text(pair.lgsco.parts.own.usable("signing")[0].fingerprint)
            _accept_all(pair.ofsted)
            pair.settle()

    return Case(
        prepare, lambda desk: {"retire": [*within("lgsco", desk), "keys", "retire", "signing"]}, _look_at_retired
    )


def _announced(desk: Path) -> None:
    two_homes(desk)
    with together(desk) as pair:
        key_desk.rotate(pair.lgsco.parts, "signing", OVERLAP, None, "root")
        pair.settle()
        assert [one.partner for one in key_desk.waiting(pair.ofsted.parts.ledger)] == ["lgsco"]


# --- after ------------------------------------------------------------------------------------------------------------


def _old_key(desk: Path, one: Organisation) -> OwnKey:
    found = one.parts.own.find((desk / REPLACED).read_text())
    assert found is not None, "the old key is not recorded any more"
    return found


def _accept_all(one: Organisation) -> None:
    for waiting in key_desk.waiting(one.parts.ledger):
        key_desk.accept(one.parts, waiting.partner, waiting.announcement.fingerprint, "root")


def _go_on(pair: Pair) -> None:
    """As the services do, and the person at the partner: what cannot be done now is tried again."""
    for _ in range(8):
        for one in (pair.lgsco, pair.ofsted):
            for act in (one.take, one.send, one.receive):
                with contextlib.suppress(NotNow):
                    act()
            _accept_all(one)


def _recorded_keys(one: Organisation) -> list[Finding]:
    """No key without its entry, none without its files, and the private half of all that may be used."""
    one.parts.keyring.self_test({key.fingerprint for key in one.parts.own.keys if key.ended is None})
    there = {info.fingerprint for info in one.parts.keyring.infos()}
    return expect("lost", "keys", sorted(key.fingerprint for key in one.parts.own.keys), sorted(there))


def _goes(pair: Pair) -> list[Finding]:
    pair.lgsco.drop(CONTENT)
    _go_on(pair)
    found = expect("stuck", "a file", ["acknowledged"], pair.lgsco.states())
    bad = {"quarantined", "rejected", "witness.conflict", "receipt.refused", "message.refused", "partner.key-refused"}
    for one in (pair.lgsco, pair.ofsted):
        found += expect("unverifiable", f"events of {one.parts.me}", [], sorted(bad & set(one.events())))
    return found + unverifiable(pair.lgsco, pair.ofsted)


def _private_half(pair: Pair, key: OwnKey) -> bool:
    return (pair.lgsco.home.keys / f"{key.purpose}-{key.serial}.age").exists()


def _look_at_revoked(desk: Path, done: int) -> list[Finding]:
    with together(desk) as pair:
        one = pair.lgsco
        key_desk.tend(one.parts)
        old = _old_key(desk, one)
        found = [] if old.ended == "revoked" or not done else [Finding("lost", "the revocation")]
        found += expect("stuck", "keys under way", (), one.parts.own.making) + _recorded_keys(one)
        if old.ended is None:
            key_desk.revoke(one.parts, old.fingerprint, None, "root")
        found += expect("lost", "keys in use", 1, len(one.parts.own.usable(old.purpose)))
        found += expect("doubled", "revocations", 1, one.events().count("key.revoked"))
        found += _goes(pair)
        key_desk.tend(one.parts)
        found += expect("left over", "the private half", False, _private_half(pair, old))
        trusted = pair.ofsted.parts.trust.standing("lgsco").revoked
        return found + expect("lost", "what the partner knows", True, bool(trusted))


def _look_at_accepted(desk: Path, done: int) -> list[Finding]:
    with together(desk) as pair:
        waiting = len(key_desk.waiting(pair.ofsted.parts.ledger))
        accepted = pair.ofsted.events().count("partner.key-accepted")
        found = expect("lost", "the new key, waiting and accepted", 1, waiting + accepted)
        found += [Finding("lost", "the acceptance")] if done and not accepted else []
        _accept_all(pair.ofsted)
        found += _goes(pair)
        return found + expect("doubled", "acceptances", 1, pair.ofsted.events().count("partner.key-accepted"))


def _look_at_retired(desk: Path, done: int) -> list[Finding]:
    with together(desk) as pair:
        one = pair.lgsco
        key_desk.tend(one.parts)
        old = _old_key(desk, one)
        found = [] if old.ended == "retired" or not done else [Finding("lost", "the retirement")]
        found += _recorded_keys(one) + expect("lost", "the private half", old.ended is None, _private_half(pair, old))
        found += _goes(pair)
        if old.ended is None:
            key_desk.retire(one.parts, "signing", "root")
        found += expect("left over", "the private half", False, _private_half(pair, old))
        return found + expect("doubled", "retirements", 1, one.events().count("key.retired"))
