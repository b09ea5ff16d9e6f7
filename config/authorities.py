"""The register of English councils with children's services: who they were on a day, and who followed whom.

    Northamptonshire  E10000021  until 2021-03-31  --replaced by-->  North Northamptonshire  E06000061  from 2021-04-01
                                                                     West Northamptonshire   E06000062  from 2021-04-01

A name or a code is taken as at a day (that of the event), so "Somerset" is the county in 2022 and the unitary council
in 2024. A council that only got another code keeps its old ones as `former`. A question about a council includes its
predecessors. The data and where they come from: `config/data/authorities.csv` and `config/data/README.md`.

>>> register = Register.shipped()
>>> day = datetime.date(2026, 11, 24)
>>> len(register.current(day))
153
>>> [register.resolve(text, day).gss for text in ("birmingham city council", "E08000025", "330", "st helens")]
['E08000025', 'E08000025', 'E08000025', 'E08000013']
>>> register.resolve("Somerset", datetime.date(2022, 5, 1)).gss, register.resolve("Somerset", day).gss
('E10000027', 'E06000066')
>>> sorted(register.with_predecessors("E06000061"))
['E06000061', 'E10000021']
"""

import csv
import datetime
import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from config.errors import Refused
from config.names import loose_name, plain_name

_FILE = Path(__file__).parent / "data" / "authorities.csv"
_COLUMNS = "gss,name,short_name,slug,type,region,start,end,replaced_by,former_gss,dfe,urn,note"
_CODE = re.compile(r"[A-Z][0-9]{8}|[0-9]{3,7}", re.ASCII)
_HINTS = 4
"""How many councils a hint names: as many as a person reads at a glance."""

Json = str | list[str] | None


class UnknownAuthority(Refused):
    """No council has this name or code on that day, or more than one has."""

    reason = "unknown-authority"


@dataclass(frozen=True, slots=True)
class Authority:
    """A council with children's services."""

    gss: str
    """Its newest code of the Office for National Statistics."""
    name: str
    short_name: str
    """Also the name of its folders."""
    slug: str
    type: str
    region: str
    dfe: str | None
    """The Department for Education's three digits; abolished councils have none here."""
    urn: str | None
    """Ofsted's number."""
    start: datetime.date | None
    """The first day; None: long ago."""
    end: datetime.date | None
    """The last day; None: none is known."""
    replaced_by: tuple[str, ...]
    """GSS codes of those that followed."""
    former: tuple[str, ...]
    """GSS codes that this same council had before."""
    note: str

    @property
    def codes(self) -> frozenset[str]:
        """Every code by which it can be called."""
        return frozenset(code for code in (self.gss, *self.former, self.dfe, self.urn) if code)

    def in_force(self, at: datetime.date) -> bool:
        """Whether it was there on that day."""
        return (self.start is None or self.start <= at) and (self.end is None or at <= self.end)

    def to_json(self) -> dict[str, Json]:
        """For `--json`."""
        return {
            "gss": self.gss,
            "name": self.name,
            "short_name": self.short_name,
            "slug": self.slug,
            "type": self.type,
            "region": self.region,
            "dfe": self.dfe,
            "urn": self.urn,
            "start": self.start.isoformat() if self.start else None,
            "end": self.end.isoformat() if self.end else None,
            "replaced_by": list(self.replaced_by),
            "former": list(self.former),
            "note": self.note or None,
        }


class Register:
    """All councils that are known, past and present."""

    def __init__(self, authorities: Iterable[Authority]) -> None:
        self._all = tuple(sorted(authorities, key=lambda a: (a.short_name, a.gss)))
        self._by_gss = {code: a for a in self._all for code in (a.gss, *a.former)}
        self._keys = {a.gss: _keys(a) for a in self._all}

    @classmethod
    @functools.cache
    def shipped(cls) -> Self:
        """The register that comes with Handover: never changed, so one is enough."""
        return cls(_shipped())

    @property
    def all(self) -> tuple[Authority, ...]:
        """Everybody, by name."""
        return self._all

    def current(self, at: datetime.date) -> tuple[Authority, ...]:
        """Those that were there on a day, by name."""
        return tuple(a for a in self._all if a.in_force(at))

    def get(self, gss: str) -> Authority | None:
        """The council that has or had a GSS code, whatever the day."""
        return self._by_gss.get(gss)

    def successors(self, gss: str) -> tuple[Authority, ...]:
        """Those that followed directly; empty for a council that goes on or is unknown."""
        authority = self.get(gss)
        return tuple(self._by_gss[code] for code in authority.replaced_by) if authority else ()

    def predecessors(self, gss: str) -> tuple[Authority, ...]:
        """Those that this council follows directly."""
        authority = self.get(gss)
        return tuple(a for a in self._all if authority and authority.gss in a.replaced_by)

    def with_predecessors(self, gss: str) -> frozenset[str]:
        """Every GSS code under which something about this council may be recorded; a code itself if it is unknown."""
        authority = self.get(gss)
        if authority is None:
            return frozenset({gss})
        before = (self.with_predecessors(a.gss) for a in self.predecessors(gss))
        return frozenset({authority.gss, *authority.former}).union(*before)

    def find(self, text: str, at: datetime.date) -> list[Authority]:
        """Councils that a text may mean: those of that day first, in each group the exact ones before the partial."""
        exact = self._exact(text)
        found = exact + [a for a in self._partial(text) if a not in exact]
        return sorted(found, key=lambda a: not a.in_force(at))

    def resolve(self, text: str, at: datetime.date) -> Authority:
        """The one council that a name, slug or code means on a day; raises UnknownAuthority with the nearest ones."""
        exact = self._exact(text)
        there = [a for a in exact if a.in_force(at)]
        if len(there) == 1:
            return there[0]
        day = at.isoformat()
        if there:
            raise UnknownAuthority("more than one council has this name", hint=f"it could be {_list(there)}")
        if len(exact) == 1:
            raise UnknownAuthority(f"{exact[0].name} was not there on {day}", hint=self._instead(exact[0], at))
        near = self._near(text, at)
        raise UnknownAuthority(
            f"no council with children's services has this name or code on {day}",
            hint=f"the nearest are {_list(near)}"
            if near
            else "'handover authority find TEXT' looks for part of a name",
        )

    def _exact(self, text: str) -> list[Authority]:
        """By code, else by one of its names as written, else by its name without words like Council."""
        code = text.strip().upper()
        if _CODE.fullmatch(code):
            return [a for a in self._all if code in a.codes]
        for key in (plain_name(text), loose_name(text)):
            found = [a for a in self._all if key and key in self._keys[a.gss]]
            if found:
                return found
        return []

    def _partial(self, text: str) -> list[Authority]:
        """Each word of the text begins a word of the name."""
        words = plain_name(text).split()
        names = {a.gss: f"{plain_name(a.name)} {plain_name(a.short_name)}".split() for a in self._all}
        return [a for a in self._all if words and all(any(n.startswith(word) for n in names[a.gss]) for word in words)]

    def _near(self, text: str, at: datetime.date) -> list[Authority]:
        """For a hint: by name only, because the council with the nearest code is a stranger."""
        there = self.current(at)
        partial = [a for a in self._partial(text) if a in there]
        if partial:
            return partial
        from difflib import get_close_matches  # only when something is wrong already

        keys = {key: a for a in there for key in sorted(self._keys[a.gss])}
        near = get_close_matches(loose_name(text), keys, n=_HINTS * 2, cutoff=0.7)
        return list(dict.fromkeys(keys[key] for key in near))

    def _instead(self, authority: Authority, at: datetime.date) -> str:
        """Who was there on a day on which this council was not, and what else can be done."""
        if authority.end is not None and at > authority.end:
            after = _list(self.successors(authority.gss)) or authority.note or "nobody that this register knows"
            return (
                f"it ended on {authority.end.isoformat()}; since then: {after};"
                " if the event was before, give its date (event_date)"
            )
        before = _list(self.predecessors(authority.gss)) or "nobody that this register knows"
        return f"it began on {authority.start.isoformat() if authority.start else ''}; before that: {before}"


def _keys(authority: Authority) -> frozenset[str]:
    names = (authority.name, authority.short_name, authority.slug)
    return frozenset(form(name) for name in names for form in (plain_name, loose_name)) - {""}


def _list(authorities: Iterable[Authority]) -> str:
    all_ = list(authorities)
    shown = ", ".join(f"{a.short_name} ({a.gss})" for a in all_[:_HINTS])
    return shown + (f" and {len(all_) - _HINTS} more" if len(all_) > _HINTS else "")


def _shipped() -> tuple[Authority, ...]:
    with _FILE.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, strict=True)
        return tuple(_authority(row) for row in rows)


def _authority(row: dict[str, str]) -> Authority:
    if ",".join(row) != _COLUMNS:
        raise ValueError("the columns of authorities.csv are not the ones that this program knows")
    return Authority(
        gss=row["gss"],
        name=row["name"],
        short_name=row["short_name"],
        slug=row["slug"],
        type=row["type"],
        region=row["region"],
        dfe=row["dfe"] or None,
        urn=row["urn"] or None,
        start=datetime.date.fromisoformat(row["start"]) if row["start"] else None,
        end=datetime.date.fromisoformat(row["end"]) if row["end"] else None,
        replaced_by=tuple(row["replaced_by"].split()),
        former=tuple(row["former_gss"].split()),
        note=row["note"],
    )
