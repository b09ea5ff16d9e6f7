"""Where a private key lies in a token: a PKCS #11 URI (RFC 7512), in one spelling, never with a PIN.

    pkcs11:token=LABEL;serial=SERIAL;object=LABEL;id=%xx…;type=private

Everything but letters, digits and `-._~` is percent-encoded, as UTF-8; every octet of the id is. The id tells our
keys apart: sixteen random bytes for each. The serial number tells two tokens of one label apart. The object's label
is for people who look into the token with other programs. Such programs take the URI as it is (`p11tool`).

>>> place = TokenUri("handover", "a36c8b41", "lgsco signing key 2", bytes(range(16)))
>>> print(place)
pkcs11:token=handover;serial=a36c8b41;object=lgsco%20signing%20key%202;id=%00%01%02%03%04%05%06%07%08%09%0A%0B%0C%0D%0E%0F;type=private
>>> parse(str(place)) == place
True
>>> parse(str(place) + "?pin-value=1234")
Traceback (most recent call last):
keys.token_uri.BadUri: a place in a token is not written as Handover writes it
"""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from config.errors import Refused

ID_BYTES = 16
"""Length of the id of an object: so many random bytes never meet again."""

MAX_URI = 1024
"""Longest text that is read: labels and serial numbers are at most 32 bytes, three characters for each."""

_PART = r"((?:[A-Za-z0-9._~-]|%[0-9A-F]{2})*)"
# SPEC: RFC 7512 2.3 pk11-path: attributes of the token and of the object, divided by semicolons
_URI = re.compile(
    rf"pkcs11:token={_PART};serial={_PART};object={_PART};id=((?:%[0-9A-F]{{2}}){{{ID_BYTES}}});type=private"
)


class BadUri(Refused):
    """A text is no place in a token."""

    reason = "not-a-token-uri"


@dataclass(frozen=True, slots=True)
class TokenUri:
    """A private key's place: `token` and `serial` as the token says them, `label` and `id` of the object."""

    token: str
    serial: str
    label: str
    id: bytes

    def __str__(self) -> str:
        identity = "".join(f"%{octet:02X}" for octet in self.id)
        parts = (quote(part, safe="") for part in (self.token, self.serial, self.label))
        return "pkcs11:token={};serial={};object={};id={};type=private".format(*parts, identity)


def parse(text: str) -> TokenUri:
    """Read a place; `str(parse(text)) == text`, or BadUri."""
    found = _URI.fullmatch(text) if len(text) <= MAX_URI else None
    if found is None:
        raise BadUri("a place in a token is not written as Handover writes it")
    token, serial, label, identity = (unquote_to_bytes(part) for part in found.groups())
    try:
        place = TokenUri(token.decode("utf-8"), serial.decode("utf-8"), label.decode("utf-8"), identity)
    except UnicodeDecodeError:
        raise BadUri("a place in a token is not written in UTF-8") from None
    if str(place) != text:
        raise BadUri("a place in a token is not written as Handover writes it")
    return place
