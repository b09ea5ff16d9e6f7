"""Our own private keys: where they lie, how they are unlocked, which one is used when.

    DIR                        0700
      <purpose>-<serial>.age   0600   the private key in its native format, in an age file with a passphrase
      <purpose>-<serial>.token 0600   instead of the former: where in a token it lies (`keys.token_keys`)
      <purpose>-<serial>.json  0600   its public half and its validity (`keys.key_info`)

In an emergency: `age -d signing-1.age` asks for the passphrase and prints an OpenSSH private key.

A purpose has any number of keys. Its current key is, of those valid now, the one that became valid last, so a key
that is prepared for next month takes over by itself. What was encrypted to an ended key still has to be opened: all
encryption keys are used for that, ended or not.

The passphrase is asked for by a callable when a private key is first needed, then kept. A private key is tried out
when it is unlocked: it must be the one whose public half stands beside it. No key serves two purposes.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path
from typing import Self

from config import times
from config.durable import sync_directory
from config.errors import Misuse, NotNow
from keys import age, at_rest, key_choice, key_files, key_folder, key_info
from keys.composite import CompositeSigner
from keys.key_errors import KeyProblem, MissingKey
from keys.key_info import NEEDED, KeyInfo, Purpose
from keys.openssh import Signer
from keys.private_halves import PrivateHalves
from keys.private_keys import Encryption
from keys.secret import Secret
from keys.token import Token
from keys.unlocked import LateIdentity, Unlocked
from ledger import checkpoint, note

__all__ = ["KeyInfo", "Keyring", "Purpose", "Secret"]


class Keyring:
    """The keys of one organisation. Safe to use from several threads; shows nothing but how many there are."""

    __slots__ = ("_clock", "_infos", "_private")

    def __init__(self, private: PrivateHalves, clock: times.Clock) -> None:
        self._private, self._clock = private, clock
        self._infos = key_folder.read_infos(private.folder)

    @classmethod
    def open(
        cls,
        folder: Path,
        passphrase: Callable[[], Secret],
        *,
        work_factor: int = at_rest.WORK_FACTOR,
        clock: times.Clock = times.system_clock,
        token: Token | None = None,
    ) -> Self:
        """Read the public halves and check every permission; raises KeyProblem or SwappedKey.

        `passphrase` is called when a private key is first needed, and again only after a wrong answer; `work_factor`
        is for keys that will be added. `token` holds the private halves that are in no file.
        """
        keyring = cls(PrivateHalves(folder, passphrase, work_factor, token), clock)
        if not keyring.infos():
            raise MissingKey("the key folder holds no key", hint="restore it from the backup of the keys")
        return keyring

    @classmethod
    def create(
        cls,
        folder: Path,
        organisation: str,
        passphrase: Secret,
        now: datetime,
        *,
        encryption: Encryption = "pq",
        work_factor: int = at_rest.WORK_FACTOR,
        clock: times.Clock = times.system_clock,
    ) -> Self:
        """Make a key for each purpose that everybody has, valid from `now`, in a new or empty folder: all or none.

        Raises Misuse if there is something already or the passphrase is empty, NotNow if it cannot be written.
        """
        building: Path | None = None
        try:
            if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
                raise Misuse("there is something at the place of the key folder", hint="keys are never made over it")
            folder.parent.mkdir(parents=True, exist_ok=True)
            building = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".new", dir=folder.parent))
            keyring = cls(PrivateHalves(building, lambda: passphrase, work_factor, None), clock)
            for purpose in NEEDED:
                keyring.add(purpose, organisation, now, encryption=encryption)
            building.rename(folder)
            sync_directory(folder.parent)
        except OSError as error:
            raise NotNow(f"the key folder cannot be made: {error.strerror}") from None
        finally:
            if building is not None:
                shutil.rmtree(building, ignore_errors=True)
        keyring._private.folder = folder
        return keyring

    def infos(self) -> tuple[KeyInfo, ...]:
        """All keys, by purpose and age."""
        return self._infos

    def current(self, purpose: Purpose, at: datetime | None = None, among: Collection[str] | None = None) -> KeyInfo:
        """The key to use at that time (now), of those whose fingerprint is `among` them; raises MissingKey,
        KeyNotYetValid or KeyExpired."""
        return max(self.valid(purpose, at, among), key=key_choice.age_of)

    def newest(self, purpose: Purpose, among: Collection[str]) -> KeyInfo:
        """The same, but where all have expired, the last of them: what is sealed to it is still opened."""
        return key_choice.newest(self._infos, purpose, self._clock(), among)

    def valid(
        self, purpose: Purpose, at: datetime | None = None, among: Collection[str] | None = None
    ) -> list[KeyInfo]:
        """The same for all keys that count at that time, oldest first; never none."""
        return key_choice.valid(self._infos, purpose, self._clock() if at is None else at, among)

    def find(self, fingerprint: str) -> KeyInfo:
        """The key with that fingerprint; raises MissingKey."""
        for info in self._infos:
            if info.fingerprint == fingerprint:
                return info
        raise MissingKey(f"none of our keys has the fingerprint {fingerprint[:80]!r}")

    def signer(self, purpose: Purpose = "signing", among: Collection[str] | None = None) -> Signer:
        """Signs with the current key of that purpose."""
        return self._key_signer(self.current(purpose, among=among))

    def composite_signer(self, among: Collection[str]) -> CompositeSigner:
        """Signs with the current composite key of those."""
        return self._composite(self.current("signing-pq", among=among))

    def voucher_of(self, fingerprint: str) -> Signer | CompositeSigner:
        """Signs announcements with that very key, of whichever algorithm."""
        info = self.find(fingerprint)
        return self._composite(info) if info.purpose == "signing-pq" else self._key_signer(info)

    def signer_of(self, fingerprint: str) -> Signer:
        """Signs with that very key, current or not."""
        return self._key_signer(self.find(fingerprint))

    def note_signer(self, purpose: Purpose, origin: str) -> note.Signer:
        """Signs notes with the current key of that purpose, whose name must be `origin`."""
        return self.note_signer_of(self.current(purpose).fingerprint, origin)

    def note_signer_of(self, fingerprint: str, origin: str) -> note.Signer:
        """Signs notes with that very key, whose name must be `origin`."""
        signer = self._key_signer(self._named(self.find(fingerprint), origin))
        return note.Ed25519Signer(origin, signer.public.raw, signer.sign)

    def cosigner(self, purpose: Purpose, name: str) -> checkpoint.Cosigner:
        """Cosigns checkpoints with the current key of that purpose, whose name must be `name`."""
        return self._cosigner(self.current(purpose), name)

    def cosigners(self, name: str, among: Collection[str] | None = None) -> list[checkpoint.Cosigner]:
        """The same with every witness key that counts now, of either algorithm: during a rotation, two of each."""
        keys = self.valid("witness", among=among)
        if any(i.purpose == "witness-pq" and (among is None or i.fingerprint in among) for i in self._infos):
            keys = [*keys, *self.valid("witness-pq", among=among)]
        return [self._cosigner(info, name) for info in keys]

    def identities(self, among: Collection[str] | None = None) -> list[age.Identity]:
        """Every encryption key: what was encrypted to an ended one is opened too.

        First those that are unlocked, newest first; the others are when it comes to them, and may raise then.
        """
        keys = [i for i in self._infos if i.purpose == "encryption" and (among is None or i.fingerprint in among)]
        ready, late = list[age.Identity](), list[age.Identity]()
        for info in reversed(keys):
            known = self._private.at_hand(info)
            if known is not None and known.identity is not None:
                ready.append(known.identity)
            else:
                late.append(LateIdentity(info, self._unlock))
        return [*ready, *late]

    def transport_key(self) -> bytes:
        """The current transport key as an OpenSSH private key, for the SFTP client's memory."""
        return self._unlock(self.current("transport")).native

    def transport_keys(self, among: Collection[str], first: Collection[str] = ()) -> list[bytes]:
        """The same for every transport key that counts now: the newest first, and those of `first` before all others.
        Of all behind the first one, those that are fit."""
        valid = self.valid("transport", among=among)
        *older, newest = sorted(valid, key=lambda info: (info.fingerprint in first, key_choice.age_of(info)))
        natives = [self._unlock(newest).native]
        for info in reversed(older):
            with contextlib.suppress(KeyProblem):
                natives.append(self._unlock(info).native)
        return natives

    def test_tokens(self, among: Collection[str]) -> None:
        """Try out those of them that lie in a token, anew; raises what is wrong with the first."""
        for info in self._infos:
            if info.fingerprint in among and self.is_in_token(info.fingerprint):
                self.test_anew(info.fingerprint)

    def self_test(self, among: Collection[str] | None = None) -> None:
        """Unlock and try out every private key; raises what is wrong with the first. They stay unlocked for use."""
        for info in self._infos:
            if among is None or info.fingerprint in among:
                self._unlock(info)

    def check(self, fingerprint: str) -> None:
        """Raise what can be told of a private key without unlocking it; raises MissingKey, DamagedKey and the like."""
        self._private.check(self.find(fingerprint))

    def test_anew(self, fingerprint: str) -> KeyInfo:
        """Unlock and try out one key as it lies on the disk now; raises what is wrong with it."""
        with self._private.lock:
            info = self.find(fingerprint)
            self._private.unlock(info, anew=True)
        return info

    def add(
        self,
        purpose: Purpose,
        organisation: str,
        now: datetime,
        *,
        valid_from: datetime | None = None,
        valid_until: datetime | None = None,
        encryption: Encryption = "pq",
        serial: int | None = None,
        in_token: bool = False,
    ) -> KeyInfo:
        """Make another key of that purpose; the private half is on disk, or `in_token`, before the public one is.

        With a `serial` this can be repeated: what is complete stays, half of it is made anew.
        """
        with self._private.lock, key_files.locked(self._folder):
            self.reload()
            number = key_folder.next_serial(self._folder, purpose) if serial is None else serial
            for known in self._infos:
                if (known.purpose, known.serial) == (purpose, number):
                    return known
            public = self._private.make(purpose, number, organisation, encryption, self._infos, in_token=in_token)
            info = key_info.describe(
                purpose, number, public, created=now, valid_from=valid_from or now, valid_until=valid_until
            )
            key_files.write(self._folder / f"{info.name}.json", info.encode())
            self.reload()
        return info

    def halves(self) -> tuple[str, ...]:
        """Which keys have a private half and no public one, as people call them."""
        return key_folder.halves(self._folder)

    def next_serial(self, purpose: Purpose) -> int:
        """The number that another key of that purpose gets."""
        return key_folder.next_serial(self._folder, purpose)

    def destroy(self, fingerprint: str) -> None:
        """Delete the private half for ever; the public one is kept. Destroyed already is destroyed."""
        with self._private.lock, key_files.locked(self._folder):
            info = self.find(fingerprint)
            self._private.destroy(info.purpose, info.serial)

    def is_in_token(self, fingerprint: str) -> bool:
        """Whether the private half of that key lies in a token."""
        return (self.place(fingerprint) or "file") != "file"

    def check_token(self, purpose: Purpose) -> None:
        """Raise what keeps a key of that purpose from being made in the token."""
        self._private.check_token(purpose)

    def place(self, fingerprint: str) -> str | None:
        """Where its private half is: `file`, the URI of its place in a token, or None after it was destroyed."""
        return self._private.place(self.find(fingerprint))

    def discard(self, purpose: Purpose, serial: int) -> None:
        """Delete both halves of a key that was never used."""
        with self._private.lock, key_files.locked(self._folder):
            key_files.remove(self._folder / f"{purpose}-{serial}.json")
            self.reload()
            self._private.destroy(purpose, serial)

    def end(self, fingerprint: str, at: datetime) -> KeyInfo:
        """Let the key be valid until just before `at`; it is kept, to open and to prove what it protected."""
        with self._private.lock, key_files.locked(self._folder):
            self.reload()
            old = self.find(fingerprint)
            start, made = times.from_text(old.valid_from), times.from_text(old.created)
            info = key_info.describe(
                old.purpose, old.serial, old.public, created=made, valid_from=start, valid_until=at
            )
            key_files.write(self._folder / f"{info.name}.json", info.encode())
            self.reload()
        return info

    def reload(self) -> None:
        """Read the public halves again: another process may have added a key."""
        self._infos = key_folder.read_infos(self._folder)

    def __repr__(self) -> str:
        return f"Keyring({len(self._infos)} keys)"

    def _cosigner(self, info: KeyInfo, name: str) -> checkpoint.Cosigner:
        now = int(self._clock().timestamp())
        mldsa = self._unlock(self._named(info, name)).mldsa
        if mldsa is not None:
            raw = key_info.raw_public("witness-pq", info.public)
            return checkpoint.Cosigner(name, raw, mldsa.sign, now, checkpoint.MLDSA44)
        signer = self._key_signer(info)
        return checkpoint.Cosigner(name, signer.public.raw, signer.sign, now)

    @staticmethod
    def _named(info: KeyInfo, name: str) -> KeyInfo:
        if info.purpose not in ("ledger", "witness", "witness-pq") or note.parse_vkey(info.public).name != name:
            raise Misuse(f"{info.label} was made for another name than '{name}'")
        return info

    def _composite(self, info: KeyInfo) -> CompositeSigner:
        signer = self._unlock(info).composite
        if signer is None:
            raise Misuse(f"{info.label} makes no composite signature")
        return signer

    def _key_signer(self, info: KeyInfo) -> Signer:
        signer = self._unlock(info).signer
        if signer is None:
            raise Misuse(f"{info.label} does not sign")
        return signer

    def _unlock(self, info: KeyInfo) -> Unlocked:
        return self._private.unlock(info)

    @property
    def _folder(self) -> Path:
        return self._private.folder
