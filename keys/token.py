"""A token (a hardware security module, or SoftHSM) behind PKCS #11: Ed25519 keys are made in it and never leave it.

    Token --> pkcs11 module (a shared library) --> slot --> token with our label --> session, logged in --> key

PKCS #11 3.0: `CKM_EC_EDWARDS_KEY_PAIR_GEN` makes a key for the curve edwards25519, `CKM_EDDSA` without parameters signs
as RFC 8032 says: a signature from a token is like any other. Keys are made sensitive, not extractable and private.

A module is one thing for the whole process: whatever calls it holds its lock, as we promise it no thread safety. After
an error that may come of a token that was away the module is started afresh, once, and all sessions with it: a token
that comes back is found again, one that does not is TokenAway. A wrong PIN is tried once in the life of a process, and
never where it would be the last try before the token locks itself.
"""

import contextlib
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

from keys import token_uri
from keys.key_errors import ExposedKey, KeyProblem, MissingKey, NoTokens, SwappedKey, TokenAway, UnfitToken, WrongPin
from keys.openssh import RAW_BYTES, SIGNATURE_BYTES
from keys.secret import Secret
from keys.token_uri import TokenUri

if TYPE_CHECKING:
    import pkcs11
    from pkcs11 import Session, _pkcs11
    from pkcs11.types import SignMixin

T = TypeVar("T")

# SPEC: RFC 8410 3: id-Ed25519 is 1.3.101.112; PKCS #11 3.0 2.3.5 takes it, in DER, as CKA_EC_PARAMS
_ED25519 = bytes.fromhex("06032b6570")
# the point as an OCTET STRING (what tokens write), or bare (what the standard says since 3.0)
_OCTETS = bytes((0x04, RAW_BYTES))


class _Module:
    """One shared library in this process, and how often it has been started."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.life = 0


_modules: dict[str, _Module] = {}
_modules_lock = threading.Lock()


class Token:
    """The token that handover.toml names. Safe to use from several threads; shows nothing."""

    __slots__ = ("_ask", "_keys", "_label", "_life", "_module", "_path", "_pin", "_refused", "_sessions")

    def __init__(self, module: Path, label: str, pin: Callable[[], Secret]) -> None:
        """`pin` is called when the token is first needed."""
        self._path, self._label, self._ask = module, label, pin
        self._pin: Secret | None = None
        self._refused: KeyProblem | None = None
        self._sessions: dict[str, Session] = {}
        self._keys: dict[bytes, SignMixin] = {}
        self._life = -1
        with _modules_lock:
            self._module = _modules.setdefault(str(module), _Module())

    def __repr__(self) -> str:
        return "Token(…)"

    def check(self) -> None:
        """Whether the token is there, without its PIN; raises what keeps it from being used."""
        with self._module.lock, _translated():
            self._find(None)

    def log_in(self) -> None:
        """Whether it takes the PIN; raises what keeps it from being used."""
        self._within(self.place("", bytes(token_uri.ID_BYTES)), lambda _: None)

    def place(self, label: str, identity: bytes) -> TokenUri:
        """Where a new key will lie; raises what keeps it from being made."""
        with self._module.lock, _translated():
            token = self._find(None)
        return TokenUri(token.label, token.serial.decode("utf-8", "replace"), label, identity)

    def generate(self, place: TokenUri) -> bytes:
        """Make the key of that place, anew if there is one; returns its public half, 32 bytes."""

        def make(session: "Session") -> bytes:
            with _writing(session) as writing:
                _destroy(writing, place)
                return _generate(writing, place)

        return self._within(place, make)

    def sign(self, place: TokenUri, label: str, data: bytes) -> bytes:
        """The 64 bytes of RFC 8032 over `data`; `label` names the key in errors. Raises MissingKey, ExposedKey, …"""

        def make(session: "Session") -> bytes:
            if place.id not in self._keys:
                self._keys[place.id] = _private(session, place, label)
            return _sign(self._keys[place.id], data)

        return self._within(place, make)

    def destroy(self, place: TokenUri) -> None:
        """Delete both halves of the key of that place; one that is not there counts as deleted."""

        def delete(session: "Session") -> int:
            self._keys.pop(place.id, None)
            with _writing(session) as writing:
                return _destroy(writing, place)

        if self._within(place, delete) == 0:
            # a token that was taken away may look empty: only one that was looked for anew is believed
            self._restart()
            self._within(place, delete)

    def _within(self, place: TokenUri, work: Callable[["Session"], T]) -> T:
        """`work` with a session that is logged in; once more in a module that was started afresh if it fails."""
        with self._module.lock, _translated():
            try:
                return work(self._logged_in(place))
            except (_errors().PKCS11Error, MissingKey, TokenAway):
                # what has gone with the token comes back with it, but modules look for tokens only when they start
                self._restart()
            return work(self._logged_in(place))

    def _restart(self) -> None:
        with self._module.lock, contextlib.suppress(_errors().PKCS11Error):
            self._module.life += 1
            self._load().finalize()

    def _logged_in(self, place: TokenUri) -> "Session":
        if self._life != self._module.life:
            self._sessions, self._keys, self._life = {}, {}, self._module.life
        key = f"{place.token}/{place.serial}"
        if key not in self._sessions:
            self._sessions[key] = self._open(place)
        return self._sessions[key]

    def _open(self, place: TokenUri) -> "Session":
        if self._refused is not None:
            raise self._refused
        token = self._find(place)
        self._pin = self._pin or self._ask()
        error = _errors()
        try:
            return token.open(user_pin=self._pin.reveal())
        except error.UserAlreadyLoggedIn:
            # by another part of this process: who is logged in is one thing for all sessions
            return token.open()
        except (error.PinIncorrect, error.PinLenRange, error.PinInvalid):
            self._refused = WrongPin(
                "the token does not take the PIN",
                hint="give the right one where the wrong one came from; another wrong try may lock the token",
            )
            raise self._refused from None

    def _find(self, place: TokenUri | None) -> "pkcs11.Token":
        from pkcs11 import TokenFlag

        label = self._label if place is None else place.token
        found = [token for token in self._load().get_tokens() if token.label == label]
        if len(found) > 1 and place is not None:
            found = [token for token in found if token.serial == place.serial.encode()]
        if len(found) > 1:
            raise UnfitToken(f"there are {len(found)} tokens with the label {label!r}", hint="give them different ones")
        if not found:
            raise TokenAway(
                f"there is no token with the label {label!r}",
                hint="plug it in, or start its service; nothing is signed until then",
            )
        [token] = found
        if TokenFlag.USER_PIN_LOCKED in token.flags:
            raise WrongPin("the token is locked after too many wrong PINs", hint="unlock it with its own program")
        if TokenFlag.USER_PIN_FINAL_TRY in token.flags:
            raise WrongPin(
                "the token would lock itself after one more wrong PIN, so it is not tried",
                hint="log in with the token's own program first",
            )
        return token

    def _load(self) -> "_pkcs11.lib":
        error = _errors()
        from pkcs11 import lib

        _check_module(self._path)
        try:
            return lib(str(self._path))
        except error.PKCS11Error as problem:
            if type(problem) is not error.PKCS11Error:
                raise
            raise NoTokens(
                "the file that token.module names is no PKCS #11 module for this machine",
                hint="the token's own documentation says where its module lies",
            ) from None


def _errors() -> ModuleType:
    """The errors of the library; raises NoTokens where it is not installed."""
    try:
        from pkcs11 import exceptions
    except ModuleNotFoundError:
        raise NoTokens(
            "a key is in a token, and this installation cannot use tokens",
            hint="install the extra 'hsm': pip install 'handover[hsm]'",
        ) from None
    return exceptions


def _check_module(path: Path) -> None:
    """Whoever may write it could make it do anything with our PIN."""
    try:
        status = path.stat()
    except OSError as problem:
        raise NoTokens(
            f"the file that token.module names cannot be read: {problem.strerror}", hint="check it in handover.toml"
        ) from None
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ExposedKey(
            "the file that token.module names may be exchanged by others",
            hint="it must be ours or root's, and writable by nobody else",
        )


def _generate(session: "Session", place: TokenUri) -> bytes:
    from pkcs11 import Attribute, KeyType, Mechanism

    parameters = session.create_domain_parameters(KeyType.EC_EDWARDS, {Attribute.EC_PARAMS: _ED25519}, local=True)
    public, private = parameters.generate_keypair(
        store=True,
        id=place.id,
        label=place.label,
        mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
        private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.PRIVATE: True},
    )
    point = bytes(public[Attribute.EC_POINT])
    if not _never_left(private):
        raise UnfitToken("the token does not promise that a private key stays in it", hint="use another one")
    return point.removeprefix(_OCTETS) if len(point) == len(_OCTETS) + RAW_BYTES else point


def _private(session: "Session", place: TokenUri, label: str) -> "SignMixin":
    from pkcs11 import Attribute, ObjectClass
    from pkcs11.types import SignMixin

    found = list(session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.ID: place.id}))
    if not found:
        raise MissingKey(
            f"the private half of {label} is not in the token",
            hint="restore the token from its backup; without one, see 'A token is lost' in docs/token.md",
        )
    if len(found) > 1:
        raise SwappedKey(
            f"the token holds {len(found)} keys in the place of {label}", hint="find out who put them there"
        )
    [key] = found
    if not _never_left(key):
        raise ExposedKey(
            f"the private half of {label} can leave the token, or has been outside of it",
            hint="revoke it: 'handover keys revoke'",
        )
    if not isinstance(key, SignMixin):
        raise UnfitToken(f"the private half of {label} does not sign in this token", hint="use another one")
    return key


def _never_left(key: "pkcs11.Object") -> bool:
    from pkcs11 import Attribute

    inside = all(key[one] for one in (Attribute.SENSITIVE, Attribute.ALWAYS_SENSITIVE, Attribute.NEVER_EXTRACTABLE))
    return inside and not key[Attribute.EXTRACTABLE]


def _sign(key: "SignMixin", data: bytes) -> bytes:
    from pkcs11 import Mechanism

    signature = bytes(key.sign(data, mechanism=Mechanism.EDDSA))
    if len(signature) != SIGNATURE_BYTES:
        raise UnfitToken("the token made a signature that is none of Ed25519", hint="use another one")
    return signature


def _destroy(session: "Session", place: TokenUri) -> int:
    """Delete whatever lies at that place; returns how many objects did."""
    from pkcs11 import Attribute, ObjectClass

    number = 0
    for kind in (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY):
        for one in list(session.get_objects({Attribute.CLASS: kind, Attribute.ID: place.id})):
            one.destroy()
            number += 1
    return number


@contextlib.contextmanager
def _writing(session: "Session") -> Iterator["Session"]:
    """A session beside ours that may change the token; who is logged in is the same."""
    writing = session.token.open(rw=True)
    try:
        yield writing
    finally:
        writing.close()


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Every error of the library as one of ours."""
    error = _errors()
    try:
        yield
    except (error.PinLocked, error.PinExpired, error.UserPinNotInitialized):
        raise WrongPin("the token is locked, or its PIN was never set", hint="mend it with its own program") from None
    except (error.MechanismInvalid, error.MechanismParamInvalid, error.DomainParamsInvalid, error.TemplateInconsistent):
        raise UnfitToken("the token does not make Ed25519 keys", hint="use another one, or keys in files") from None
    except (error.TokenWriteProtected, error.SessionReadOnly):
        raise UnfitToken("the token cannot be written to", hint="use another one, or keys in files") from None
    except error.PKCS11Error as problem:
        raise TokenAway(
            f"the token does not answer as it should ({type(problem).__name__})",
            hint="see to the token and its service; nothing is signed until then",
        ) from None
