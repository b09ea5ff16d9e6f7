"""Bech32 (BIP 173), the spelling of age recipients and identities, without that paper's limit on length.

    hrp  1  data                          checksum
    age  1  zvkyg2lqzraa2lnjvqej32nku...  (6 characters)

The data part holds groups of five bits; the checksum covers the human-readable part too, so a recipient with a mistyped
character, or one cut short, is noticed. The separator is the *last* `1`: the part before it may hold others (`age1pq`).
Text is wholly lower or wholly upper case; the case is part of what `decode` gives back.

>>> encode("age", bytes(2))
'age1qqqqlpnwam'
>>> decode('age1qqqqlpnwam')
('age', b'\\x00\\x00')
>>> decode('age1qqqqlpnwaq') is None
True
"""

from collections.abc import Iterable

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUE = {character: value for value, character in enumerate(_ALPHABET)}
_DIGITS = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")
"""As Python spells numbers of base 32."""
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM_LENGTH = 6


def _combined(top: int) -> int:
    found = 0
    for place, generator in enumerate(_GENERATOR):
        found ^= generator * (top >> place & 1)
    return found


_GENERATORS = tuple(_combined(top) for top in range(32))
"""For each group that the checksum pushes out: everything that goes into it again."""

MAX_LENGTH = 4096
"""Longer text is refused unread. The longest of use, a post-quantum recipient, has 1,959 characters."""


def encode(hrp: str, data: bytes) -> str:
    """`data` under the human-readable part `hrp`, in the case of `hrp`: `decode(encode(h, d)) == (h, d)`."""
    bits = int.from_bytes(data, "big") << (-len(data) * 8 % 5)
    count = (len(data) * 8 + 4) // 5
    groups = [bits >> 5 * place & 31 for place in reversed(range(count))]
    check = _polymod([*_expand(hrp.lower()), *groups, *[0] * _CHECKSUM_LENGTH]) ^ 1
    groups += [check >> 5 * place & 31 for place in reversed(range(_CHECKSUM_LENGTH))]
    text = hrp.lower() + "1" + "".join(_ALPHABET[group] for group in groups)
    return text.upper() if hrp.isupper() else text


def decode(text: str) -> tuple[str, bytes] | None:
    """The human-readable part as spelt and the data, or None: whatever decodes, encodes to the same text."""
    if len(text) > MAX_LENGTH or not text.isascii():
        return None
    # SPEC: BIP 173: decoders must not accept strings of mixed case
    if text != text.lower() and text != text.upper():
        return None
    hrp, separator, tail = text.rpartition("1")
    tail = tail.lower()
    groups = [_VALUE.get(character, -1) for character in tail]
    if not hrp or not separator or len(groups) < _CHECKSUM_LENGTH or -1 in groups:
        return None
    # SPEC: BIP 173: the human-readable part has US-ASCII characters of values 33 to 126
    if any(not "!" <= character <= "~" for character in hrp):
        return None
    # Without a letter in it, nothing would tell how the rest was spelt.
    if text != text.lower() and not hrp.isupper():
        return None
    # SPEC: BIP 173: the checksum is over the lower case form
    if _polymod([*_expand(hrp.lower()), *groups]) != 1:
        return None
    data = _join(tail[:-_CHECKSUM_LENGTH])
    return None if data is None else (hrp, data)


def _join(groups: str) -> bytes | None:
    """Eight bits out of five, or None where the padding is longer than needed or not zero."""
    spare = len(groups) * 5 % 8
    bits = int(groups.translate(_DIGITS) or "0", 32)
    # SPEC: BIP 173: padding is at most 4 bits, all zero
    if spare > 4 or bits & (1 << spare) - 1:
        return None
    return (bits >> spare).to_bytes(len(groups) * 5 // 8, "big")


def _expand(hrp: str) -> list[int]:
    codes = [ord(character) for character in hrp]
    return [*(code >> 5 for code in codes), 0, *(code & 31 for code in codes)]


def _polymod(values: Iterable[int]) -> int:
    """BIP 173's checksum: a BCH code over GF(32)."""
    check = 1
    for value in values:
        check = (check & 0x1FFFFFF) << 5 ^ value ^ _GENERATORS[check >> 25]
    return check
