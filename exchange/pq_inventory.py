"""What resisted quantum computers, partner by partner and handover by handover: `handover keys inventory --pq`.

A handover's row is read from its entries: whom it was sealed to (`sealed`, `received`), which keys signed it, and what
SSH agreed on where we were the one who logged in (`sent`, and `received` of what we collected). What was recorded
before that was kept, or fetched before a restart, says nothing: no cell is guessed. `weak` names what somebody with a
quantum computer could use against it; a key exchange that only the partner's side knows, as of what is brought to us,
is in neither.
"""

from collections.abc import Iterator, Mapping, Sequence
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


def inventory_pq(
    settings: Settings, ledger: Ledger, trust: Trust, most: int = NEWEST, now: datetime | None = None
) -> dict[str, list[Row]]:
    """Rows about partners, and about the newest `most` handovers."""
    return {
        "partners": [_partner(settings, ledger, trust, partner, now or system_clock()) for partner in trust.partners],
        "handovers": list(_handovers(ledger, most)),
    }


def _partner(settings: Settings, ledger: Ledger, trust: Trust, partner: str, now: datetime) -> Row:
    """What the next message to or from a partner would be protected by, and what it must be."""
    required = settings.partner(partner).require_pq
    texts = trust.standing(partner).recipient_texts(now)
    recipient = age.parse_recipient(texts[0]).kind if texts else None
    usable = of_ledger(ledger).usable("signing-pq")
    ours = any(key.is_for(partner) and from_text(key.begins) <= now for key in usable)
    theirs = bool(trust.standing(partner).keys("signing-pq", now))
    exchange, cipher = _last_exchange(ledger.rows, partner)
    strong = {
        ENCRYPTION: recipient == "pq",
        KEY_EXCHANGE: None if exchange is None else exchange in HYBRID_EXCHANGES,
        SIGNATURE: ours and theirs,
    }
    return {
        "partner": partner,
        "recipient": recipient,
        "key_exchange": exchange,
        "cipher": cipher,
        "we_sign": "composite" if ours else "ed25519",
        "they_sign": "composite" if theirs else "ed25519",
        "required": list(required),
        "weak": [name for name, is_strong in strong.items() if is_strong is False],
        "refused": [name for name in required if strong[name] is False],
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
