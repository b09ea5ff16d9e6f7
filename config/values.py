"""The kinds of value that `handover.toml` holds, each checked and written back in the same spelling.

Every kind is text, a number or a list in the file; here it gets its rule, the sentence that a person reads when the
rule is broken, and its place in the JSON schema.

>>> from pydantic import TypeAdapter
>>> TypeAdapter(Duration).validate_python("30s")
datetime.timedelta(seconds=30)
>>> TypeAdapter(Size).dump_python(10 * 2**30)
'10GiB'
"""

import ipaddress
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from config import units

T = TypeVar("T")

SLUG = r"^[a-z][a-z0-9-]{1,31}$"
"""Ids of organisations and agreements: safe as a folder, a user, a key name and a part of a URL."""


def a_problem(what: str) -> PydanticCustomError:
    """A mistake whose sentence is shown to the administrator as it is."""
    # pydantic would read braces as placeholders
    return PydanticCustomError("handover", "{what}", {"what": what})


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise a_problem("must be text in quotes")
    return value


def _reader(parse: Callable[[str], T]) -> BeforeValidator:
    def read(value: object) -> object:
        if isinstance(value, str):
            try:
                return parse(value)
            except units.BadUnit as problem:
                raise a_problem(problem.message) from None
        if isinstance(value, timedelta):  # a default, which is written in Python
            return value
        raise a_problem("must be text in quotes with a number and a unit")

    return BeforeValidator(read)


def _positive(value: timedelta) -> timedelta:
    if not value:
        raise a_problem("must be longer than zero")
    return value


def _not_empty(value: int) -> int:
    if not value:
        raise a_problem("must be larger than zero")
    return value


def _rule(pattern: str, what: str) -> BeforeValidator:
    compiled = re.compile(pattern, re.ASCII)

    def check(value: object) -> str:
        text = _text(value)
        if not compiled.fullmatch(text):
            raise a_problem(what)
        return text

    return BeforeValidator(check)


def _folder(value: object) -> Path:
    if isinstance(value, Path):
        return value
    text = _text(value)
    pure = PurePosixPath(text)
    if not text or any(ord(c) < 32 or ord(c) == 127 for c in text):
        raise a_problem("must be the name of a folder or file")
    if ".." in pure.parts or pure in (PurePosixPath("."), PurePosixPath("/")):
        raise a_problem('must lie below the home or be an absolute path; ".." is not allowed')
    return Path(text)


def _token_label(value: str) -> str:
    # PKCS #11 keeps 32 bytes for a label, and fills them up with blanks
    if not 1 <= len(value.encode()) <= 32 or value != value.strip() or any(ord(c) < 32 for c in value):
        raise a_problem("must be a label as the token has it: 1 to 32 bytes, no blank at its ends")
    return value


def _host(value: object) -> str:
    text = _text(value)
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        pass
    # SPEC: RFC 1123 2.1 labels of letters, digits and inner hyphens
    label = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    if len(text) > 253 or not re.fullmatch(rf"{label}(?:\.{label})*", text):
        raise a_problem("must be the name or the IP address of a host, without user, port or path")
    return text


def _listen(value: object) -> str:
    text = _text(value)
    match = re.fullmatch(r"(127\.0\.0\.1|localhost|\[::1\]):([0-9]{1,5})", text)
    if match is None or int(match[2]) > 65535:
        raise a_problem('must be "127.0.0.1:PORT" or "[::1]:PORT": the embedded server is for this machine only')
    return text


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


# An OpenSSH public key line: type, base64, perhaps a comment. What it holds is checked where it is used.
_KEY_LINE = r"(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) [A-Za-z0-9+/]{16,2000}={0,2}(?: [^\n]{0,200})?"

Slug = Annotated[
    str,
    _rule(SLUG, "must be 2 to 32 small letters, digits and hyphens, and begin with a letter"),
    WithJsonSchema({"type": "string", "pattern": SLUG}),
]
Duration = Annotated[
    timedelta,
    _reader(units.parse_duration),
    AfterValidator(_positive),
    PlainSerializer(units.duration_text),
    WithJsonSchema({"type": "string", "pattern": r"^[1-9][0-9]*(ms|s|m|h|d|w)$", "x-kind": "duration"}),
]
KeepFor = Annotated[
    timedelta,
    _reader(units.parse_keep),
    PlainSerializer(units.keep_text),
    WithJsonSchema({"type": "string", "pattern": r"^(none|[1-9][0-9]*(ms|s|m|h|d|w))$", "x-kind": "duration or none"}),
]
Size = Annotated[
    int,
    _reader(units.parse_size),
    AfterValidator(_not_empty),
    PlainSerializer(units.size_text),
    WithJsonSchema({"type": "string", "pattern": r"^[1-9][0-9]*(B|KiB|MiB|GiB|TiB)$", "x-kind": "size"}),
]
Folder = Annotated[
    Path, BeforeValidator(_folder), PlainSerializer(str), WithJsonSchema({"type": "string", "minLength": 1})
]
Host = Annotated[str, BeforeValidator(_host)]
Port = Annotated[int, Field(ge=1, le=65535)]
Listen = Annotated[str, BeforeValidator(_listen)]
Pattern = Annotated[
    str,
    _rule(
        r"(?:[A-Za-z0-9._/-]|\{partner\}){1,255}",
        'must be letters, digits, ".", "_", "-", "/" and the placeholder {partner}',
    ),
]
CredentialName = Annotated[
    str, _rule(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", "must be letters, digits, dots, hyphens and underscores")
]
TokenLabel = Annotated[str, AfterValidator(_token_label)]
HostKeys = Annotated[
    tuple[Annotated[str, _rule(_KEY_LINE, "must be a public key line such as ssh-ed25519 AAAA…")], ...],
    BeforeValidator(_tuple),
]
# A name, then a public key line without comment. What the key is worth is checked where it is used.
_ADMINISTRATOR = r"[a-z][a-z0-9-]{1,31} (?:ssh-ed25519|sk-ssh-ed25519@openssh\.com) [A-Za-z0-9+/]{16,2000}={0,2}"
Administrators = Annotated[
    tuple[
        Annotated[str, _rule(_ADMINISTRATOR, "must be a name and a public key such as casework ssh-ed25519 AAAA…")], ...
    ],
    BeforeValidator(_tuple),
]
Webhook = Annotated[str, _rule(r"https?://[!-~]{1,500}", "must be a URL that begins with http:// or https://")]
PostQuantum = Annotated[
    tuple[Literal["encryption", "key-exchange", "signature"], ...],
    BeforeValidator(_tuple),
]
Texts = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_tuple)]
