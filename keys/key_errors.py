"""What can be wrong with our own keys, each with its own words and its own next step.

    KeyProblem (Misuse)       MissingKey  UnreadableKey  DamagedKey  ExposedKey  ForeignOwner  WrongPassphrase
                              NoTokens  WrongPin  UnfitToken
    SwappedKey (Tampered)     the private half belongs to another public half, or a file to another purpose
    TokenAway (NotNow)        the hardware module that holds a key is not there
    KeyNotYetValid, KeyExpired (NotNow)    nothing is wrong with what is signed, sealed or opened: it waits

`what` in a message is `signing key 2` or `the key folder`: never a path, never anything of what a file holds.
"""

from config.errors import Misuse, NotNow, Tampered


class KeyProblem(Misuse):
    """Our own keys cannot be used as they are; an administrator has to mend something first."""


class MissingKey(KeyProblem):
    """A key, half of one, or the whole folder is not there."""


class UnreadableKey(KeyProblem):
    """A file is there, but the system does not let us read it."""


class DamagedKey(KeyProblem):
    """A file can be read, but is not what was once written."""


class ExposedKey(KeyProblem):
    """Somebody other than the owner may read or replace a key."""


class ForeignOwner(KeyProblem):
    """A file belongs to another user, who can do with it what he likes."""


class WrongPassphrase(KeyProblem):
    """The passphrase does not open a private key."""


class SwappedKey(Tampered):
    """A private key is not the one whose public half stands beside it."""


class KeyNotYetValid(NotNow):
    """Every key of that purpose becomes valid later."""


class KeyExpired(NotNow):
    """The last key of that purpose has ended."""


class NoTokens(KeyProblem):
    """A key is to be in a token, and this installation or its settings cannot reach one."""


class WrongPin(KeyProblem):
    """The token does not take the PIN, or is locked after too many wrong ones."""


class UnfitToken(KeyProblem):
    """A token is there, but cannot hold our keys: another one, too many, read-only, without Ed25519."""


class TokenAway(NotNow):
    """The token is not there, or does not answer: nothing is signed until it is."""
