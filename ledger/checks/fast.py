"""Reads most entries at a glance: one regular expression that only canonical entries of version 1 match.

The strict reader (`ledger/entry.py`) decodes and encodes again, which for a million entries takes minutes. This one
takes seconds and says None to whatever it is not sure of: then the strict one decides. Invariant, which a test holds
against it: `read(data)` is None or equals `parse(data).to_json()`.

The fields of a canonical object come in one order, so the expression lists them in that order, each with its form.
Texts in `detail` are limited to plain ASCII without escapes, where canonical and literal spelling are the same.

>>> read(b'{"actor":"daemon","at":"2026-11-23T10:15:00.123Z","event":"sent","seq":7,"v":1}')["seq"]
7
>>> read(b'{"actor":"daemon","at":"2026-11-23T10:15:00.123Z","event":"sent","seq":07,"v":1}') is None
True
"""

import json
import re
from itertools import pairwise
from typing import Any

_WORD = r"[a-z][a-z0-9-]"
MAX_FAST = 4096
"""Longer entries are rare, and an expression should not be run over them."""

_NUMBER = r"(?:0|[1-9][0-9]{0,14}+)"
_STRING = r'"[ !#-\[\]-~]*+"'
_LIST = rf"\[(?:{_STRING}(?:,{_STRING})*+)?\]"
_VALUE = rf"(?:{_STRING}|{_NUMBER}|true|false|null|{_LIST})"
_COMMITTED = r'"[a-z][a-z0-9_]{0,31}+":"[0-9a-f]{64}"'
_DETAIL = rf'"[a-z0-9_]++":{_VALUE}'
_DAY = (
    r"(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
    r"|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
)  # the 29th of February is left to the strict reader
_TIME = rf"[1-9][0-9]{{3}}-{_DAY}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{{3}}Z"
_ID = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"

_FIELDS = (
    ("actor", rf'"(?P<actor>{_WORD}{{0,31}}+)"', True),
    ("at", rf'"(?P<at>{_TIME})"', True),
    ("authority", r'"(?P<authority>[A-Z][0-9]{8})"', False),
    ("bytes", rf"(?P<bytes>{_NUMBER})", False),
    ("category", rf'"(?P<category>{_WORD}{{0,63}}+)"', False),
    ("committed", rf"(?P<committed>\{{{_COMMITTED}(?:,{_COMMITTED})*+\}})", False),
    ("detail", rf"(?P<detail>\{{{_DETAIL}(?:,{_DETAIL})*+\}})", False),
    ("direction", r'"(?P<direction>in|out)"', False),
    ("envelope_sha256", r'"(?P<envelope_sha256>[0-9a-f]{64})"', False),
    ("event", rf'"(?P<event>{_WORD}{{0,31}}+(?:\.{_WORD}{{0,31}}+)?)"', True),
    ("handover", rf'"(?P<handover>{_ID})"', False),
    ("key", r'"(?P<key>[!#-\[\]-~]{1,255}+)"', False),
    ("partner", rf'"(?P<partner>{_WORD}{{0,31}}+)"', False),
    ("seq", rf"(?P<seq>{_NUMBER})", True),
)
_ENTRY = "".join(f'"{name}":{form},' if required else f'(?:"{name}":{form},)?+' for name, form, required in _FIELDS)
_MATCH = re.compile(rf'\{{{_ENTRY}"v":1\}}').fullmatch


_NAMES = tuple(name for name, _, _ in _FIELDS)
_PAIRS = re.compile(r'"([a-z0-9_]+)":"([0-9a-f]{64})"').findall
_INNER = re.compile(r'"([a-z0-9_]+)":').findall  # texts hold no quotes here, so only names look like this
_decode = json.JSONDecoder().raw_decode


def read(data: bytes) -> dict[str, Any] | None:
    """The fields of an entry, or None: not sure, ask the strict reader."""
    if len(data) > MAX_FAST or not data.isascii():
        return None
    found = _MATCH(data.decode("ascii"))
    if found is None:
        return None
    record: dict[str, Any] = {
        name: value for name, value in zip(_NAMES, found.groups(), strict=True) if value is not None
    }
    record["seq"] = int(record["seq"])
    record["v"] = 1
    if "bytes" in record:
        record["bytes"] = int(record["bytes"])
    if "committed" in record:
        pairs = _PAIRS(record["committed"])
        record["committed"] = dict(pairs)
        if not _rising([name for name, _ in pairs]):
            return None
    if "detail" in record:
        names = _INNER(record["detail"])
        record["detail"] = _decode(record["detail"])[0]
        if not _rising(names):
            return None
    if "handover" in record and not ("partner" in record and "direction" in record):
        return None
    return record


def _rising(names: list[str]) -> bool:
    """Whether names are in canonical order, each once."""
    return len(names) == 1 or all(before < after for before, after in pairwise(names))
