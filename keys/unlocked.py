"""A private key in memory: unlocked, tried out, and as what it is used for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from keys import age, private_keys
from keys.age.header import Stanza
from keys.composite import CompositeSigner
from keys.key_errors import DamagedKey, MissingKey, SwappedKey
from keys.key_info import KeyInfo
from keys.openssh import KeySigner, Signer


@dataclass(frozen=True, slots=True, repr=False)
class Unlocked:
    """As it was stored (nothing, if in a token), and the one thing that it is: the others are None."""

    native: bytes
    signer: Signer | None = None
    identity: age.Identity | None = None
    composite: CompositeSigner | None = None
    mldsa: MLDSA44PrivateKey | None = None


@dataclass(frozen=True, slots=True)
class LateIdentity:
    """An encryption key that is unlocked when a file turns up that none of the unlocked ones opens.

    So an old key that is missing or damaged keeps only those files waiting that may have been sealed to it: asked for
    one, it raises what is wrong with it, and never says that the file is not for us.
    """

    info: KeyInfo
    unlock: Callable[[KeyInfo], Unlocked]

    @property
    def kind(self) -> str:
        """See age.Identity."""
        return self.recipient().kind

    def recipient(self) -> age.Recipient:
        """See age.Identity."""
        return age.parse_recipient(self.info.public)

    def unwrap(self, stanzas: Sequence[Stanza]) -> bytes | None:
        """See age.Identity; raises a KeyProblem, SwappedKey or NotNow too."""
        identity = self.unlock(self.info).identity
        if identity is None:
            raise MissingKey(f"{self.info.label} opens nothing", hint="restore it from the backup of the keys")
        return identity.unwrap(stanzas)


def try_out(info: KeyInfo, native: bytes) -> Unlocked:
    """The key, if it works and is the one whose public half `info` is; raises SwappedKey or DamagedKey."""
    try:
        return _load(info, native)
    except private_keys.NotThisKey:
        raise SwappedKey(
            f"the private half of {info.label} does not fit its public half",
            hint="restore both from the backup of the keys; find out who exchanged them",
        ) from None
    except private_keys.NotAKey as error:
        raise DamagedKey(
            f"the private half of {info.label} is damaged: {error.message}",
            hint="restore it from the backup of the keys",
        ) from None


def _load(info: KeyInfo, native: bytes) -> Unlocked:
    match info.purpose:
        case "encryption":
            return Unlocked(native, identity=private_keys.load_identity(info.public, native))
        case "signing-pq":
            return Unlocked(native, composite=private_keys.load_composite(info.public, native))
        case "witness-pq":
            return Unlocked(native, mldsa=private_keys.load_mldsa(info.public, native))
        case _:
            return Unlocked(native, KeySigner(private_keys.load_ed25519(info.purpose, info.public, native)))
