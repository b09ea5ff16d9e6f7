"""Canonical JSON (RFC 8785): the one byte form of everything that is hashed or signed.

>>> encode({"b": 1, "a": "é"})
b'{"a":"\\xc3\\xa9","b":1}'
>>> decode(b'{"a":1}', limit=100)
{'a': 1}

`decode` accepts exactly what `encode` writes: it encodes again and compares, so duplicate keys, other orders, other
number forms, spare blanks and NaN all fail the same way.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Never, TypeAlias, cast

import rfc8785

from config.errors import Refused

Json: TypeAlias = "bool | int | str | Sequence[Json] | Mapping[str, Json] | None"
"""What we write: no floating point numbers anywhere."""

MAX_DEPTH = 16
"""Deepest nesting that is read: far more than any format of ours has, far less than harms the parser."""


class CanonicalError(Refused):
    """Bytes that are not one canonical JSON object of an allowed size."""

    reason = "not-canonical"


def encode(value: Json) -> bytes:
    """The RFC 8785 bytes of `value`; raises CanonicalError for what the form cannot hold."""
    try:
        return rfc8785.dumps(cast("Any", value))
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError):
        raise CanonicalError("a value cannot be written as canonical JSON") from None


def decode(data: bytes, *, limit: int) -> dict[str, Json]:
    """Read one canonical JSON object of at most `limit` bytes; raises CanonicalError."""
    if len(data) > limit:
        raise CanonicalError(f"a JSON object is larger than {limit} bytes")
    _refuse_depth(data)
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_refuse_number, parse_float=_refuse_number)
    except (ValueError, RecursionError):
        raise CanonicalError("bytes are not JSON") from None
    if not isinstance(value, dict):
        raise CanonicalError("the JSON is not an object")
    if encode(value) != data:
        raise CanonicalError("the JSON is not in canonical form (RFC 8785)")
    return value


def _refuse_number(_: str) -> Never:
    raise CanonicalError("the JSON holds a number that is not an integer")


def _refuse_depth(data: bytes) -> None:
    """Count brackets before parsing, so that hostile nesting never reaches a recursive parser."""
    if data.count(b"{") + data.count(b"[") <= MAX_DEPTH:
        return
    depth, in_string, escaped = 0, False, False
    for byte in data:
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise CanonicalError(f"the JSON is nested deeper than {MAX_DEPTH}")
        elif byte in b"]}":
            depth -= 1
