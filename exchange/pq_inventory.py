"""What resisted quantum computers, partner by partner and handover by handover: `handover keys inventory --pq`.

A handover's row is read from its entries: whom it was sealed to (`sealed`, `received`), which keys signed it, and what
SSH agreed on where we were the one who logged in (`sent`, and `received` of what we collected). What was recorded
before that was kept, or fetched before a restart, says nothing: no cell is guessed. `weak` names what somebody with a
quantum computer could use against it; a key exchange that only the partner's side knows, as of what is brought to us,
is in neither.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from config.settings import Settings
from config.times import from_text, system_clock
from exchange.post_quantum import ENCRYPTION, KEY_EXCHANGE, SIGNATURE
from keys import age
from keys.rotation import of_ledger
from keys.trust import Trust
from ledger.canonical import Json
from ledger.entry import Entry
from ledger.known import Rows
from ledger.store import Ledger

HYBRID_EXCHANGES = ("mlkem768x25519-sha256", "sntrup761x25519-sha512", "sntrup761x25519-sha512@openssh.com")
"""Key exchanges of SSH that resist quantum computers."""

NEWEST = 100
"""How many handovers are listed, the newest first, where nobody says otherwise."""

Row = dict[str, str | bool | list[str] | None]


@dataclass(frozen=True, slots=True)
class _Strength:
    """What the next message to or from a partner would be protected by, and what it must be."""

    required: tuple[str, ...]
    recipient: str | None
    exchange: str | None
    cipher: str | None
    ours: bool
    """Whether we sign with a composite key that the partner has accepted."""
    theirs: bool

    @property
    def weak(self) -> list[str]:
        """What is known, and weak."""
        strong = {
            ENCRYPTION: self.recipient == "pq",
            KEY_EXCHANGE: None if self.exchange is None else self.exchange in HYBRID_EXCHANGES,
            SIGNATURE: self.ours and self.theirs,
        }
        return [name for name, is_strong in strong.items() if is_strong is False]

    @property
    def refused(self) -> list[str]:
        """What of this is required."""
        return [name for name in self.required if name in self.weak]


def inventory_pq(
    settings: Settings, ledger: Ledger, trust: Trust, most: int = NEWEST, now: datetime | None = None
) -> dict[str, list[Row]]:
    """Rows about partners, and about the newest `most` handovers."""
    return {
        "partners": [_partner(settings, ledger, trust, partner, now or system_clock()) for partner in trust.partners],
        "handovers": list(_handovers(ledger, most)),
    }


def problems(settings: Settings, ledger: Ledger, trust: Trust, partners: Iterable[str], now: datetime) -> Iterator[str]:
    """What `require_pq` keeps from going or from being believed, before anybody sees it wait.

    Not the key exchange: where it is too weak, the login fails, and that is an outage.
    """
    demanding = [partner for partner in sorted(partners) if settings.partner(partner).require_pq]
    for partner in demanding:
        strength = _strength(settings, ledger, trust, partner, now)
        if ENCRYPTION in strength.refused:
            yield f"{partner} has no post-quantum encryption key, and require_pq asks for one: nothing is sealed to it"
        if SIGNATURE in strength.refused and not strength.ours:
            yield (
                f"{partner} has accepted no composite signing key of ours, and require_pq asks for its signature:"
                " nothing is sent to it"
            )
        if SIGNATURE in strength.refused and not strength.theirs:
            yield (
                f"we have accepted no composite signing key of {partner}, and require_pq asks for its signature:"
                " what comes from it is quarantined"
            )


def _strength(settings: Settings, ledger: Ledger, trust: Trust, partner: str, now: datetime) -> _Strength:
    standing = trust.standing(partner)
    texts = standing.recipient_texts(now)
    usable = of_ledger(ledger).usable("signing-pq")
    exchange, cipher = _last_exchange(ledger.rows, partner)
    return _Strength(
        required=settings.partner(partner).require_pq,
        recipient=age.parse_recipient(texts[0]).kind if texts else None,
        exchange=exchange,
        cipher=cipher,
        ours=any(key.is_for(partner) and from_text(key.begins) <= now for key in usable),
        theirs=bool(standing.keys("signing-pq", now)),
    )


def _partner(settings: Settings, ledger: Ledger, trust: Trust, partner: str, now: datetime) -> Row:
    strength = _strength(settings, ledger, trust, partner, now)
    return {
        "partner": partner,
        "recipient": strength.recipient,
        "key_exchange": strength.exchange,
        "cipher": strength.cipher,
        "we_sign": "composite" if strength.ours else "ed25519",
        "they_sign": "composite" if strength.theirs else "ed25519",
        "required": list(strength.required),
        "weak": strength.weak,
        "refused": strength.refused,
    }


def _last_exchange(rows: Rows, partner: str) -> tuple[str | None, str | None]:
    """Key exchange and cipher of what we brought, or fetched, last."""
    sql = (
        "SELECT seq, json_extract(CAST(entry AS TEXT), '$.detail.key_exchange') AS agreed, "
        "json_extract(CAST(entry AS TEXT), '$.detail.cipher') FROM entries "
        "WHERE event = ? AND +partner = ? AND agreed IS NOT NULL ORDER BY seq DESC LIMIT 1"
    )
    found = max((row for event in ("sent", "received") for row in rows(sql, event, partner)), default=None)
    return (None, None) if found is None else (str(found[1]), None if found[2] is None else str(found[2]))


def _handovers(ledger: Ledger, most: int) -> Iterator[Row]:
    sql = "SELECT partner, direction, id FROM handovers ORDER BY first_seq DESC LIMIT ?"
    for partner, direction, identifier in ledger.rows(sql, most):
        known = ledger.handover(partner, direction, identifier)
        if known is not None:
            yield {
                "id": identifier,
                "partner": partner,
                "direction": direction,
                **_protection(ledger.entries_of(known)),
            }


def _protection(entries: Sequence[Entry]) -> Row:
    """Of the last attempt: each one replaces what the one before it said."""
    last: dict[str, Mapping[str, Json]] = {entry.event: entry.detail for entry in entries}
    made = last.get("sealed") or last.get("received") or {}
    over = last.get("sent") or last.get("received") or {}
    recipient, exchange, cipher = (
        _text(detail, name) for detail, name in ((made, "recipient"), (over, "key_exchange"), (over, "cipher"))
    )
    signature = None
    if "signed_by" in made:
        signature = "composite" if "signed_pq" in made else "ed25519"
    weak = [ENCRYPTION] if recipient not in (None, "pq") else []
    weak += [KEY_EXCHANGE] if exchange is not None and exchange not in HYBRID_EXCHANGES else []
    weak += [SIGNATURE] if signature == "ed25519" else []
    return {
        "recipient": recipient,
        "key_exchange": exchange,
        "cipher": cipher,
        "signature": signature,
        "weak": list(weak),
    }


def _text(detail: Mapping[str, Json], name: str) -> str | None:
    value = detail.get(name)
    return value if isinstance(value, str) else None
