"""The private halves of our keys, wherever each lies: made, unlocked once, destroyed.

    <purpose>-<serial>.age      in this file, under the passphrase
    <purpose>-<serial>.token    in a token, at the place that this file names (`keys.token_keys`)

The passphrase is asked for when one of the former is first needed, then kept; for the latter it is not needed.
"""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from keys import at_rest, key_files, private_keys, token_keys
from keys.key_info import KeyInfo, Purpose
from keys.private_keys import Encryption
from keys.secret import Secret
from keys.token import Token
from keys.unlocked import Unlocked, try_out


class PrivateHalves:
    """What lies in one key folder. Safe to use from several threads; `lock` keeps them from each other."""

    __slots__ = ("_ask", "_passphrase", "_token", "_unlocked", "_work_factor", "folder", "lock")

    def __init__(self, folder: Path, ask: Callable[[], Secret], work_factor: int, token: Token | None) -> None:
        self.folder, self._ask, self._work_factor, self._token = folder, ask, work_factor, token
        self.lock = threading.RLock()
        self._passphrase: Secret | None = None
        self._unlocked: dict[str, Unlocked] = {}

    def unlock(self, info: KeyInfo, *, anew: bool = False) -> Unlocked:
        """The private half of `info`, unlocked and tried out once; raises what is wrong with it."""
        with self.lock:
            if anew:
                self._unlocked.pop(info.name, None)
            if info.name not in self._unlocked:
                place = token_keys.place_of(self.folder, info.name, info.label)
                if place is not None:
                    # the keys that a token holds are all used in the same way: to sign
                    signer = token_keys.signer(self._token, info, place)
                    self._unlocked[info.name] = Unlocked(b"", signer)
                else:
                    self._unlocked[info.name] = try_out(info, self._native(info))
            return self._unlocked[info.name]

    def at_hand(self, info: KeyInfo) -> Unlocked | None:
        """The same if it is unlocked already."""
        return self._unlocked.get(info.name)

    def check(self, info: KeyInfo) -> None:
        """Raise what can be told of it without unlocking anything: that it is missing, say, or no age file."""
        if token_keys.place_of(self.folder, info.name, info.label) is None:
            what = f"the private half of {info.label}"
            at_rest.check(key_files.read(self._file(info.name), what), info.label)

    def make(
        self,
        purpose: Purpose,
        serial: int,
        organisation: str,
        encryption: Encryption,
        others: Iterable[KeyInfo],
        *,
        in_token: bool,
    ) -> str:
        """A new one; returns the public half as `KeyInfo.public`. What a crash has left of it is made anew."""
        name, label = f"{purpose}-{serial}", f"{purpose} key {serial}"
        if in_token:
            public = token_keys.make(self._token, self.folder, name, purpose, organisation, label)
            key_files.remove(self._file(name))
            return public
        passphrase = self._proven_passphrase(others)
        token_keys.destroy(self._token, self.folder, name, label)
        public, native = private_keys.generate(purpose, organisation, encryption)
        key_files.write(self._file(name), at_rest.lock(native, passphrase, work_factor=self._work_factor))
        return public

    def destroy(self, purpose: Purpose, serial: int) -> None:
        """Delete one for ever. Destroyed already is destroyed."""
        name = f"{purpose}-{serial}"
        self._unlocked.pop(name, None)
        token_keys.destroy(self._token, self.folder, name, f"{purpose} key {serial}")
        key_files.remove(self._file(name))

    def place(self, info: KeyInfo) -> str | None:
        """Where it is: `file`, the URI of its place in a token, or None after it was destroyed."""
        place = token_keys.place_of(self.folder, info.name, info.label)
        return str(place) if place is not None else "file" if self._file(info.name).exists() else None

    def check_token(self, purpose: Purpose) -> None:
        """Raise what keeps a key of that purpose from being made in the token."""
        token_keys.check(self._token, purpose)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.age"

    def _native(self, info: KeyInfo) -> bytes:
        sealed = key_files.read(self._file(info.name), f"the private half of {info.label}")
        passphrase = self._passphrase or self._ask()
        native = at_rest.unlock(sealed, passphrase, info.label)
        self._passphrase = passphrase
        return native

    def _proven_passphrase(self, others: Iterable[KeyInfo]) -> Secret:
        """The passphrase, after it has opened a key that is there: a slip must not lock the new key for ever."""
        locked = (info for info in others if self.place(info) == "file")
        if self._passphrase is None and (first := next(locked, None)) is not None:
            self.unlock(first)
        if self._passphrase is None:
            self._passphrase = self._ask()
        return self._passphrase
