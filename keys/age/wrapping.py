"""How every native recipient type wraps the 16-byte file key once its own 32-byte key is agreed, and what it checks.

    body of the stanza (32 bytes) = ChaCha20-Poly1305(wrap key, nonce = 12 zero bytes, file key)

A zero nonce is safe because a wrap key is used for one stanza only. The body's length is checked *before* decryption: a
longer one could be made to fit two keys at once and would tell its sender which of them we hold (partitioning oracle).
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from keys.age import raw64
from keys.age.errors import HeaderFailure
from keys.age.header import FILE_KEY_SIZE, Stanza

BODY_SIZE = FILE_KEY_SIZE + 16
_NONCE = bytes(12)


def wrap(wrap_key: bytes, file_key: bytes) -> bytes:
    """The body of a stanza: `unwrap(k, wrap(k, f)) == f`."""
    return ChaCha20Poly1305(wrap_key).encrypt(_NONCE, file_key, None)


def unwrap(wrap_key: bytes, body: bytes) -> bytes | None:
    """The file key, or None where the stanza is for somebody else."""
    try:
        return ChaCha20Poly1305(wrap_key).decrypt(_NONCE, body, None)
    except InvalidTag:
        return None


def check(stanza: Stanza, arguments: int) -> None:
    """Refuse a stanza of a known type with another number of arguments (its type counts), or a body of another size."""
    if len(stanza.args) != arguments:
        raise HeaderFailure(f"a stanza of type {stanza.type} has {len(stanza.args)} arguments instead of {arguments}")
    if len(stanza.body) != BODY_SIZE:
        raise HeaderFailure(f"a stanza of type {stanza.type} does not hold a file key of {FILE_KEY_SIZE} bytes")


def argument(stanza: Stanza, place: int, size: int) -> bytes:
    """The binary argument at `place`, of exactly `size` bytes in canonical base64; HeaderFailure otherwise."""
    value = raw64.decode(stanza.args[place])
    if value is None or len(value) != size:
        raise HeaderFailure(
            f"a stanza of type {stanza.type} does not hold {size} bytes of canonical base64 where it should"
        )
    return value
