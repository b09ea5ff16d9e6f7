"""What a dropped file is about: read from its folders, its name and its sidecar, and judged by the agreement.

The sidecar `NAME.concern.toml` may hold `category`, `authority`, `reference`, `event_date`, `review_by`,
`embargo_until` and `gateways`; what it says goes before the folders and the name. The partner is always the first
folder, so that a slip in a text file cannot send a file to another organisation.
"""

import datetime
import stat
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from config import agreement as agreements
from config.agreement import Agreement, Objection
from config.authorities import Authority, Register, UnknownAuthority
from config.errors import Misuse
from exchange.drop import MAX_FOLDERS
from exchange.envelope.manifest import MAX_GATEWAYS, Concern
from exchange.envelope.payload import is_name
from exchange.spool import Claim

_NAMED = 3
"""So many keys of a sidecar that mean nothing are named."""

_LONGEST_KEY = 40
"""Characters of such a key that are shown."""

_LONGEST_GATEWAY = 200
"""Characters of the name of a legal power."""

_DATES = ("event_date", "review_by", "embargo_until")
_TEXTS = ("category", "authority", "reference")


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What the file system says of the claimed file."""

    size: int
    kind: int
    links: int
    readable: bool


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the file is about as far as can be told, and why it may not go (empty: it may)."""

    name: str
    partner: str | None
    category: str | None
    authority: Authority | None
    reference: str | None
    concern: Concern | None
    objections: tuple[Objection, ...]


def judge(
    claim: Claim,
    facts: FileFacts,
    *,
    me: str,
    partners: Mapping[str, Agreement],
    register: Register,
    today: datetime.date,
    max_bytes: int,
) -> Judgement:
    """Decide what a claimed file is and whether the agreement allows it to go; never raises."""
    objections = list(_objections_to_the_file(claim, facts, max_bytes))
    sidecar, problems = _read_sidecar(claim.sidecar)
    objections += problems
    partner = claim.folders[0] if claim.folders else None
    agreement = partners.get(partner) if partner is not None else None
    if agreement is None:
        objections.insert(0, _unknown_partner(claim, partners))
        return Judgement(as_text(claim.name), None, None, None, None, None, tuple(objections))
    if len(claim.folders) > MAX_FOLDERS:
        objections.append(
            Objection(
                "folder-too-deep",
                "The file lies in a folder inside the council's folder. Put it directly into the council's folder.",
            )
        )
    category = sidecar.get("category") or _folder(claim, 1)
    place = sidecar.get("authority") or _folder(claim, 2)
    event_date = sidecar.get("event_date")
    authority: Authority | None = None
    if place is not None:
        try:
            authority = register.resolve(place, datetime.date.fromisoformat(event_date) if event_date else today)
        except UnknownAuthority as problem:
            objections.append(Objection("unknown-authority", _sentence(problem)))
    flow = next((f for f in agreement.flows if f.category == category), None)
    reference = sidecar.get("reference") or (
        agreements.find_reference(claim.name, flow.reference_pattern) if flow is not None else None
    )
    gateways = tuple(sidecar["gateways"].split("\n")) if "gateways" in sidecar else flow.gateways if flow else ()
    objections += [
        objection
        for objection in agreements.check(
            agreement,
            sender=me,
            recipient=claim.folders[0],
            category=category or "",
            authority=authority,
            name=claim.name,
            size=facts.size,
            reference=reference,
            gateways=gateways,
            on=datetime.date.fromisoformat(event_date) if event_date else today,
        )
        if objection.code not in {o.code for o in objections}
    ]
    known_category = category if flow is not None else None
    concern = None
    if not objections and authority is not None and category is not None:
        concern = Concern(
            authority=authority.gss,
            category=category,
            reference=reference,
            gateways=gateways,
            event_date=event_date,
            review_by=sidecar.get("review_by"),
            embargo_until=sidecar.get("embargo_until"),
        )
    return Judgement(as_text(claim.name), partner, known_category, authority, reference, concern, tuple(objections))


def _objections_to_the_file(claim: Claim, facts: FileFacts, max_bytes: int) -> list[Objection]:
    if facts.kind != stat.S_IFREG:
        return [Objection("not-a-file", "This is a link or a special file, not a document. Drop the document itself.")]
    found = []
    if facts.links > 1:
        found.append(
            Objection(
                "hard-linked",
                "The same file also lies in another folder under another name (a hard link), so it could change"
                " while it is being sent. Drop a copy of it.",
            )
        )
    if not facts.readable:
        found.append(Objection("unreadable", "The service may not read this file. Drop a copy that it may read."))
    if facts.size > max_bytes:
        found.append(Objection("too-large", f"The file is larger than this service takes ({max_bytes} bytes)."))
    if not is_name(unicodedata.normalize("NFC", claim.name)):
        found.append(
            Objection("bad-name", "The file's name has characters that other computers refuse. Give it a plain name.")
        )
    return found


def sidecar_for(reference: str | None) -> str | None:
    """A sidecar that says a reference and nothing else; raises Misuse for a text that could say more than that."""
    if reference is None:
        return None
    if not reference.isprintable() or any(c in reference for c in '"\\'):
        raise Misuse("a reference holds a character that no reference has")
    return f'reference = "{reference}"\n'


def as_text(name: str) -> str:
    """The name as it may be written in JSON and in texts: NFC, undecodable bytes replaced."""
    return unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode("utf-8"))


def _folder(claim: Claim, position: int) -> str | None:
    return claim.folders[position] if len(claim.folders) > position else None


def _unknown_partner(claim: Claim, partners: Mapping[str, Agreement]) -> Objection:
    known = ", ".join(sorted(partners)) or "none yet"
    if not claim.folders:
        return Objection(
            "unknown-partner",
            f"The file lies outside of every partner's folder. Put it into partner, category and council folders"
            f" (partners: {known}).",
        )
    return Objection(
        "unknown-partner", f"No partner organisation has the name of this folder. Partners that are known: {known}."
    )


def _sentence(problem: UnknownAuthority) -> str:
    text = problem.message[:1].upper() + problem.message[1:] + "."
    return f"{text} {problem.hint[:1].upper()}{problem.hint[1:]}." if problem.hint else text


def _read_sidecar(text: str | None) -> tuple[dict[str, str], list[Objection]]:
    """The sidecar's values, all as text (gateways joined by newlines), and what is wrong with it."""
    if text is None:
        return {}, []
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError):  # ValueError: no TOML, or a number with thousands of digits
        return {}, [_bad_sidecar("it is not a TOML file")]
    values: dict[str, str] = {}
    wrong: list[str] = []
    for key, value in raw.items():
        if key in _TEXTS and isinstance(value, str) and value.strip():
            values[key] = value.strip()
        elif key in _DATES and (date := _date(value)) is not None:
            values[key] = date
        elif key == "gateways" and isinstance(value, list) and _are_gateways(value):
            values[key] = "\n".join(value)
        else:
            wrong.append(key)
    return values, list(_objections_to_keys(wrong))


def _objections_to_keys(wrong: list[str]) -> Iterator[Objection]:
    """One for each of the first few: what is written about a file stays short, whatever lies beside it."""
    known = ", ".join((*_TEXTS, *_DATES, "gateways"))
    for key in wrong[:_NAMED]:
        yield _bad_sidecar(f"{_shortened(key)} is not one of {known}, or its value has another form")
    if more := wrong[_NAMED:]:
        yield _bad_sidecar(f"so it is with {len(more)} more")


def _shortened(key: str) -> str:
    return repr(key if len(key) <= _LONGEST_KEY else f"{key[:_LONGEST_KEY]}…")


def _are_gateways(value: list[object]) -> bool:
    # they are joined by newlines
    return 1 <= len(value) <= MAX_GATEWAYS and all(
        isinstance(item, str) and "\n" not in item and len(item) <= _LONGEST_GATEWAY for item in value
    )


def _date(value: object) -> str | None:
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, str):
        try:
            return datetime.date.fromisoformat(value).isoformat()
        except ValueError:
            return None
    return None


def _bad_sidecar(what: str) -> Objection:
    return Objection("bad-sidecar", f"The file with the details beside it (….concern.toml) cannot be used: {what}.")
