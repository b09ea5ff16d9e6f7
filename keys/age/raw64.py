"""Unpadded canonical base64 (RFC 4648 4 and 3.5), the spelling of every binary value in an age header.

One value has exactly one spelling here: no `=`, no line feed, no blank, and the unused bits at its end are zero.

    3 bytes -> 4 characters      2 bytes -> 3      1 byte -> 2      a remainder of 1 character cannot occur

>>> encode(b"age"), encode(b"ag")
('YWdl', 'YWc')
>>> decode("YWc")
b'ag'
>>> decode("YWd") is None    # the same two bytes, with a stray bit
True
"""

import binascii


def encode(data: bytes) -> str:
    """`decode(encode(data)) == data`, always."""
    return binascii.b2a_base64(data, newline=False).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes | None:
    """The bytes that `text` is the one spelling of, or None if it is not one: `encode(decode(text)) == text`."""
    try:
        # SPEC: C2SP age, conventions: no padding characters
        data = binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except ValueError:
        return None
    # SPEC: RFC 4648 3.5: canonical, so unused bits are zero; comparing the spelling also refuses anything lenient above
    return data if encode(data) == text else None
