"""Reads the file of an agreement: TOML, strict, every mistake at once with its line.

    id, version, title          who it is; both sides must hold the identical file
    parties                     ids of two or more organisations
    in_force, review            dates; review may be left out
    [gateways]                  CODE = "the legal power, in words"
    [[flows]]                   one for each kind of concern
        category, title, sender, recipient, when
        types, max_size         kinds of file, and the largest
        gateways                codes from [gateways]
        reference               "required" or "optional"
        reference_pattern       see config.agreement.reference
        receipt_deadline        a duration
        retention               how long the recipient keeps it: a duration; may be left out
        keep_sent               how long the sender keeps the original: a duration or "none"; may be left out

>>> parse(b'id = "Ofsted"', "my.toml").id
Traceback (most recent call last):
config.toml.BadFile: my.toml has 7 mistakes
  my.toml:1: flows: is missing
  my.toml:1: gateways: is missing
  my.toml:1: id: must be 2 to 32 small letters, digits and hyphens, and begin with a letter
  my.toml:1: in_force: is missing
  my.toml:1: parties: is missing
  my.toml:1: title: is missing
  my.toml:1: version: is missing
"""

import datetime
import hashlib
from collections.abc import Sequence

from config import toml
from config.agreement.model import MEDIA_TYPES, Agreement, Flow
from config.agreement.reference import is_pattern
from config.agreement.table import CATEGORY, GATEWAY, SLUG, VERSION, Table
from config.units import parse_duration, parse_keep, parse_size

MAX_FLOWS = 64
MAX_PARTIES = 16
MAX_GATEWAYS = 16
"""A manifest carries at most sixteen legal powers."""
_NOTHING = datetime.timedelta(0)
"""Stands where a duration could not be read."""

_REFERENCE_RULES = ("required", "optional")


def parse(content: bytes, file: str = "agreement.toml") -> Agreement:
    """The agreement that a file holds; raises BadFile with every mistake. `file` is its name for messages."""
    document = toml.read(content, file)
    problems: list[toml.Problem] = []
    top = Table(document, (), document.data, problems)
    flows = top.tables("flows", MAX_FLOWS)
    agreement = Agreement(
        id=top.form("id", SLUG),
        version=top.form("version", VERSION),
        title=top.text("title"),
        parties=top.texts("parties", MAX_PARTIES, SLUG, at_least=2),
        in_force=top.date("in_force"),
        review=top.optional_date("review"),
        gateways=_gateways(top),
        flows=tuple(_flow(table) for table in flows),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    top.no_others()
    if agreement.review is not None and agreement.review <= agreement.in_force:
        top.wrong("review", "must be later than in_force")
    _check_across(agreement, flows)
    if problems:
        raise toml.BadFile(file, problems)
    return agreement


def _gateways(top: Table) -> tuple[tuple[str, str], ...]:
    table = top.table("gateways")
    if table is None:
        return ()
    for code in table.keys:
        if not GATEWAY.matches(code):
            table.wrong(code, GATEWAY.what)
    if not table.keys:
        top.wrong("gateways", "must name at least one legal power")
    return tuple((code, table.text(code)) for code in table.keys)


def _flow(table: Table) -> Flow:
    reference = table.text("reference")
    if reference and reference not in _REFERENCE_RULES:
        table.wrong("reference", 'must be "required" or "optional"')
    pattern = table.text("reference_pattern")
    if pattern and not is_pattern(pattern):
        table.wrong("reference_pattern", r"must be made of \d{N}, [A-Z]{N}, letters, digits, / - and single blanks")
    types = table.texts("types", len(MEDIA_TYPES))
    for position, kind in enumerate(types):
        if kind not in MEDIA_TYPES:
            known = ", ".join(MEDIA_TYPES)
            table.wrong("types", f"must be one of {known}{toml.did_you_mean(kind, MEDIA_TYPES)}", position)
    flow = Flow(
        category=table.form("category", CATEGORY),
        title=table.text("title"),
        sender=table.form("sender", SLUG),
        recipient=table.form("recipient", SLUG),
        when=table.text("when"),
        types=types,
        max_bytes=table.measured("max_size", parse_size) or 0,
        gateways=table.texts("gateways", MAX_GATEWAYS, GATEWAY),
        reference="optional" if reference == "optional" else "required",
        reference_pattern=pattern,
        receipt_deadline=table.measured("receipt_deadline", parse_duration) or _NOTHING,
        retention=table.measured("retention", parse_duration, optional=True),
        keep_sent=table.measured("keep_sent", parse_keep, optional=True, zero=True),
    )
    table.no_others()
    return flow


def _check_across(agreement: Agreement, flows: Sequence[Table]) -> None:
    """What only the whole file shows; a value that is wrong by itself was noted already and is left alone here."""
    known = [code for code, _ in agreement.gateways]
    seen: set[str] = set()
    for flow, table in zip(agreement.flows, flows, strict=True):
        for role, party in (("sender", flow.sender), ("recipient", flow.recipient)):
            if SLUG.matches(party) and agreement.parties and party not in agreement.parties:
                table.wrong(role, f"is not one of the parties{toml.did_you_mean(party, agreement.parties)}")
        if flow.sender and flow.sender == flow.recipient:
            table.wrong("recipient", "must be another organisation than the sender")
        if flow.category and flow.category in seen:
            table.wrong("category", "is the category of an earlier flow already")
        seen.add(flow.category)
        for position, code in enumerate(flow.gateways):
            if known and GATEWAY.matches(code) and code not in known:
                table.wrong("gateways", f"is not listed under [gateways]{toml.did_you_mean(code, known)}", position)
