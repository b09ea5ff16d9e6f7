"""Our own keys: made, kept, found, unlocked, and everything that can be wrong with them."""

import importlib
import io
import json
import logging
import os
import pty
import subprocess
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from config.errors import HandoverError, Misuse, NotNow
from keys import age, sshsig
from keys.key_errors import (
    DamagedKey,
    ExposedKey,
    ForeignOwner,
    KeyExpired,
    KeyNotYetValid,
    KeyProblem,
    MissingKey,
    SwappedKey,
    UnreadableKey,
    WrongPassphrase,
)
from keys.key_info import NEEDED, Purpose
from keys.keyring import Keyring
from keys.secret import Secret
from ledger import note
from tests.keys.rings import NOW, PASSPHRASE, TEXT, Asked, create, reopen

DAY = timedelta(days=1)
NOBODY = 54321


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create(tmp_path / "keys")
    return tmp_path / "keys"


def age_reads(file: Path, passphrase: str) -> bytes:
    """What the program `age` makes of a file when a person types the passphrase."""
    ours, theirs = pty.openpty()
    command = ["setsid", "--ctty", "--wait", "age", "-d", str(file)]
    with subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        os.close(theirs)
        try:
            asked = b""
            while b"passphrase" not in asked:
                asked += os.read(ours, 1024)
            os.write(ours, passphrase.encode() + b"\n")
            out, _ = process.communicate(timeout=60)
        finally:
            # whoever still asks is hung up on
            os.close(ours)
    assert process.returncode == 0
    return out


# making


def test_a_new_keyring_has_one_key_for_each_purpose_private_to_its_owner(folder: Path) -> None:
    expected = sorted(f"{purpose}-1.{ending}" for purpose in NEEDED for ending in ("age", "json"))
    assert sorted(path.name for path in folder.iterdir()) == expected
    assert folder.stat().st_mode & 0o7777 == 0o700
    assert {path.stat().st_mode & 0o7777 for path in folder.iterdir()} == {0o600}
    assert [info.purpose for info in reopen(folder).infos()] == list(NEEDED)


def test_permissions_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        create(tmp_path / "keys")
    finally:
        os.umask(old)
    test_a_new_keyring_has_one_key_for_each_purpose_private_to_its_owner(tmp_path / "keys")


def test_keys_are_never_made_over_something_that_is_there(folder: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    for place in (folder, tmp_path / "file", tmp_path / "link"):
        with pytest.raises(Misuse, match="something at the place"):
            create(place)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file", "keys", "link"]


def test_an_empty_folder_that_is_there_is_used_and_closed_to_others(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir(mode=0o755)
    create(tmp_path / "keys")
    assert (tmp_path / "keys").stat().st_mode & 0o7777 == 0o700
    assert len(reopen(tmp_path / "keys").infos()) == 5


def test_where_nothing_can_be_written_nothing_is_left_behind(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(NotNow, match="cannot be made: File exists"):
        create(tmp_path / "file" / "keys")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_empty_passphrase_makes_no_keys(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="passphrase is empty"):
        Keyring.create(tmp_path / "keys", "lgsco", Secret(""), NOW, work_factor=1)
    assert list(tmp_path.iterdir()) == []


def test_post_quantum_encryption_is_the_default(tmp_path: Path) -> None:
    keyring = Keyring.create(tmp_path / "keys", "lgsco", PASSPHRASE, NOW, work_factor=1, clock=lambda: NOW)
    assert keyring.current("encryption").algorithm == "mlkem768x25519"
    assert [info.post_quantum for info in keyring.infos()] == [info.purpose == "encryption" for info in keyring.infos()]
    assert [identity.kind for identity in keyring.identities()] == ["pq"]


# native formats, read by their own programs


@pytest.mark.parametrize("purpose", ["signing", "transport", "ledger", "witness"])
def test_age_opens_a_key_at_rest_and_ssh_keygen_knows_its_fingerprint(
    folder: Path, tmp_path: Path, purpose: Purpose
) -> None:
    native = age_reads(folder / f"{purpose}-1.age", TEXT)
    (tmp_path / "id").write_bytes(native)
    (tmp_path / "id").chmod(0o600)
    told = subprocess.run(["ssh-keygen", "-lf", tmp_path / "id"], capture_output=True, check=True, text=True).stdout
    assert told.split()[1] == reopen(folder).current(purpose).fingerprint


def test_age_opens_the_encryption_key_at_rest_and_decrypts_with_it(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "identity").write_bytes(age_reads(folder / "encryption-1.age", TEXT))
    public = reopen(folder).current("encryption").public
    sealed = subprocess.run(["age", "-r", public], input=b"hello", capture_output=True, check=True).stdout
    command = ["age", "-d", "-i", str(tmp_path / "identity")]
    assert subprocess.run(command, input=sealed, capture_output=True, check=True).stdout == b"hello"


# using


def test_each_key_does_its_work_and_the_public_half_agrees(folder: Path) -> None:
    keyring = reopen(folder)
    signed = sshsig.sign(keyring.signer(), BytesIO(b"m"), "manifest@handover")
    assert sshsig.verify(signed, BytesIO(b"m"), "manifest@handover").line == keyring.current("signing").public
    signer = keyring.note_signer("ledger", "lgsco/handover")
    verifier = note.parse_vkey(keyring.current("ledger").public)
    assert (signer.name, signer.key_id) == (verifier.name, verifier.key_id)
    assert sshsig.PublicKey(verifier.public).accepts(signer.sign(b"note\n"), b"note\n")
    cosigner = keyring.cosigner("witness", "lgsco/witness")
    assert cosigner.name == "lgsco/witness"
    sealed, opened = BytesIO(), BytesIO()
    age.encrypt(BytesIO(b"m"), sealed, [age.parse_recipient(keyring.current("encryption").public)])
    age.decrypt(BytesIO(sealed.getvalue()), opened, keyring.identities())
    assert opened.getvalue() == b"m"
    paramiko: Any = importlib.import_module("paramiko")
    loaded = paramiko.Ed25519Key.from_private_key(io.StringIO(keyring.transport_key().decode()))
    assert f"ssh-ed25519 {loaded.get_base64()}" == keyring.current("transport").public


def test_a_ledger_key_signs_under_its_own_name_only(folder: Path) -> None:
    keyring = reopen(folder)
    asks: list[Callable[[], object]] = [
        lambda: keyring.note_signer("ledger", "ofsted/handover"),
        lambda: keyring.note_signer("signing", "lgsco/handover"),
        lambda: keyring.cosigner("witness", "lgsco/handover"),
    ]
    for ask in asks:
        with pytest.raises(Misuse, match="made for another name"):
            ask()


def test_an_encryption_key_signs_nothing(folder: Path) -> None:
    with pytest.raises(Misuse, match="encryption key 1 does not sign"):
        reopen(folder).signer("encryption")


def test_keys_are_found_by_their_fingerprint(folder: Path) -> None:
    keyring = reopen(folder)
    for info in keyring.infos():
        assert keyring.find(info.fingerprint) == info
    with pytest.raises(MissingKey, match="none of our keys"):
        keyring.find("SHA256:" + "A" * 43)


# the passphrase


def test_the_passphrase_is_asked_for_when_first_needed_and_only_once(folder: Path) -> None:
    asked = Asked()
    keyring = reopen(folder, asked)
    assert keyring.infos()
    assert keyring.current("signing")
    assert asked.times == 0
    keyring.signer()
    assert asked.times == 1
    keyring.self_test()
    keyring.identities()
    keyring.add("signing", "lgsco", NOW)
    assert asked.times == 1


def test_many_threads_ask_once(folder: Path) -> None:
    asked = Asked()
    keyring = reopen(folder, asked)
    threads = [threading.Thread(target=keyring.self_test) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked.times == 1


def test_a_wrong_passphrase_is_told_and_forgotten(folder: Path) -> None:
    asked = Asked("a guess", TEXT)
    keyring = reopen(folder, asked)
    with pytest.raises(WrongPassphrase, match="the passphrase does not open signing key 1"):
        keyring.signer()
    assert keyring.signer()
    assert asked.times == 2


@pytest.mark.parametrize("wrong", ["", "a guess", TEXT + "\n", TEXT.upper(), "\ud800"])
def test_a_passphrase_that_is_not_exact_is_wrong(folder: Path, wrong: str) -> None:
    with pytest.raises(WrongPassphrase):
        reopen(folder, Asked(wrong)).self_test()


def test_no_key_is_added_under_a_passphrase_that_does_not_open_the_others(folder: Path) -> None:
    before = sorted(folder.iterdir())
    with pytest.raises(WrongPassphrase):
        reopen(folder, Asked("a slip")).add("signing", "lgsco", NOW)
    assert sorted(folder.iterdir()) == before


# what can be wrong, each with its own words


def swap(folder: Path, one: str, other: str) -> None:
    (folder / one).rename(folder / "x")
    (folder / other).rename(folder / one)
    (folder / "x").rename(folder / other)


def rewrite(folder: Path, name: str, **changes: object) -> None:
    fields = json.loads((folder / name).read_bytes()) | changes
    (folder / name).write_text(json.dumps(fields, sort_keys=True, separators=(",", ":")))


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def file_instead(folder: Path) -> None:
    folder.rename(folder.parent / "moved")
    folder.touch()


def share(folder: Path) -> None:
    for ending in ("age", "json"):
        (folder / f"transport-1.{ending}").write_bytes((folder / f"signing-1.{ending}").read_bytes())
    rewrite(folder, "transport-1.json", purpose="transport")


def another(folder: Path) -> Path:
    create(folder.parent / "other")
    return folder.parent / "other"


def replace_private(folder: Path) -> None:
    (another(folder) / "signing-1.age").rename(folder / "signing-1.age")


def replace_public(folder: Path) -> None:
    (another(folder) / "signing-1.json").rename(folder / "signing-1.json")


def foreign(path: Path) -> None:
    os.chown(path, NOBODY, -1)


def link(path: Path) -> None:
    path.rename(path.parent.parent / "moved")
    path.symlink_to(path.parent.parent / "moved")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def relock(folder: Path, native: bytes) -> None:
    sealed = BytesIO()
    age.encrypt(BytesIO(native), sealed, [age.ScryptRecipient(TEXT, 1)])
    (folder / "signing-1.age").write_bytes(sealed.getvalue())


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def heavy(folder: Path) -> None:
    data = (folder / "signing-1.age").read_bytes()
    head, _, rest = data.partition(b" 1\n")
    (folder / "signing-1.age").write_bytes(head + b" 21\n" + rest)


FAULTS: list[tuple[str, Callable[[Path], object], type[HandoverError], str]] = [
    ("folder missing", lambda f: f.rename(f.parent / "gone"), MissingKey, "the key folder is not there"),
    ("folder empty", empty, MissingKey, "the key folder holds no key"),
    ("folder a file", file_instead, DamagedKey, "the key folder is not a folder"),
    ("folder a link", link, DamagedKey, "the key folder is not a folder"),
    ("folder open", lambda f: f.chmod(0o750), ExposedKey, "the key folder is open to other users (mode 750"),
    ("folder foreign", foreign, ForeignOwner, "the key folder belongs to user 54321"),
    (
        "private open",
        lambda f: (f / "signing-1.age").chmod(0o604),
        ExposedKey,
        "the private half of signing key 1 is open to other users (mode 604, expected 600)",
    ),
    (
        "public open",
        lambda f: (f / "signing-1.json").chmod(0o660),
        ExposedKey,
        "the public half of signing key 1 is open",
    ),
    (
        "private foreign",
        lambda f: foreign(f / "signing-1.age"),
        ForeignOwner,
        "the private half of signing key 1 belongs",
    ),
    (
        "public foreign",
        lambda f: foreign(f / "signing-1.json"),
        ForeignOwner,
        "the public half of signing key 1 belongs",
    ),
    (
        "private missing",
        lambda f: (f / "signing-1.age").unlink(),
        MissingKey,
        "the private half of signing key 1 is not there",
    ),
    ("public missing", lambda f: (f / "signing-1.json").unlink(), MissingKey, "there is no signing key"),
    (
        "private a link",
        lambda f: link(f / "signing-1.age"),
        UnreadableKey,
        "the private half of signing key 1 cannot be read",
    ),
    (
        "private a pipe",
        lambda f: pipe(f / "signing-1.age"),
        DamagedKey,
        "the private half of signing key 1 is not a regular",
    ),
    ("private cut", lambda f: cut(f / "signing-1.age"), DamagedKey, "the private half of signing key 1 is damaged"),
    (
        "private empty",
        lambda f: (f / "signing-1.age").write_bytes(b""),
        DamagedKey,
        "the private half of signing key 1 is dam",
    ),
    ("private huge", lambda f: (f / "signing-1.age").write_bytes(bytes(70_000)), DamagedKey, "far longer than any key"),
    ("private dear", heavy, DamagedKey, "work factor of the passphrase is greater than 20"),
    ("public cut", lambda f: cut(f / "signing-1.json"), DamagedKey, "the public half of signing key 1 is damaged"),
    ("public unsaid", lambda f: rewrite(f, "signing-1.json", x=1), DamagedKey, "does not agree with the public key"),
    (
        "fingerprint false",
        lambda f: rewrite(f, "signing-1.json", fingerprint="SHA256:" + "A" * 43),
        DamagedKey,
        "does not agree with the public key",
    ),
    ("no private key", lambda f: relock(f, b"hello"), DamagedKey, "is damaged: a file is not an OpenSSH private key"),
    ("private replaced", replace_private, SwappedKey, "the private half of signing key 1 does not fit its public half"),
    ("public replaced", replace_public, SwappedKey, "the private half of signing key 1 does not fit its public half"),
    (
        "privates swapped",
        lambda f: swap(f, "signing-1.age", "ledger-1.age"),
        SwappedKey,
        "does not fit its public half",
    ),
    (
        "kinds swapped",
        lambda f: swap(f, "signing-1.age", "encryption-1.age"),
        SwappedKey,
        "does not fit its public half",
    ),
    (
        "publics swapped",
        lambda f: swap(f, "signing-1.json", "transport-1.json"),
        SwappedKey,
        "the public half of signing key 1 is that of transport key 1",
    ),
    (
        "one key for two purposes",
        share,
        SwappedKey,
        "the same key as another one",
    ),
]


@pytest.mark.parametrize(
    ("fault", "kind", "words"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS]
)
def test_each_fault_has_its_own_error_with_a_hint(
    folder: Path, fault: Callable[[Path], object], kind: type[HandoverError], words: str
) -> None:
    fault(folder)
    with pytest.raises(kind) as caught:
        sshsig.sign(reopen(folder).signer(), BytesIO(b""), "manifest@handover")
    assert type(caught.value) is kind
    assert words in caught.value.message
    assert caught.value.hint
    assert str(folder) not in caught.value.for_people()


def test_an_encryption_key_in_the_place_of_another_is_found(folder: Path) -> None:
    swap(folder, "encryption-1.age", "ledger-1.age")
    with pytest.raises(SwappedKey, match="the private half of encryption key 1 does not fit its public half"):
        opened_by(reopen(folder), sealed_to(reopen(folder).current("encryption").public))
    with pytest.raises(SwappedKey, match="the private half of ledger key 1 does not fit its public half"):
        reopen(folder).note_signer("ledger", "lgsco/handover")


@contextmanager
def without_roots_rights() -> Iterator[None]:
    """Root reads whatever there is."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize(
    ("place", "mode", "words"),
    [
        (".", 0o300, "the key folder cannot be read: Permission denied"),
        ("signing-1.json", 0, "the public half of signing key 1 cannot be read: Permission denied"),
        ("signing-1.age", 0o200, "the private half of signing key 1 cannot be read: Permission denied"),
    ],
)
def test_what_the_system_does_not_let_us_read_is_unreadable(place: str, mode: int, words: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "keys"
        create(folder)
        folder.parent.chmod(0o711)
        for path in [folder, *folder.iterdir()] if os.geteuid() == 0 else []:
            os.chown(path, NOBODY, -1)
        (folder / place).chmod(mode)
        with without_roots_rights(), pytest.raises(UnreadableKey) as caught:
            reopen(folder)
        folder.chmod(0o700)
    assert caught.value.message == words
    assert caught.value.hint


# validity and several keys


def test_a_key_added_for_later_takes_over_by_itself(folder: Path) -> None:
    keyring = reopen(folder)
    first = keyring.current("signing")
    second = keyring.add("signing", "lgsco", NOW, valid_from=NOW + 30 * DAY)
    keyring.end(first.fingerprint, NOW + 60 * DAY)
    assert (second.serial, second.name) == (2, "signing-2")
    for days, serial in ((0, 1), (29, 1), (31, 2), (59, 2), (61, 2)):
        assert keyring.current("signing", NOW + days * DAY).serial == serial
    assert reopen(folder, at=NOW + 31 * DAY).signer().public.line == second.public
    assert [info.serial for info in reopen(folder).infos() if info.purpose == "signing"] == [1, 2]


def test_before_and_after_its_time_a_key_is_refused_with_the_date(folder: Path) -> None:
    keyring = reopen(folder)
    info = keyring.end(keyring.current("signing").fingerprint, NOW + DAY)
    assert info.valid_until == "2026-11-25T09:30:00.000Z"
    with pytest.raises(KeyExpired, match=r"signing key 1 was valid only until 2026-11-25T09:30:00\.000Z") as expired:
        reopen(folder, at=NOW + DAY).signer()
    assert (expired.value.exit_code, bool(expired.value.hint)) == (3, True)
    with pytest.raises(KeyNotYetValid, match=r"signing key 1 is valid only from 2026-11-24T09:30:00\.000Z") as early:
        reopen(folder, at=NOW - DAY).signer()
    assert (early.value.exit_code, bool(early.value.hint)) == (3, True)
    assert reopen(folder, at=NOW + DAY).current("ledger")


def test_a_key_is_valid_in_the_moment_it_is_made(folder: Path) -> None:
    assert reopen(folder, at=NOW).current("signing").valid_from == "2026-11-24T09:30:00.000Z"


def sealed_to(public: str) -> bytes:
    sealed = BytesIO()
    age.encrypt(BytesIO(b"m"), sealed, [age.parse_recipient(public)])
    return sealed.getvalue()


def opened_by(keyring: Keyring, sealed: bytes) -> bytes:
    opened = BytesIO()
    age.decrypt(BytesIO(sealed), opened, keyring.identities())
    return opened.getvalue()


def test_what_was_encrypted_to_an_ended_key_is_still_opened(folder: Path) -> None:
    keyring = reopen(folder)
    old = keyring.current("encryption")
    sealed = sealed_to(old.public)
    keyring.end(old.fingerprint, NOW + DAY)
    new = keyring.add("encryption", "lgsco", NOW + DAY, encryption="pq")
    later = reopen(folder, at=NOW + 2 * DAY)
    assert later.current("encryption") == new
    assert [identity.kind for identity in later.identities()] == ["pq", "x25519"]
    assert opened_by(later, sealed) == b"m"


@pytest.mark.parametrize("spoil", [Path.unlink, lambda key: key.write_bytes(b"age")], ids=["missing", "damaged"])
def test_an_old_encryption_key_that_is_not_fit_keeps_only_what_was_sealed_to_it(
    folder: Path, spoil: Callable[[Path], object]
) -> None:
    keyring = reopen(folder)
    old = keyring.current("encryption")
    new = keyring.add("encryption", "lgsco", NOW + DAY, encryption="pq")
    spoil(folder / "encryption-1.age")
    later = reopen(folder, at=NOW + 2 * DAY)
    for _ in range(2):
        assert opened_by(later, sealed_to(new.public)) == b"m"
        with pytest.raises(KeyProblem, match="the private half of encryption key 1"):
            opened_by(later, sealed_to(old.public))
    # the same for one that the other key will have: a successor that is not fit yet
    spoil(folder / "encryption-2.age")
    with pytest.raises(KeyProblem, match="the private half of encryption key 2"):
        opened_by(reopen(folder, at=NOW + 2 * DAY), sealed_to(new.public))


def test_of_the_transport_keys_only_the_newest_has_to_be_fit(folder: Path) -> None:
    keyring = reopen(folder)
    old = keyring.current("transport")
    new = keyring.add("transport", "lgsco", NOW)
    both = {old.fingerprint, new.fingerprint}
    assert len(reopen(folder).transport_keys(both)) == 2
    kept = (folder / "transport-1.age").read_bytes()
    (folder / "transport-1.age").write_bytes(b"age")
    assert reopen(folder).transport_keys(both) == [reopen(folder).transport_key()]
    (folder / "transport-1.age").write_bytes((folder / "signing-1.age").read_bytes())
    with pytest.raises(SwappedKey, match="transport key 1"):
        reopen(folder).transport_keys(both)
    (folder / "transport-1.age").write_bytes(kept)
    (folder / "transport-2.age").unlink()
    with pytest.raises(MissingKey, match="the private half of transport key 2 is not there"):
        reopen(folder).transport_keys(both)


def test_the_left_over_half_of_an_interrupted_key_is_never_overwritten_or_used(folder: Path) -> None:
    (folder / "signing-7.age").touch(0o600)
    (folder / ".signing-8.json.x.tmp").touch(0o600)
    keyring = reopen(folder)
    assert keyring.current("signing").serial == 1
    assert keyring.add("signing", "lgsco", NOW).serial == 8


def test_two_keyrings_that_add_at_once_lose_nothing(folder: Path) -> None:
    rings = [reopen(folder) for _ in range(4)]
    for ring in rings:
        ring.self_test()
    threads = [threading.Thread(target=ring.add, args=("transport", "lgsco", NOW)) for ring in rings]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ring = reopen(folder)
    ring.self_test()
    assert [info.serial for info in ring.infos() if info.purpose == "transport"] == [1, 2, 3, 4, 5]


def test_a_key_added_by_another_process_is_seen_after_reload(folder: Path) -> None:
    ours, theirs = reopen(folder), reopen(folder)
    added = theirs.add("signing", "lgsco", NOW)
    assert added not in ours.infos()
    ours.reload()
    assert added in ours.infos()


# secrets


def test_no_private_key_and_no_passphrase_shows_anywhere(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    keyring = reopen(folder)
    keyring.self_test()
    natives = [unlocked.native for unlocked in keyring._private._unlocked.values()]
    hidden = [TEXT, *(line for native in natives for line in native.decode().splitlines()[1:] if len(line) > 20)]
    hidden = [line for line in hidden if not line.startswith(("-----", "# "))]
    signer = keyring.signer()
    things = [keyring, signer, keyring.infos(), keyring.note_signer("ledger", "lgsco/handover")]
    things += [keyring._private._unlocked, list(keyring._private._unlocked.values())]
    things += [keyring.cosigner("witness", "lgsco/witness"), repr(keyring.identities())]
    logging.getLogger("test").warning("%r %s", things, things)
    shown = [repr(things), str(things), caplog.text, *(vars(type(thing)).get("__doc__") or "" for thing in things)]
    (folder / "ledger-1.age").write_bytes(b"age")
    relock(folder, natives[0][:-40])
    for purpose in ("signing", "ledger"):
        with pytest.raises(HandoverError) as caught:
            reopen(folder).signer(purpose)
        told = traceback.TracebackException.from_exception(caught.value)
        shown += ["".join(told.format()), caught.value.for_people(), repr(caught.value)]
        assert caught.value.__cause__ is None
    assert len(hidden) > 5
    for text in shown:
        for secret in hidden:
            assert secret not in text
