"""The keyring with keys in a token: one life with those in files, and no other key in the place of one that fails."""

import io
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from config.errors import HandoverError, Misuse
from keys import key_files, sshsig, token_uri
from keys.key_errors import DamagedKey, ExposedKey, MissingKey, NoTokens, SwappedKey, TokenAway, WrongPin
from keys.key_info import KeyInfo, Purpose
from keys.keyring import Keyring
from keys.private_keys import ledger_origin, witness_name
from keys.secret import Secret
from keys.token import Token
from keys.token_keys import PURPOSES
from ledger import checkpoint, note
from tests import softhsm
from tests.keys.rings import NOW, Asked, create
from tests.softhsm import SoftHsm

NAMESPACE = "manifest@handover"
NOBODY = Secret("wrong-horse-2")


@pytest.fixture
def hsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoftHsm]:
    made = SoftHsm(tmp_path / "hsm")
    made.init()
    monkeypatch.setenv("SOFTHSM2_CONF", str(made.conf))
    yield made
    softhsm.forget()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create(tmp_path / "keys")
    return tmp_path / "keys"


def ring(folder: Path, token: Token | None, asked: Asked | None = None) -> Keyring:
    return Keyring.open(folder, asked or Asked(), work_factor=1, clock=lambda: NOW, token=token)


def add(keyring: Keyring, purpose: Purpose = "signing", serial: int | None = None) -> KeyInfo:
    return keyring.add(purpose, "lgsco", NOW, in_token=True, serial=serial)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith("-1.age")} - {
        f"{purpose}-1.json" for purpose in ("signing", "encryption", "transport", "ledger", "witness")
    }


def test_a_key_in_the_token_has_a_place_where_others_have_a_private_half(folder: Path, hsm: SoftHsm) -> None:
    keyring = ring(folder, hsm.token())
    info = add(keyring)
    assert files(folder) == {"signing-2.json", "signing-2.token"}
    place = (folder / "signing-2.token").read_text()
    assert (folder / "signing-2.token").stat().st_mode & 0o777 == 0o600
    assert keyring.place(info.fingerprint) == place.rstrip("\n")
    assert keyring.place(keyring.infos()[0].fingerprint) == "file"
    assert token_uri.parse(place.rstrip("\n")).label == "lgsco signing key 2"
    assert softhsm.PIN.reveal() not in place
    assert hsm.labels() == ["lgsco signing key 2"]


def test_what_it_signs_is_what_ssh_keygen_accepts(folder: Path, hsm: SoftHsm, tmp_path: Path) -> None:
    info = add(ring(folder, hsm.token()))
    again = ring(folder, hsm.token())
    armored = sshsig.sign(again.signer_of(info.fingerprint), io.BytesIO(b"a manifest"), NAMESPACE)
    (tmp_path / "signers").write_text(f'lgsco namespaces="{NAMESPACE}" {info.public}\n')
    (tmp_path / "sig").write_text(armored)
    verify = ["ssh-keygen", "-Y", "verify", "-f", "signers", "-I", "lgsco", "-n", NAMESPACE, "-s", "sig"]

    def said(message: bytes) -> tuple[int, str]:
        done = subprocess.run(verify, cwd=tmp_path, input=message, capture_output=True, check=False)
        return done.returncode, done.stdout.decode()

    assert said(b"a manifest")[0] == 0
    assert f"with ED25519 key {info.fingerprint}" in said(b"a manifest")[1]
    assert said(b"another manifest")[0] != 0


def test_a_ledger_and_a_witness_key_in_the_token_sign_notes(folder: Path, hsm: SoftHsm) -> None:
    keyring = ring(folder, hsm.token())
    ledger_key, witness = add(keyring, "ledger"), add(keyring, "witness")
    signed = note.sign_note("text\n", [keyring.note_signer_of(ledger_key.fingerprint, ledger_origin("lgsco"))])
    assert note.open_note(signed, [note.parse_vkey(ledger_key.public)]).text == "text\n"
    head = checkpoint.Checkpoint("ofsted/handover", 0, bytes(32))
    [cosigner] = keyring.cosigners(witness_name("lgsco"), {witness.fingerprint})
    cosigned = note.sign_note(head.encode(), [cosigner])
    assert note.open_note(cosigned, [note.parse_vkey(witness.public)]).text == head.encode()


def test_no_passphrase_is_asked_for_keys_in_the_token(folder: Path, hsm: SoftHsm) -> None:
    asked = Asked()
    keyring = ring(folder, hsm.token(), asked)
    assert keyring.signer_of(add(keyring).fingerprint).sign(b"x")
    assert asked.times == 0
    keyring.add("signing", "lgsco", NOW)
    assert asked.times == 1


@pytest.mark.parametrize("purpose", ["encryption", "transport"])
def test_what_has_to_be_in_memory_cannot_be_in_a_token(folder: Path, hsm: SoftHsm, purpose: Purpose) -> None:
    with pytest.raises(Misuse, match=f"{purpose} key cannot be in a token"):
        add(ring(folder, hsm.token()), purpose)
    assert files(folder) == set()
    assert purpose not in PURPOSES


def test_several_threads_unlock_and_sign_at_once(folder: Path, hsm: SoftHsm) -> None:
    infos = [add(ring(folder, hsm.token()), purpose) for purpose in PURPOSES]
    keyring, refused = ring(folder, hsm.token()), []

    def work(number: int) -> None:
        for turn in range(10):
            signer = keyring.signer_of(infos[(number + turn) % 3].fingerprint)
            if not signer.public.accepts(signer.sign(b"%d" % turn), b"%d" % turn):
                refused.append(turn)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert refused == []


def test_destroying_a_key_destroys_it_in_the_token_and_keeps_the_public_half(folder: Path, hsm: SoftHsm) -> None:
    keyring = ring(folder, hsm.token())
    info, other = add(keyring), add(keyring, "ledger")
    for _ in range(2):
        keyring.destroy(info.fingerprint)
    assert hsm.labels() == ["lgsco ledger key 2"]
    assert files(folder) == {"signing-2.json", "ledger-2.json", "ledger-2.token"}
    assert keyring.place(info.fingerprint) is None
    with pytest.raises(MissingKey, match="the private half of signing key 2 is not there"):
        keyring.signer_of(info.fingerprint)
    keyring.discard("ledger", other.serial)
    assert hsm.labels() == []
    assert files(folder) == {"signing-2.json"}


def test_while_the_token_is_away_nothing_is_destroyed_and_nothing_forgotten(folder: Path, hsm: SoftHsm) -> None:
    keyring = ring(folder, hsm.token())
    info = add(keyring)
    hsm.take_away()
    with pytest.raises(TokenAway):
        keyring.destroy(info.fingerprint)
    assert files(folder) == {"signing-2.json", "signing-2.token"}
    hsm.bring_back()
    keyring.destroy(info.fingerprint)
    assert (files(folder), hsm.labels()) == ({"signing-2.json"}, [])


# --- a crash between two steps ----------------------------------------------------------------------------------------


class Crash(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("step", range(5))
def test_whatever_a_crash_leaves_is_finished_with_one_key(folder: Path, hsm: SoftHsm, step: int) -> None:
    """Before and after the place is written, before and after the token makes the key, and at the end."""
    steps = iter(range(10))

    def counted(real: object) -> object:
        def wrapped(*arguments: object) -> object:
            if next(steps) == step:
                raise Crash
            assert callable(real)
            made = real(*arguments)
            if next(steps) == step:
                raise Crash
            return made

        return wrapped

    with (
        patch.object(key_files, "write", counted(key_files.write)),
        patch.object(Token, "generate", counted(Token.generate)),
        pytest.raises(Crash),
    ):
        add(ring(folder, hsm.token()), serial=2)
    left = hsm.labels()
    assert len(left) == (step >= 3)
    info = add(ring(folder, hsm.token()), serial=2)
    assert hsm.labels() == ["lgsco signing key 2"]
    assert files(folder) == {"signing-2.json", "signing-2.token"}
    assert ring(folder, hsm.token()).signer_of(info.fingerprint).sign(b"x")


def test_what_was_begun_in_the_token_and_is_wanted_in_a_file_leaves_nothing_there(folder: Path, hsm: SoftHsm) -> None:
    with patch.object(Token, "generate", side_effect=Crash), pytest.raises(Crash):
        add(ring(folder, hsm.token()), serial=2)
    keyring = ring(folder, hsm.token())
    keyring.add("signing", "lgsco", NOW, serial=2)
    assert files(folder) == {"signing-2.json", "signing-2.age"}
    assert keyring.signer().sign(b"x")


def test_what_was_begun_in_a_file_and_is_wanted_in_the_token_leaves_no_file(folder: Path, hsm: SoftHsm) -> None:
    key_files.write(folder / "signing-2.age", b"half of it")
    keyring = ring(folder, hsm.token())
    add(keyring, serial=2)
    assert files(folder) == {"signing-2.json", "signing-2.token"}
    assert keyring.signer().sign(b"x")


def test_a_number_that_was_begun_is_not_given_again(folder: Path, hsm: SoftHsm) -> None:
    with patch.object(Token, "generate", side_effect=Crash), pytest.raises(Crash):
        add(ring(folder, hsm.token()))
    assert ring(folder, hsm.token()).next_serial("signing") == 3


# --- what can be wrong ------------------------------------------------------------------------------------------------


def swap(folder: Path, one: str, other: str) -> None:
    (folder / one).rename(folder / "x")
    (folder / other).rename(folder / one)
    (folder / "x").rename(folder / other)


def spoil(folder: Path, hsm: SoftHsm, how: str) -> None:
    file = folder / "signing-2.token"
    place = token_uri.parse(file.read_text().strip())
    match how:
        case "object missing":
            hsm.tool("--delete-object", "--type", "privkey", "--id", place.id.hex())
        case "other key under the id":
            hsm.token().generate(place)
        case "place of another key":
            swap(folder, "signing-2.token", "ledger-2.token")
        case "key from outside":
            hsm.tool("--delete-object", "--type", "privkey", "--id", place.id.hex())
            hsm.bring_in(place.id)
        case "place is nonsense":
            file.write_text("pkcs11:token=handover?pin-value=1234\n")
        case "place is a link":
            file.rename(folder.parent / "elsewhere")
            file.symlink_to(folder.parent / "elsewhere")
        case "place is open to others":
            file.chmod(0o644)
        case "place missing":
            file.unlink()
        case "away":
            hsm.take_away()


@pytest.mark.parametrize(
    ("how", "kind", "words"),
    [
        ("object missing", MissingKey, "the private half of signing key 2 is not in the token"),
        ("other key under the id", SwappedKey, "the key in the token in the place of signing key 2 is another one"),
        ("place of another key", SwappedKey, "the key in the token in the place of signing key 2 is another one"),
        ("key from outside", ExposedKey, "the private half of signing key 2 can leave the token"),
        ("place is nonsense", DamagedKey, "the file that says where in the token signing key 2 lies is damaged"),
        ("place is a link", HandoverError, "cannot be read: Too many levels of symbolic links"),
        ("place is open to others", ExposedKey, "is open to other users"),
        ("place missing", MissingKey, "the private half of signing key 2 is not there"),
        ("away", TokenAway, "there is no token with the label 'handover'"),
    ],
)
def test_what_is_wrong_is_said_and_no_other_key_takes_its_place(
    folder: Path, hsm: SoftHsm, how: str, kind: type[HandoverError], words: str
) -> None:
    keyring = ring(folder, hsm.token())
    add(keyring)
    add(keyring, "ledger")
    spoil(folder, hsm, how)
    with pytest.raises(kind, match=words):
        ring(folder, hsm.token()).signer()


@pytest.mark.parametrize("how", ["object missing", "other key under the id", "away"])
def test_it_is_noticed_at_the_next_signature_too(folder: Path, hsm: SoftHsm, how: str) -> None:
    """The self-test was passed, and then the token changed."""
    keyring = ring(folder, hsm.token())
    add(keyring)
    signer = keyring.signer()
    assert signer.sign(b"before")
    spoil(folder, hsm, how)
    with pytest.raises((MissingKey, SwappedKey, TokenAway)):
        signer.sign(b"after")


def test_a_wrong_pin_opens_no_key_and_is_not_tried_again(folder: Path, hsm: SoftHsm) -> None:
    add(ring(folder, hsm.token()))
    softhsm.forget()
    keyring = ring(folder, hsm.token(pin=NOBODY))
    for _ in range(2):
        with pytest.raises(WrongPin, match="the token does not take the PIN"):
            keyring.signer()
    # the keys in files are no way out
    assert keyring.transport_key()


def test_a_key_in_a_token_without_a_token_in_the_settings_is_told(folder: Path, hsm: SoftHsm) -> None:
    add(ring(folder, hsm.token()))
    keyring = ring(folder, None)
    assert keyring.infos()
    with pytest.raises(NoTokens, match="signing key 2 is in a token, and handover"):
        keyring.signer()
    with pytest.raises(NoTokens):
        add(keyring)


def test_the_keys_in_the_token_are_tried_out_anew(folder: Path, hsm: SoftHsm) -> None:
    keyring = ring(folder, hsm.token())
    info = add(keyring)
    every = {one.fingerprint for one in keyring.infos()}
    keyring.test_tokens(every)
    spoil(folder, hsm, "other key under the id")
    keyring.test_tokens(every - {info.fingerprint})
    with pytest.raises(SwappedKey):
        keyring.test_tokens(every)


def test_nothing_of_it_shows(folder: Path, hsm: SoftHsm) -> None:
    keyring = ring(folder, hsm.token())
    info = add(keyring)
    assert repr(keyring.signer()) == f"TokenSigner({info.fingerprint})"
    assert os.environ["SOFTHSM2_CONF"] not in repr(keyring)
