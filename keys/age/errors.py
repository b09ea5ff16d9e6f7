"""What can be wrong with an age file, as the published test vectors tell it apart.

Each class is one outcome of the C2SP CCTV age vectors, so a caller can act on the layer that failed: the armour, the
header's grammar, the keys, the header's authentication code, the payload. Keys given as text have one of their own.

>>> NoMatch("none of our keys opens this file").reason
'age-no-match'
"""

from config.errors import Refused


class AgeError(Refused):
    """Root of everything that reading, writing and parsing age material raises on purpose."""

    reason = "age"


class ArmorFailure(AgeError):
    """The ASCII armour is not strict PEM with the age label."""

    reason = "age-armor"


class HeaderFailure(AgeError):
    """The header does not follow the grammar, or a stanza addressed to us is malformed."""

    reason = "age-header"


class NoMatch(AgeError):
    """The header is well formed, but no identity opens any of its stanzas."""

    reason = "age-no-match"


class HMACFailure(AgeError):
    """A file key was found, but the header's authentication code does not match it: the header was altered."""

    reason = "age-header-mac"


class PayloadFailure(AgeError):
    """The payload is altered, cut short, or followed by something else."""

    reason = "age-payload"


class InvalidKey(AgeError):
    """A recipient, identity or passphrase is not usable: misspelt, of an unknown kind, weak, or wrongly combined."""

    reason = "age-key"
