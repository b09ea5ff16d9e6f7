"""Keys whose private half lies in a token: instead of `<purpose>-<serial>.age` there is `<purpose>-<serial>.token`.

    make      .token is written, with a fresh id  ->  the token makes the key under that id  ->  .json is written
    destroy   the token deletes the key  ->  .token is removed

So whatever a crash leaves in the token has a file that says where, and can be made anew or destroyed.
The file is one line, a PKCS #11 URI (`keys.token_uri`): no secret, and no choice either. Whatever key lies at that
place has to fit the public half in `.json`, and every signature is checked with that before anybody gets it.
"""

import secrets
from dataclasses import dataclass
from pathlib import Path

from config.errors import Misuse
from keys import key_files, private_keys, token_uri
from keys.key_errors import DamagedKey, NoTokens, SwappedKey
from keys.key_info import KeyInfo, Purpose, raw_public
from keys.openssh import BadKey, PublicKey
from keys.token import Token
from keys.token_uri import TokenUri

PURPOSES: tuple[Purpose, ...] = ("signing", "ledger", "witness")
"""What a token can do for us: sign. Files are opened, and SSH is spoken, with keys in memory."""

_PROBE = b"does the key in the token fit its public half?"


@dataclass(frozen=True, slots=True, repr=False)
class TokenSigner:
    """A Signer whose private half is in a token."""

    public: PublicKey
    token: Token
    place: TokenUri
    label: str

    def sign(self, data: bytes) -> bytes:
        """The 64 bytes of RFC 8032 over `data`, checked; raises SwappedKey if another key answered, or TokenAway."""
        signature = self.token.sign(self.place, self.label, data)
        if not self.public.accepts(signature, data):
            raise SwappedKey(
                f"the key in the token in the place of {self.label} is another one",
                hint="find out who exchanged them; restore the token from its backup",
            )
        return signature

    def __repr__(self) -> str:
        return f"TokenSigner({self.public.fingerprint})"


def file_of(folder: Path, name: str) -> Path:
    """The file that says where in a token a private half lies; whether there is one says whether it does."""
    return folder / f"{name}.token"


def place_of(folder: Path, name: str, label: str) -> TokenUri | None:
    """Where in a token the private half of a key lies; None if not in one. Raises DamagedKey and KeyProblems."""
    file = file_of(folder, name)
    if not file.is_symlink() and not file.exists():
        return None
    text = key_files.read(file, f"the place of {label}")
    try:
        return token_uri.parse(text.decode("ascii").removesuffix("\n"))
    except (token_uri.BadUri, UnicodeDecodeError):
        raise DamagedKey(
            f"the file that says where in the token {label} lies is damaged",
            hint="restore it from the backup of the keys",
        ) from None


def signer(token: Token | None, info: KeyInfo, place: TokenUri) -> TokenSigner:
    """The key at that place, tried out; raises what keeps it from being used."""
    public = PublicKey(raw_public(info.purpose, info.public))
    made = TokenSigner(public, _configured(token, info.label), place, info.label)
    made.sign(_PROBE)
    return made


def check(token: Token | None, purpose: Purpose) -> None:
    """Raise what keeps a key of that purpose from being made in the token."""
    if purpose not in PURPOSES:
        raise Misuse(f"the {purpose} key cannot be in a token", hint=f"only these can: {', '.join(PURPOSES)}")
    if token is None:
        raise NoTokens("handover.toml names no token", hint="set token.module and token.label")
    token.log_in()


def make(token: Token | None, folder: Path, name: str, purpose: Purpose, organisation: str, label: str) -> str:
    """A new key in the token; returns its public half as `KeyInfo.public`. What a crash has left of it is made anew."""
    check(token, purpose)
    there = _configured(token, label)
    place = place_of(folder, name, label) or there.place(
        f"{organisation} {label}", secrets.token_bytes(token_uri.ID_BYTES)
    )
    key_files.write(file_of(folder, name), f"{place}\n".encode())
    raw = there.generate(place)
    try:
        return private_keys.public_half(purpose, organisation, PublicKey(raw))
    except BadKey:
        raise DamagedKey("the token made a key that is none of Ed25519", hint="use another token") from None


def destroy(token: Token | None, folder: Path, name: str, label: str) -> None:
    """Delete the key in the token, then the file that says where; what is not there counts as deleted."""
    place = place_of(folder, name, label)
    if place is not None:
        _configured(token, label).destroy(place)
        key_files.remove(file_of(folder, name))


def _configured(token: Token | None, label: str) -> Token:
    if token is None:
        raise NoTokens(f"{label} is in a token, and handover.toml names none", hint="set token.module and token.label")
    return token
