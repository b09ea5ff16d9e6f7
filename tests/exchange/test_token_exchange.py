"""LGSCO's keys move into a token, from token to token and back, while files go both ways and nothing is lost."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from config.errors import HandoverError, Misuse
from config.home import Home
from exchange import key_desk, key_list, rounds
from exchange.audit import verify_home
from keys import rotation, token_uri
from keys.key_errors import KeyProblem, MissingKey, NoTokens, SwappedKey, TokenAway, WrongPin
from keys.key_info import Purpose
from keys.own_keys import OwnKey
from keys.token import Token
from tests import softhsm
from tests.exchange.test_key_rotation import chained, exchange_files, quiet, signed_by
from tests.exchange.test_pipeline import CONCERN
from tests.organisations import CASE, Organisation, Pair, start
from tests.softhsm import MODULE, PIN, SoftHsm

IN_TOKEN: tuple[Purpose, ...] = ("signing", "ledger", "witness")


@pytest.fixture
def hsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoftHsm]:
    made = SoftHsm(tmp_path / "hsm")
    made.init()
    monkeypatch.setenv("SOFTHSM2_CONF", str(made.conf))
    yield made
    softhsm.forget()


@pytest.fixture
def equipped(pair: Pair, hsm: SoftHsm) -> Pair:
    """LGSCO's handover.toml names the token."""
    assert hsm.labels() == []
    pin = pair.lgsco.home.root / "token-pin"
    pin.touch(0o600)
    pin.write_text(PIN.reveal())
    config = pair.lgsco.home.config_file
    said = f'[token]\nmodule = "{MODULE}"\npin_file = "token-pin"\n'
    config.write_text(config.read_text().replace("[token]\n", said))
    again(pair)
    return pair


def again(pair: Pair) -> None:
    """LGSCO's service starts anew, in a process that has no token open."""
    pair.lgsco.parts.ledger.close()
    softhsm.forget()
    pair.lgsco = start(Home.open(pair.lgsco.home.root), pair.ofsted.home, pair.clock)
    chained(pair)


def rotate(one: Organisation, purpose: Purpose, in_token: bool | None, overlap: timedelta = timedelta(0)) -> OwnKey:
    return key_desk.rotate(one.parts, purpose, overlap, None, "root", in_token)


def move(pair: Pair, purpose: Purpose, in_token: bool | None) -> OwnKey:
    """Rotate with a file on its way, until the old key is gone."""
    pair.clock.advance(days=1)
    new = rotate(pair.lgsco, purpose, in_token)
    pair.ofsted.drop(b"{}", f"{CASE} {purpose} {new.serial}.json", CONCERN)
    exchange_files(pair, f"{purpose} {new.serial}")
    pair.clock.advance(days=1)
    key_desk.tend(pair.lgsco.parts)
    pair.settle()
    assert [key.fingerprint for key in pair.lgsco.parts.own.usable(purpose)] == [new.fingerprint]
    return new


def kept_in(pair: Pair) -> dict[str, object]:
    rows = key_list.key_rows(pair.lgsco.parts.keyring, pair.lgsco.parts.ledger, ("ofsted",))
    return {f"{row['purpose']} {row['serial']}": row["kept_in"] for row in rows if row["purpose"] in IN_TOKEN}


def all_is_well(pair: Pair) -> None:
    for one in (pair.lgsco, pair.ofsted):
        quiet(one)
        report = verify_home(one.home)
        assert report.ok, report.problems


# --- the way in, within, and out --------------------------------------------------------------------------------------


def test_keys_move_into_the_token_within_it_and_out_while_files_go_both_ways(equipped: Pair, hsm: SoftHsm) -> None:
    pair = equipped
    exchange_files(pair, "before")
    for purpose in IN_TOKEN:
        move(pair, purpose, in_token=True)
    assert hsm.labels() == [f"lgsco {purpose} key 2" for purpose in sorted(IN_TOKEN)]
    assert kept_in(pair) == {f"{p} {n}": {1: None, 2: "token"}[n] for p in IN_TOKEN for n in (1, 2)}
    assert not [path.name for path in pair.lgsco.home.keys.iterdir() if path.name in {f"{p}-2.age" for p in IN_TOKEN}]
    exchange_files(pair, "all in the token")
    assert signed_by(pair.lgsco) == pair.lgsco.parts.own.usable("signing")[0].fingerprint
    all_is_well(pair)
    again(pair)
    exchange_files(pair, "started anew")
    for purpose in IN_TOKEN:
        move(pair, purpose, in_token=None)
    assert hsm.labels() == [f"lgsco {purpose} key 3" for purpose in sorted(IN_TOKEN)]
    for purpose in IN_TOKEN:
        move(pair, purpose, in_token=False)
    assert hsm.labels() == []
    assert {name for name, place in kept_in(pair).items() if place} == {f"{purpose} 4" for purpose in IN_TOKEN}
    exchange_files(pair, "all in files again")
    assert set(pair.lgsco.states()) == set(pair.ofsted.states()) == {"acknowledged"}
    all_is_well(pair)


def test_during_the_overlap_the_old_key_in_its_file_and_the_new_one_in_the_token_both_count(equipped: Pair) -> None:
    pair = equipped
    for purpose in IN_TOKEN:
        rotate(pair.lgsco, purpose, in_token=True, overlap=timedelta(days=30))
        exchange_files(pair, f"both {purpose}")
    newest = pair.lgsco.parts.ledger.checkpoint().decode()
    assert newest.count("— lgsco/handover") == 2
    all_is_well(pair)


def test_the_ledger_says_that_a_key_was_made_in_the_token_and_nothing_of_where(equipped: Pair) -> None:
    new = rotate(equipped.lgsco, "signing", in_token=True)
    entries = list(equipped.lgsco.parts.ledger.entries(0, equipped.lgsco.parts.ledger.size))
    told = [entry.detail.get("token") for entry in entries if entry.event in ("key.rotating", "key.created")]
    assert told[-2:] == [True, True]
    assert set(told[:-2]) == {None}
    assert "pkcs11:" not in str([entry.detail for entry in entries])
    assert new.purpose == "signing"


def test_a_revoked_key_is_destroyed_in_the_token_and_its_successor_is_made_there(equipped: Pair, hsm: SoftHsm) -> None:
    pair = equipped
    old = move(pair, "signing", in_token=True)
    pair.clock.advance(days=1)
    done = key_desk.revoke(pair.lgsco.parts, old.fingerprint, None, "root")
    pair.settle()
    key_desk.tend(pair.lgsco.parts)
    assert hsm.labels() == ["lgsco signing key 3"]
    assert kept_in(pair)["signing 3"] == "token"
    assert pair.lgsco.parts.own.usable("signing")[-1].fingerprint == done["successor"]
    exchange_files(pair, "after")
    all_is_well(pair)


# --- away, wrong, exchanged -------------------------------------------------------------------------------------------


def test_while_the_token_is_away_nothing_is_taken_and_afterwards_everything_goes_on(
    equipped: Pair, hsm: SoftHsm
) -> None:
    pair = equipped
    for purpose in IN_TOKEN:
        move(pair, purpose, in_token=True)
    pair.ofsted.drop(b"{}", f"{CASE} waits.json", CONCERN)
    pair.ofsted.take()
    pair.ofsted.send()
    size, received = pair.lgsco.parts.ledger.size, pair.lgsco.inbound()
    file = pair.lgsco.drop(b"a decision", f"{CASE} decision.pdf")
    hsm.take_away()
    for work in (pair.lgsco.take, pair.lgsco.receive):
        with pytest.raises(TokenAway):
            work()
    assert pair.lgsco.parts.ledger.size == size
    assert file.exists()
    assert pair.lgsco.inbound() == received
    with pytest.raises(TokenAway):
        rotate(pair.lgsco, "transport", in_token=None)
    hsm.bring_back()
    pair.settle()
    assert pair.lgsco.states()[-1] == "acknowledged"
    assert pair.ofsted.states()[-1] == "acknowledged"
    assert len(pair.lgsco.inbound()) == len(pair.ofsted.states())
    all_is_well(pair)


def test_with_a_signing_key_in_a_token_that_is_away_what_was_taken_waits_unsigned(equipped: Pair, hsm: SoftHsm) -> None:
    """The ledger's key is in a file: the ledger goes on, and no other signing key takes over."""
    pair = equipped
    new = move(pair, "signing", in_token=True)
    hsm.take_away()
    pair.lgsco.drop(b"a decision", f"{CASE} decision.pdf")
    pair.lgsco.take()
    with pytest.raises(TokenAway):
        pair.lgsco.send()
    assert pair.lgsco.states()[-1] == "accepted"
    hsm.bring_back()
    pair.settle()
    assert pair.lgsco.states()[-1] == "acknowledged"
    assert signed_by(pair.lgsco) == new.fingerprint
    all_is_well(pair)


def test_a_key_of_a_lost_token_that_has_ended_keeps_nothing_else_from_going_on(equipped: Pair, hsm: SoftHsm) -> None:
    pair = equipped
    move(pair, "signing", in_token=True)
    rotate(pair.lgsco, "signing", in_token=False)
    exchange_files(pair, "its successor is in a file")
    hsm.take_away()
    pair.clock.advance(days=1)
    key_desk.tend(pair.lgsco.parts)
    old = pair.lgsco.parts.own.keys[-2]
    assert (old.ended, old.destroyed) == ("retired", False)
    rotate(pair.lgsco, "transport", in_token=None)
    exchange_files(pair, "goes on")
    said = key_list.problems(
        pair.lgsco.parts.keyring,
        pair.lgsco.parts.ledger,
        pair.lgsco.parts.trust,
        ("ofsted",),
        pair.lgsco.home.settings,
    )
    assert "signing key 2 has ended and is still in the token: it is destroyed when the token is there" in said
    hsm.bring_back()
    key_desk.tend(pair.lgsco.parts)
    assert hsm.labels() == []
    assert all(key.destroyed for key in pair.lgsco.parts.own.keys if key.ended)


@pytest.mark.parametrize(
    ("how", "kind"),
    [("wrong pin", WrongPin), ("no token", NoTokens), ("other key", SwappedKey), ("no key", MissingKey)],
)
def test_what_is_wrong_with_the_token_stops_what_it_signs_and_nothing_is_signed_otherwise(
    equipped: Pair, hsm: SoftHsm, how: str, kind: type[HandoverError]
) -> None:
    pair = equipped
    new = move(pair, "ledger", in_token=True)
    size = pair.lgsco.parts.ledger.size
    place = token_uri.parse(str(pair.lgsco.parts.keyring.place(new.fingerprint)))
    match how:
        case "wrong pin":
            (pair.lgsco.home.root / "token-pin").write_text("wrong-horse-2")
        case "no token":
            config = pair.lgsco.home.config_file
            config.write_text(config.read_text().replace("\nmodule =", "\n# module ="))
        case "other key":
            hsm.token().generate(place)
        case "no key":
            hsm.token().destroy(place)
    pair.lgsco.parts.ledger.close()
    softhsm.forget()
    file = pair.lgsco.drop(b"a decision", f"{CASE} decision.pdf")
    with pytest.raises(kind):
        start(Home.open(pair.lgsco.home.root), pair.ofsted.home, pair.clock)
    assert file.exists()
    assert verify_home(pair.lgsco.home).size == size
    assert not issubclass(kind, KeyProblem) or kind.exit_code == 2
    # not started again by systemd: these need a person


@pytest.mark.parametrize("purpose", ["encryption", "transport"])
def test_a_key_that_cannot_be_in_a_token_is_not_ordered(equipped: Pair, purpose: Purpose) -> None:
    size = equipped.lgsco.parts.ledger.size
    with pytest.raises(Misuse, match=f"the {purpose} key cannot be in a token"):
        rotate(equipped.lgsco, purpose, in_token=True)
    assert equipped.lgsco.parts.ledger.size == size


def test_without_a_token_none_is_ordered(pair: Pair) -> None:
    size = pair.lgsco.parts.ledger.size
    with pytest.raises(NoTokens, match="names no token"):
        rotate(pair.lgsco, "signing", in_token=True)
    assert pair.lgsco.parts.ledger.size == size
    assert rotate(pair.lgsco, "signing", in_token=None).serial == 2


# --- crashes and threads ----------------------------------------------------------------------------------------------


class Crash(BaseException):
    """The process ends here."""


def test_a_private_half_without_a_public_one_that_nobody_ordered_is_told_and_left_alone(pair: Pair) -> None:
    """It may be what a partial restore has left of a key in use: only people can tell."""

    def told() -> list[str]:
        parts = pair.lgsco.parts
        problems = key_list.problems(parts.keyring, parts.ledger, parts.trust, ("ofsted",), pair.lgsco.home.settings)
        return [problem for problem in problems if "has a private half and no public one" in problem]

    assert told() == []
    entry = rotation.order(pair.lgsco.parts.office, "signing", overlap=timedelta(0), begins=None, by="root")
    ordered = pair.lgsco.home.keys / f"signing-{entry.detail['serial']}.age"
    left = pair.lgsco.home.keys / "signing-7.token"
    for file in (ordered, left):
        file.touch(0o600)
    [said] = told()
    assert said.startswith("signing key 7 has a private half")
    key_desk.tend(pair.lgsco.parts)
    assert left.exists()


@pytest.mark.parametrize("after", [False, True])
def test_a_rotation_cut_off_at_the_token_is_finished_by_the_next_start(
    equipped: Pair, hsm: SoftHsm, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    pair, real = equipped, Token.generate

    def cut(token: Token, place: token_uri.TokenUri) -> bytes:
        if after:
            real(token, place)
        raise Crash

    with monkeypatch.context() as changed:
        changed.setattr(Token, "generate", cut)
        with pytest.raises(Crash):
            rotate(pair.lgsco, "signing", in_token=True)
    assert len(hsm.labels()) == after
    again(pair)
    rounds.recover(pair.lgsco.parts)
    key_desk.tend(pair.lgsco.parts)
    assert hsm.labels() == ["lgsco signing key 2"]
    assert pair.lgsco.parts.own.making == ()
    exchange_files(pair, "after")
    exchange_files(pair, "and then")
    assert signed_by(pair.lgsco) == pair.lgsco.parts.own.usable("signing")[-1].fingerprint
    all_is_well(pair)


def test_several_threads_write_the_ledger_and_sign_at_once(equipped: Pair) -> None:
    pair = equipped
    for purpose in IN_TOKEN:
        move(pair, purpose, in_token=True)
    failed: list[Exception] = []
    public = pair.lgsco.parts.signer("ofsted").public

    def work() -> None:
        try:
            for number in range(10):
                data = b"%d" % number
                assert public.accepts(pair.lgsco.parts.signer("ofsted").sign(data), data)
                pair.lgsco.parts.ledger.write(lambda tx: tx.size)
                key_desk.tend(pair.lgsco.parts)
        except Exception as problem:
            failed.append(problem)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failed == []
    exchange_files(pair, "after")
    all_is_well(pair)


def test_the_start_tries_out_what_is_in_the_token(equipped: Pair, hsm: SoftHsm) -> None:
    pair = equipped
    move(pair, "signing", in_token=True)
    usable = {key.fingerprint for key in pair.lgsco.parts.own.keys if key.ended is None}
    pair.lgsco.parts.keyring.test_tokens(usable)
    hsm.take_away()
    with pytest.raises(TokenAway):
        pair.lgsco.parts.keyring.test_tokens(usable)
    hsm.bring_back()
    pair.lgsco.parts = replace(pair.lgsco.parts)
    pair.lgsco.parts.keyring.test_tokens(usable)
