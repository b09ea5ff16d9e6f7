"""A composite private key as OpenSSH keeps it in a file (`openssh-key-v1`), without a passphrase of its own.

Specification: OpenSSH PROTOCOL.key, with the key type of `keys.composite`.

    -----BEGIN OPENSSH PRIVATE KEY-----
    base64, 70 columns
    -----END OPENSSH PRIVATE KEY-----

    "openssh-key-v1" 00 | string "none" | string "none" | string "" | uint32 1 | string public blob | string section
    section    uint32 check | uint32 check | public blob | string seed (64 bytes) | string comment | padding
    padding    01 02 03 … up to a multiple of 8 bytes

What is read is narrower: no cipher, one key, the two halves of which fit; `ssh-keygen -p` removes a passphrase.

>>> from keys.composite import CompositeSigner
>>> signer = CompositeSigner.from_seed(bytes(64))
>>> text = encode(signer)
>>> text.split(b"\\n")[0], decode(text).public == signer.public, encode(decode(text)) == text
(b'-----BEGIN OPENSSH PRIVATE KEY-----', True, True)
"""

import base64
import hmac

from keys.composite import CompositeKey, CompositeSigner
from keys.openssh import BadKey, put_string, take_string

MAGIC = b"openssh-key-v1\x00"
BEGIN, END = b"-----BEGIN OPENSSH PRIVATE KEY-----\n", b"-----END OPENSSH PRIVATE KEY-----\n"
COLUMNS = 70
BLOCK = 8

MAX_FILE = 8 * 1024
"""Longest file that is read: one key takes 4 KB, and a comment."""

_UNENCRYPTED = put_string(b"none") * 2 + put_string(b"")
_ONE = (1).to_bytes(4, "big")
# the check number tells a wrong passphrase; where there is none, any number will do
_CHECK = bytes(4)


def encode(signer: CompositeSigner) -> bytes:
    """The text of the file: a secret."""
    blob = signer.public.blob
    section = _CHECK * 2 + blob + put_string(signer.seed) + put_string(b"")
    section += bytes(range(1, 1 + -len(section) % BLOCK))
    body = base64.b64encode(MAGIC + _UNENCRYPTED + _ONE + put_string(blob) + put_string(section))
    lines = (body[at : at + COLUMNS] for at in range(0, len(body), COLUMNS))
    return BEGIN + b"".join(line + b"\n" for line in lines) + END


def decode(text: bytes) -> CompositeSigner:
    """The signer; raises BadKey, which never holds anything of the file."""
    if len(text) > MAX_FILE or not text.startswith(BEGIN) or not text.endswith(END):
        raise BadKey("a file is not an OpenSSH private key")
    try:
        data = base64.b64decode(text[len(BEGIN) : -len(END)].replace(b"\n", b""), validate=True)
    except ValueError:
        raise BadKey("a private key is not base64") from None
    # SPEC: PROTOCOL.key 1 overall format: magic, cipher, kdf, kdf options, number of keys, public key, private section
    head = MAGIC + _UNENCRYPTED + _ONE
    if not data.startswith(head):
        raise BadKey("a private key has a passphrase of its own, or is not a single key")
    blob, rest = take_string(data[len(head) :])
    section, rest = take_string(rest)
    if rest or len(section) % BLOCK or section[:4] != section[4:8]:
        raise BadKey("a private key is damaged")
    public = CompositeKey.from_blob(blob)
    if not section[8:].startswith(blob):
        raise BadKey("a private key names another public key than its file")
    seed, rest = take_string(section[8 + len(blob) :])
    _, padding = take_string(rest)
    if padding != bytes(range(1, 1 + len(padding))):
        raise BadKey("a private key is damaged")
    signer = CompositeSigner.from_seed(seed)
    if not hmac.compare_digest(signer.public.raw, public.raw):
        raise BadKey("a private key does not fit the public key in its file")
    return signer
