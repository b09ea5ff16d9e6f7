"""Placing, lifting and listing legal holds: what people say, turned into entries that `ledger/holds.py` reads.

A hold is recorded in the same ledger, one writer at a time, in which a destruction is decided: once `place` has
returned, nothing that the hold covers is destroyed, or thrown away out of quarantine, until it is lifted. What was gone
by then is counted and told.
"""

import datetime
from dataclasses import dataclass

from config.authorities import Register
from config.errors import Misuse
from config.times import system_clock
from exchange import destruction, quarantine
from exchange.orders import checked_reason, the_one
from exchange.parts import Parts
from exchange.questions import holds_now
from ledger.canonical import Json
from ledger.entry import Draft, Entry
from ledger.handover import Handover
from ledger.holds import LIFTED, PLACED, Hold, open_holds, plain_reference
from ledger.store import Ledger, Transaction

Cell = str | int | bool | None


@dataclass(frozen=True, slots=True)
class Scope:
    """What is to be held: all that is given must be true of a handover."""

    identifier: str | None = None
    authority: str | None = None
    reference: str | None = None
    partner: str | None = None


def place(parts: Parts, scope: Scope, by: str, reason: str, review: str | None = None) -> dict[str, Cell]:
    """Record a hold; raises Misuse for one that makes no sense. Says how many handovers it covers now."""
    day = _review_day(review, parts.effects.clock().date())
    handover, draft = _draft(parts, scope)
    private: dict[str, Json] = {"by": by, "reason": checked_reason(reason)}
    if scope.reference is not None:
        private["reference"] = scope.reference

    def record(tx: Transaction) -> Entry:
        if handover is not None:
            now = tx.handover(handover.partner, handover.direction, handover.id) or handover
            _require_copy(now)
            if destruction.is_unlinked(parts, tx, now):
                raise Misuse(
                    f"the file of handover {now.id} has just been destroyed: there is nothing left to hold",
                    hint="its certificate is written as soon as the service can",
                )
        return tx.append(draft.replace(private=private, detail={} if day is None else {"review": day}))

    entry = parts.ledger.write(record)
    (hold,) = [one for one in open_holds(parts.ledger, parts.register.with_predecessors).all if one.seq == entry.seq]
    covered = _covered(parts.ledger, parts.register, hold)
    gone = sum(_is_gone(parts, one) for one in covered)
    return {"hold": entry.seq, "handovers": len(covered) - gone, "destroyed_before": gone}


def lift(parts: Parts, number: int, by: str, reason: str) -> dict[str, Cell]:
    """Record that one hold ends; every other stays. Raises Misuse where there is none of that number."""
    said = checked_reason(reason)

    def record(tx: Transaction) -> Entry:
        found = [hold for hold in open_holds(tx, parts.register.with_predecessors).all if hold.seq == number]
        if not found:
            raise Misuse(f"there is no hold {number}", hint="'handover holds' lists those that last")
        placed = found[0].entry
        return tx.append(
            Draft(
                event=LIFTED,
                actor="operator",
                handover=placed.handover,
                partner=placed.partner,
                direction=placed.direction,
                authority=placed.authority,
                private={"by": by, "reason": said},
                detail={"hold": number},
            )
        )

    entry = parts.ledger.write(record)
    return {"hold": number, "lifted": True, "seq": entry.seq}


def listing(ledger: Ledger) -> list[dict[str, Cell]]:
    """Every hold that lasts, oldest first."""
    register, today = Register.shipped(), system_clock().date().isoformat()
    return [
        {
            "hold": hold.seq,
            "at": hold.entry.at,
            "handover": hold.entry.handover,
            "direction": hold.entry.direction,
            "partner": hold.entry.partner,
            "authority": hold.entry.authority,
            "reference": _reference(hold),
            "by": hold.opened.get("by"),
            "reason": hold.opened.get("reason"),
            "review": hold.review,
            "review_due": hold.review is not None and hold.review <= today,
            "handovers": sum(not _has_ended(one) for one in _covered(ledger, register, hold)),
        }
        for hold in holds_now(ledger).all
    ]


def in_words(row: dict[str, Cell]) -> str:
    """What a hold of `listing` covers, for people."""
    named = ("handover", "authority", "reference", "partner")
    return ", ".join(f"{name} {row[name]}" for name in named if row[name] is not None and not _implied(row, name))


def _implied(row: dict[str, Cell], name: str) -> bool:
    return name == "partner" and row["handover"] is not None


def _reference(hold: Hold) -> str | None:
    if not hold.is_about_a_reference:
        return None
    return hold.opened.get("reference", "(redacted: taken for every one)")


def _covered(ledger: Ledger, register: Register, hold: Hold) -> list[Handover]:
    holds = open_holds(ledger, register.with_predecessors)
    possible = [one for one in ledger.handovers() if hold.may_cover(one)]
    return [one for one in possible if any(found.seq == hold.seq for found in holds.over(one))]


def _has_ended(handover: Handover) -> bool:
    """Whether our copy is gone for certain; what came under an id and was thrown away is."""
    return handover.state == "destroyed" or (handover.direction, handover.state) == ("in", "withdrawn")


def _is_gone(parts: Parts, handover: Handover) -> bool:
    """The same, also where it is gone and the entry that says so is not written yet."""
    if handover.state == "quarantined":
        return quarantine.is_gone(parts, handover)
    return _has_ended(handover) or destruction.is_unlinked(parts, parts.ledger, handover)


def _draft(parts: Parts, scope: Scope) -> tuple[Handover | None, Draft]:
    """What the entry names in clear, and the handover if it is about one."""
    given = (scope.authority, scope.reference, scope.partner)
    draft = Draft(event=PLACED, actor="operator")
    if scope.identifier is not None:
        if any(one is not None for one in given):
            raise Misuse("an id says all about what is to be held", hint="give an id, or the other options")
        handover = the_one(parts.ledger, scope.identifier)
        _require_copy(handover)
        return handover, draft.replace(handover=handover.id, partner=handover.partner, direction=handover.direction)
    if not any(one is not None for one in given):
        raise Misuse("it is not said what is to be held", hint="give an id, --authority, --reference or --partner")
    if scope.reference is not None and not plain_reference(scope.reference):
        raise Misuse("the reference has no letter and no digit")
    if scope.partner is not None and scope.partner not in {*parts.trust.partners, *_partners(parts.ledger)}:
        known = ", ".join(parts.trust.partners) or "none yet"
        raise Misuse("there is no such partner", hint=f"partners: {known}")
    return None, draft.replace(partner=scope.partner, authority=_authority(parts, scope.authority))


def _authority(parts: Parts, text: str | None) -> str | None:
    """The code of a council; one that was abolished is named by its code."""
    if text is None:
        return None
    known = parts.register.get(text.strip().upper())
    return (known or parts.register.resolve(text, parts.effects.clock().date())).gss


def _partners(ledger: Ledger) -> set[str]:
    return {str(partner) for (partner,) in ledger.rows("SELECT DISTINCT partner FROM handovers")}


def _require_copy(handover: Handover) -> None:
    if handover.state == "destroyed":
        raise Misuse(f"handover {handover.id} is destroyed: there is nothing left to hold")


def _review_day(text: str | None, today: datetime.date) -> str | None:
    if text is None:
        return None
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError:
        raise Misuse(f"{text} is not a date", hint="write it like 2027-01-31") from None
    if day < today:
        raise Misuse(f"{day.isoformat()} is in the past", hint="a hold lasts until it is lifted; review it later")
    return day.isoformat()
