"""Destroys what has been kept long enough, and nothing that was not acknowledged.

settle   an acknowledged original goes to sent/ with the rule that it is kept by, or is destroyed at once
retain   one round: destructions that were begun, those that people ordered, originals whose time is over, and what is
         left in the spool of those that came to an end

What was received is people's affair: it is listed when its time is over (`exchange/custody.py`), and destroyed only
when somebody orders it.
"""

from collections.abc import Iterator
from datetime import timedelta

from config.errors import Refused
from config.times import to_text
from exchange import archive, destruction, locate, orders, whose
from exchange.destruction import Grounds
from exchange.failures import Failures
from exchange.keeping import Rule, longer, rule_for
from exchange.orders import Order
from exchange.parts import Parts
from exchange.spool import Claim
from exchange.troubles import clock_in_doubt
from ledger.canonical import Json
from ledger.copies import copy_of, digest_of, place_of, under_way
from ledger.handover import Handover
from ledger.holds import open_holds

_NOTHING = timedelta(0)


def settle(parts: Parts, claim: Claim, handover: Handover) -> None:
    """Bring an acknowledged original to its last place; repeats what a crash left undone."""
    rule = _today(parts, handover)
    destruction.go_on(parts, handover)
    if rule.keep == _NOTHING and _is_untouched(parts, handover):
        detail: dict[str, Json] = {**rule.to_detail(), "at_once": True}
        destruction.destroy(parts, handover, Grounds(detail), (*claim.folders, claim.name))
    if parts.spool.holds(handover.id):
        archive.keep(parts, claim, handover, _detail(rule, handover))
    parts.spool.clear(handover.id)


def _is_untouched(parts: Parts, handover: Handover) -> bool:
    """Whether it is in the spool still, not on its way to sent/, and was not tried before."""
    copy = copy_of(parts.ledger, handover)
    tried = copy.failure is not None or copy.certificate is not None or copy.kept is not None
    return not tried and parts.spool.holds(handover.id) and not parts.spool.note(handover.id).exists()


def retain(parts: Parts) -> int:
    """One round; returns how many copies were tried. What fails is tried again in the next round."""
    parts.spool.require()
    failures = Failures()
    tried = 0
    for handover in list(under_way(parts.ledger)):
        with failures.kept():
            destruction.go_on(parts, handover)
            tried += 1
    for order in [order for order in orders.open_orders(parts.ledger) if order.what == "destroy"]:
        with failures.kept():
            # what makes no sense any more is answered by the clerk
            tried += order.makes_sense and _carry_out(parts, order)
    for handover, grounds in list(_due(parts)):
        with failures.kept():
            tried += destruction.destroy(parts, handover, grounds)
    with failures.kept():
        destruction.clear_finished(parts)
    failures.raise_first()
    return tried


def _due(parts: Parts) -> Iterator[tuple[Handover, Grounds]]:
    """Originals in sent/ whose time is over, and which nobody holds or has to look for; none by a doubtful clock."""
    now = parts.effects.clock()
    if clock_in_doubt(parts.ledger, now):
        return
    holds = open_holds(parts.ledger, parts.register.with_predecessors)
    for partner, category in parts.ledger.acknowledged_kinds():
        today = rule_for(parts.home.settings.partner(partner), parts.agreements.get(partner), category)
        # the recorded rule may only keep it longer than today's
        latest = now - (today.keep or _NOTHING)
        for handover in parts.ledger.acknowledged_until(partner, category, to_text(latest)):
            copy = copy_of(parts.ledger, handover)
            if copy.placed is None or copy.begun is not None or copy.failure is not None:
                continue
            rule = longer(copy.kept.detail if copy.kept else {}, today)
            until = rule.until(handover.acknowledged_at)
            if until is not None and until <= now and not holds.over(handover):
                yield handover, Grounds(_detail(rule, handover))


def _carry_out(parts: Parts, order: Order) -> bool:
    asked = parts.ledger.entry(order.seq)
    private = {field: value for field, value in parts.ledger.openings(order.seq).items() if field in ("by", "reason")}
    if asked.detail.get("elsewhere"):
        if _lies_in_its_place(parts, order.handover):
            orders.refuse(parts.ledger, order, "file-present")
            return False
        done = destruction.state_elsewhere(
            parts, order.handover, Grounds({"rule": "order", "order": order.seq}, private)
        )
    else:
        done = destruction.destroy(parts, order.handover, Grounds({"rule": "order", "asked": order.seq}, private))
    if not done:
        held = open_holds(parts.ledger, parts.register.with_predecessors).over(order.handover)
        orders.refuse(parts.ledger, order, "hold" if held else "wrong-state")
    return done


def order(parts: Parts, identifier: str, by: str, reason: str, *, elsewhere: bool) -> dict[str, str | int]:
    """Order that a copy is destroyed before its time, or that its destruction `elsewhere` is recorded.

    Raises Misuse where it makes no sense, and Refused where a hold forbids it; who carries it out looks again.
    """
    said = orders.checked_reason(reason)
    handover = orders.the_one(parts.ledger, identifier)
    holds = open_holds(parts.ledger, parts.register.with_predecessors).over(handover)
    if holds:
        numbers = ", ".join(str(hold.seq) for hold in holds)
        raise Refused(
            f"handover {handover.id} is on hold and cannot be destroyed",
            hint=f"'handover unhold' ends a hold: {numbers}",
            reason="hold",
        )
    detail: dict[str, Json] = {"elsewhere": True} if elsewhere else {}
    entry = orders.place(parts.ledger, handover, "destroy", by, reason=said, detail=detail)
    return {"handover": handover.id, "order": "destroy", "seq": entry.seq}


def _lies_in_its_place(parts: Parts, handover: Handover) -> bool:
    """Whether the very file that was handed over is still where it was put; also where nobody can tell."""
    place = place_of(parts.ledger, copy_of(parts.ledger, handover))
    digest = digest_of(parts.ledger, handover)
    if place is None or digest is None:
        return False
    root = parts.home.sent if handover.direction == "out" else parts.home.inbound
    try:
        with locate.found(root, place) as one:
            locate.require(one.file, digest)
            whose.require_ours(parts, handover, root, place)
    except whose.Ambiguous:
        return True
    except (locate.NotThere, locate.NotTheOne):
        return False
    return True


def _today(parts: Parts, handover: Handover) -> Rule:
    agreement = parts.agreements.get(handover.partner)
    return rule_for(parts.home.settings.partner(handover.partner), agreement, handover.category)


def _detail(rule: Rule, handover: Handover) -> dict[str, Json]:
    until = rule.until(handover.acknowledged_at)
    return {**rule.to_detail(), **({} if until is None else {"until": to_text(until)})}
