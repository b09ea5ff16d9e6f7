"""The incident pack: everything that a key protected, for whoever has to judge what its loss means.

    signed           it signed the file's envelope                        recorded in every entry of it
    sealed-to        only it opens the file's envelope                    recorded in every entry of it
    receipt-signed   it signed the receipt                                the receipt that was kept, or our entry of it
    transported      it let one side in, or vouched for the server        by time: while it counted here
    ledger-signed    it signed the head of the ledger that proves it      by time
    witnessed        it cosigned a head of the other's ledger with it     by time

What is told by time may be more than the key touched, and is never less. There is no name of a file, no reference and
nothing of a content in it: councils, kinds, times, digests, states and numbers of entries, which `handover ledger
prove` proves. `docs/key-management.md` says how a data-protection officer uses it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Literal

from config.errors import Refused
from config.home import Home
from config.times import from_text, to_text
from exchange import audit
from exchange.key_story import KeyStory, story
from exchange.topology import Topology
from keys import sshsig
from keys.trust import Trust
from ledger.handover import Handover
from ledger.store import Ledger
from ledger.view import View

How = Literal["signed", "sealed-to", "receipt-signed", "transported", "ledger-signed", "witnessed"]

NOTIFY_WITHIN = timedelta(hours=72)
"""UK GDPR article 33: from the moment at which one knows of a breach."""

Which = tuple[str, str, str]
"""(partner, direction, id) of a handover."""


@dataclass(frozen=True, slots=True)
class Touch:
    """One way in which the key protected a handover, and the entry that says so."""

    which: Which
    how: How
    seq: int
    at: str


@dataclass(frozen=True, slots=True)
class Affected:
    """One handover that the key protected. Times are texts in UTC, `bytes` is the file's size; None: not so (yet)."""

    handover: str
    direction: str
    partner: str
    how: str
    first_at: str
    doubtful: bool
    """Whether the key protected it at a time at which somebody else may have had the key."""
    state: str
    category: str | None
    authority: str | None
    bytes: int | None
    sequence: int | None
    dropped_at: str | None
    sealed_at: str | None
    sent_at: str | None
    received_at: str | None
    delivered_at: str | None
    acknowledged_at: str | None
    reason: str | None
    envelope_sha256: str | None
    manifest_sha256: str | None
    entry: int
    """The entry that decided what became of it."""
    entries: str
    """The entries that name the key, or fall into its time."""


COLUMNS = tuple(Affected.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class Incident:
    """The whole pack."""

    key: KeyStory
    since: str | None
    until: str | None
    """What was asked for."""
    as_at: str
    ledger: dict[str, object]
    """Size, root and the newest checkpoint, with the partners' cosignatures: it covers every entry named here."""
    handovers: tuple[Affected, ...]

    @property
    def notify_by(self) -> str | None:
        """72 hours after the revocation was recorded here."""
        if self.key.state != "revoked" or self.key.ended_at is None:
            return None
        return to_text(from_text(self.key.ended_at) + NOTIFY_WITHIN)

    def summary(self) -> dict[str, str | int | bool | None]:
        """Labels and values for a person."""
        times = [one.first_at for one in self.handovers]
        key = self.key
        return {
            "fingerprint": key.fingerprint,
            "owner": f"{key.owner} (we)" if key.ours else key.owner,
            "purpose": key.purpose,
            "algorithm": key.algorithm,
            "state": key.state,
            "in use from": key.begins,
            "ended": key.ended_at,
            "ended by": key.ended_by,
            "in doubt since": key.since,
            "partners told": ", ".join(key.told) or None,
            "notify by": self.notify_by,
            "asked from": self.since,
            "asked until": self.until,
            "handovers": len(self.handovers),
            "in doubt": sum(one.doubtful for one in self.handovers),
            "not finished": sum(one.state in ("accepted", "sealed", "sent", "received") for one in self.handovers),
            "sent by us": sum(one.direction == "out" for one in self.handovers),
            "received": sum(one.direction == "in" for one in self.handovers),
            "first": min(times, default=None),
            "last": max(times, default=None),
            "as at": self.as_at,
            "ledger size": str(self.ledger["size"]),
            "ledger root": str(self.ledger["root"]),
        }

    def to_json(self) -> dict[str, object]:
        """Stable field names for programs."""
        return {
            "key": self.key.to_json(),
            "from": self.since,
            "to": self.until,
            "as_at": self.as_at,
            "notify_by": self.notify_by,
            "ledger": self.ledger,
            "handovers": [asdict(one) for one in self.handovers],
        }


def incident(
    home: Home,
    ledger: Ledger,
    trust: Trust,
    fingerprint: str,
    since: datetime | None,
    until: datetime | None,
    now: datetime,
) -> Incident:
    """Everything that the key of that fingerprint protected between two moments; raises Misuse if there is none."""
    key = story(home.settings.organisation.id, ledger, trust, fingerprint.strip())
    low, high = (None if one is None else to_text(one) for one in (since, until))
    touched: dict[Which, list[Touch]] = {}
    for touch in _touches(home, ledger, trust, key, to_text(now)):
        if (low is None or touch.at >= low) and (high is None or touch.at <= high):
            touched.setdefault(touch.which, []).append(touch)
    known: dict[Which, Handover] = {(one.partner, one.direction, one.id): one for one in ledger.handovers()}
    found = [_affected(known[which], touches, key) for which, touches in touched.items()]
    return Incident(
        key=key,
        since=low,
        until=high,
        as_at=to_text(now),
        ledger=audit.newest_checkpoint(ledger).to_json(),
        handovers=tuple(sorted(found, key=lambda one: (one.first_at, one.handover))),
    )


def protected(home: Home, ledger: Ledger, trust: Trust, fingerprint: str, now: datetime) -> tuple[int, str, str]:
    """How many handovers a key protected, and when first and last ("" if none); raises Misuse for an unknown key."""
    key = story(home.settings.organisation.id, ledger, trust, fingerprint)
    touches = list(_touches(home, ledger, trust, key, to_text(now)))
    times = [touch.at for touch in touches]
    return len({touch.which for touch in touches}), min(times, default=""), max(times, default="")


def _affected(one: Handover, touches: Sequence[Touch], key: KeyStory) -> Affected:
    ordered = sorted(touches, key=lambda touch: touch.seq)
    return Affected(
        handover=one.id,
        direction=one.direction,
        partner=one.partner,
        how=" ".join(dict.fromkeys(touch.how for touch in ordered)),
        first_at=ordered[0].at,
        doubtful=key.since is not None and any(touch.at >= key.since for touch in ordered),
        state=one.state,
        category=one.category,
        authority=one.authority,
        bytes=one.bytes,
        sequence=one.sequence,
        dropped_at=one.dropped_at,
        sealed_at=one.sealed_at,
        sent_at=one.sent_at,
        received_at=one.received_at,
        delivered_at=one.delivered_at,
        acknowledged_at=one.acknowledged_at,
        reason=one.reason,
        envelope_sha256=one.envelope_sha256,
        manifest_sha256=one.manifest_sha256,
        entry=one.decided_seq,
        entries=" ".join(str(touch.seq) for touch in ordered),
    )


def _touches(home: Home, ledger: View, trust: Trust, key: KeyStory, now: str) -> Iterator[Touch]:
    match key.purpose:
        case "encryption":
            sealed = "key = ? AND event IN ('sealed', 'received', 'rejected')"
            yield from _entries(ledger, "sealed-to", sealed, key.fingerprint)
        case "signing" | "signing-pq":
            signed = " ".join(
                (
                    "? IN (json_extract(CAST(entry AS TEXT), '$.detail.signed_by'),",
                    "json_extract(CAST(entry AS TEXT), '$.detail.signed_pq'))",
                )
            )
            yield from _entries(ledger, "signed", f"event IN ('sealed', 'received') AND {signed}", key.fingerprint)
            yield from _entries(ledger, "receipt-signed", f"event = 'receipted' AND {signed}", key.fingerprint)
            if not key.ours:
                yield from _receipts(ledger, key)
        case "transport" | "host":
            yield from _carried(home, ledger, trust, key, now)
        case "ledger" if key.ours:
            yield from _in_time(ledger, "ledger-signed", "event IN ('acknowledged', 'delivered', 'rejected')", key, now)
        case "ledger":
            answered = "direction = 'out' AND event IN ('acknowledged', 'rejected')"
            yield from _in_time(ledger, "ledger-signed", answered, key, now)
        case "witness" | "witness-pq":
            event = "received" if key.ours else "sealed"
            yield from _in_time(ledger, "witnessed", "event = ?", key, now, event)


def _entries(ledger: View, how: How, condition: str, *values: str) -> Iterator[Touch]:
    wanted = "SELECT partner, direction, handover, seq, at FROM entries WHERE handover IS NOT NULL AND"
    for partner, direction, handover, seq, at in ledger.rows(f"{wanted} {condition} ORDER BY seq", *values):
        yield Touch((str(partner), str(direction), str(handover)), how, int(seq), str(at))


def _in_time(ledger: View, how: How, condition: str, key: KeyStory, now: str, *values: str) -> Iterator[Touch]:
    """Entries of the time in which the key counted here; of a partner's key, those about that partner."""
    whose, owner = ("", ()) if key.ours else (" AND +partner = ?", (key.owner,))
    condition = f"{condition} AND at >= ? AND at <= ?{whose}"
    return _entries(ledger, how, condition, *values, key.begins or "", key.ended_at or now, *owner)


def _carried(home: Home, ledger: View, trust: Trust, key: KeyStory, now: str) -> Iterator[Touch]:
    """What went over connections on which the key spoke for its owner: who logs in, or whose server it is."""
    for partner in trust.partners if key.ours else (key.owner,):
        way = Topology.of(home, trust.card(partner))
        on_theirs = {"out": way.uploads, "in": way.collects}
        on_ours = {"out": way.places, "in": way.lands}
        # a transport key logs in on the other's server, a host key is that of one's own
        used = on_theirs if key.ours == (key.purpose == "transport") else on_ours
        for direction, event in (("out", "sent"), ("in", "received")):
            if used[direction]:
                condition = "direction = ? AND event = ? AND +partner = ?"
                yield from _in_time(ledger, "transported", condition, key, now, direction, event, partner)


def _receipts(ledger: View, key: KeyStory) -> Iterator[Touch]:
    """Receipts of a partner that are kept whole: each holds its signature, and the composite one stands beside it."""
    kind = "receipt-pq" if key.purpose == "signing-pq" else "receipt"
    sql = (
        "SELECT d.handover, d.signature, e.seq, e.at FROM documents d JOIN entries e ON e.handover = d.handover "
        "AND +e.partner = d.partner AND e.direction = 'out' AND e.event IN ('acknowledged', 'rejected') "
        "WHERE d.kind = ? AND d.partner = ?"
    )
    for handover, signature, seq, at in ledger.rows(sql, kind, key.owner):
        if _signer(kind, str(signature)) == key.fingerprint:
            yield Touch((key.owner, "out", str(handover)), "receipt-signed", int(seq), str(at))


def _signer(kind: str, signature: str) -> str | None:
    try:
        read = sshsig.parse_composite(signature) if kind == "receipt-pq" else sshsig.parse(signature)
    except Refused:
        return None
    return read.public.fingerprint
