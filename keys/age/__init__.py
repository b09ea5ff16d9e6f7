"""age v1 files (https://c2sp.org/age): encryption to X25519 and post-quantum recipients, or a passphrase, streamed.

    file.py        Writer, Reader, encrypt, decrypt       header.py   which recipients; authenticated
    recipients.py  Recipient, Identity, parsing           stream.py   the payload in sealed chunks
    hybrid.py  x25519.py  scrypt.py  wrapping.py          armor.py    the same as text
    errors.py      one error per layer                    raw64.py  bech32.py  source.py

>>> import io
>>> identity = HybridIdentity.generate()
>>> sealed, opened = io.BytesIO(), io.BytesIO()
>>> encrypt(io.BytesIO(b"24 015 493"), sealed, [parse_recipient(str(identity.recipient()))])
>>> decrypt(io.BytesIO(sealed.getvalue()), opened, [parse_identity(str(identity))])
>>> opened.getvalue()
b'24 015 493'
"""

from keys.age.armor import ArmorReader, ArmorWriter
from keys.age.errors import AgeError, ArmorFailure, HeaderFailure, HMACFailure, InvalidKey, NoMatch, PayloadFailure
from keys.age.file import Reader, Writer, decrypt, encrypt
from keys.age.header import Stanza
from keys.age.hybrid import HybridIdentity, HybridRecipient
from keys.age.recipients import Identity, Recipient, fingerprint, parse_identities, parse_identity, parse_recipient
from keys.age.scrypt import ScryptIdentity, ScryptRecipient
from keys.age.x25519 import X25519Identity, X25519Recipient

__all__ = [
    "AgeError",
    "ArmorFailure",
    "ArmorReader",
    "ArmorWriter",
    "HMACFailure",
    "HeaderFailure",
    "HybridIdentity",
    "HybridRecipient",
    "Identity",
    "InvalidKey",
    "NoMatch",
    "PayloadFailure",
    "Reader",
    "Recipient",
    "ScryptIdentity",
    "ScryptRecipient",
    "Stanza",
    "Writer",
    "X25519Identity",
    "X25519Recipient",
    "decrypt",
    "encrypt",
    "fingerprint",
    "parse_identities",
    "parse_identity",
    "parse_recipient",
]
