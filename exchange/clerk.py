"""Carries out orders (`exchange/orders.py`), each in the worker whose files it is about, so that nothing is done twice
at the same time.

    by the drop worker      release and withdraw of a held file
    by the outgoing worker  retry, and withdraw of a file that has not been sent
    by the incoming worker  retry of our receipt, release and withdraw of a quarantined envelope
    by the retention worker destroy (`exchange/retention.py`)
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from exchange import files, folders, held, orders, overtaken, quarantine, receiver, reseal, sender
from exchange.drop import SIDECAR
from exchange.failures import Failures
from exchange.landed import Arrival
from exchange.landing import Landing
from exchange.orders import Order
from exchange.parts import Parts
from exchange.quarantine import ENDING, limit
from ledger.holds import open_holds
from ledger.store import Transaction


def about_held(parts: Parts) -> int:
    """Carry out what was ordered for held files, and refuse what no longer makes sense; returns how many.

    Here as below, an order that fails keeps no other from its turn: it stays open; the failure is raised at the end.
    """
    done, failures = 0, Failures()
    for order in orders.open_orders(parts.ledger):
        with failures.kept():
            if not order.makes_sense:
                _close(parts, order)
            elif order.handover.direction == "out" and order.handover.state == "held":
                if order.what == "release":
                    _release_held(parts, order)
                else:
                    orders.answer(parts.ledger, order, "withdrawn", {"reason": "withdrawn"})
            else:
                continue
            done += 1
    failures.raise_first()
    return done


def _close(parts: Parts, order: Order) -> None:
    """An order for a state that is over: it was carried out, and a crash came before that was said; or it came late."""
    handover = order.handover
    let_out = handover.reason == "released" if handover.state == "withdrawn" else handover.direction == "in"
    gone = order.what == "release" and let_out and not files.is_there(quarantine.kept(parts, handover))
    if gone and not overtaken.has_own_id(parts, handover):
        orders.answer_once(parts.ledger, order, "release.done")
    else:
        orders.refuse(parts.ledger, order, "wrong-state")


def about_outgoing(parts: Parts, partner: str, landing: Callable[[], Landing]) -> int:
    """Carry out what was ordered for files on their way to a partner, withdrawals first: those need nobody else.

    Returns how many. Raises LandingError.
    """
    done, failures = 0, Failures()
    for order in _orders_for(parts, partner, "out"):
        if order.what == "withdraw" and order.handover.state in ("accepted", "sealed"):
            with failures.kept():
                _withdraw_unsent(parts, order)
                done += 1
    withdrawn = orders.being_withdrawn(parts.ledger)
    for order in _orders_for(parts, partner, "out"):
        # where nothing reaches the partner, each try would only wait for it once more
        in_vain = failures.end_all and order.handover.state == "sent"
        if order.what == "retry" and order.handover.id not in withdrawn and not in_vain:
            with failures.kept():
                _send_again(parts, order, landing)
                done += 1
    failures.raise_first()
    return done


def about_incoming(parts: Parts, partner: str) -> int:
    """Carry out what was ordered for what came from a partner; returns how many."""
    done, failures = 0, Failures()
    for order in _orders_for(parts, partner, "in"):
        with failures.kept():
            if not overtaken.has_its_place(parts, order.handover):
                orders.refuse(parts.ledger, order, "hold")
            elif order.what == "retry":
                orders.answer(parts.ledger, order, "repeated")
            elif order.what == "destroy":
                continue
            elif order.what == "release":
                _release_quarantined(parts, order)
            else:
                _withdraw_quarantined(parts, order)
            done += 1
    failures.raise_first()
    return done


def _withdraw_unsent(parts: Parts, order: Order) -> None:
    orders.answer(parts.ledger, order, "withdrawn", {"reason": "withdrawn"})
    with parts.spool.gone_on_with_later(order.handover.id):
        sender.settle(parts, parts.ledger.find_one("out", order.handover.id))


def _send_again(parts: Parts, order: Order, landing: Callable[[], Landing]) -> None:
    """What is only sealed goes up anyway; what was sent goes up once more, unless a courier carried it."""
    if order.handover.state == "sent":
        if not parts.spool.envelope(order.handover.id).exists():
            orders.refuse(parts.ledger, order, "file-gone")
            return
        failures = Failures()
        reseal.renew(parts, order.handover.partner, [order.handover], failures)
        failures.raise_first()
        sender.upload(parts, landing(), parts.ledger.find_one("out", order.handover.id))
    orders.answer(parts.ledger, order, "retry.done")


def _orders_for(parts: Parts, partner: str, direction: str) -> Iterator[Order]:
    """Each as it is when its turn comes: the one before may have been for the same handover."""
    for order in orders.open_orders(parts.ledger):
        if order.makes_sense and (order.handover.partner, order.handover.direction) == (partner, direction):
            yield order


def _release_held(parts: Parts, order: Order) -> None:
    """The file goes back to where it was dropped, with its sidecar, and is judged again as a new handover."""
    why, path = held.find(parts.home.held, order.handover.id)
    if path is not None:
        if _is_named_by_a_hold(parts, order):
            orders.refuse(parts.ledger, order, "hold")
            return
        outbound = parts.home.outbound.joinpath(*folders.of_held(parts, order.handover))
        files.make_directory(outbound)
        _put_back(path, outbound)
        reason = "released"
    elif why is not None and held.is_left_alone(parts.home.held, why):
        # somebody has moved it back by hand, as its explanation says, or we have, and died before we could say so:
        # then nothing is held any more, and nothing is left to explain
        reason = "file-gone"
    else:
        # it may lie there under another name, or the share is not mounted: a person knows
        orders.refuse(parts.ledger, order, orders.NOT_TOGETHER)
        return
    # recorded first: without the explanation, nobody could say after a crash that the file has gone from here
    orders.answer(parts.ledger, order, "withdrawn", {"reason": reason})
    if why is not None:
        files.remove(why)


def _put_back(path: Path, outbound: Path) -> None:
    """The sidecar first, so that the file is never seen without it; both under one name, which nobody else's has.

    After a crash in between the sidecar is not beside the file any more: it waits where the file goes now.
    """
    sidecar = path.with_name(path.name + SIDECAR)
    # beside a name of full length none can lie
    has_sidecar = len(os.fsencode(sidecar.name)) <= files.NAME_MAX and files.is_there(sidecar)
    for name in files.names_like(path.name, files.NAME_MAX - len(SIDECAR) if has_sidecar else files.NAME_MAX):
        target, beside = outbound / name, outbound / (name + SIDECAR)
        if files.is_there(target) or (has_sidecar and not files.move_new(sidecar, beside)):
            continue
        if files.move_new(path, target):
            return
        if has_sidecar:
            # at this very moment somebody has dropped a file of that name, which this does not speak for
            files.move_new(beside, sidecar)


def _release_quarantined(parts: Parts, order: Order) -> None:
    """The envelope goes through every check again, now that its cause is mended.

    After a crash on the way it is back in quarantine, or in the spool, and the order still open. One that was kept
    under an id of ours is opened under the one with which it came, and goes on as that: nothing is kept under ours, so
    it stays while any hold is on it.
    """
    partner, kept = order.handover.partner, quarantine.kept(parts, order.handover)
    about = parts.ledger.entry(order.handover.first_seq).detail.get("about")
    name = f"{about or order.handover.id}{ENDING}"
    recovered = not kept.is_file()
    if not recovered and (_is_on_hold(parts, order) if about else _is_named_by_a_hold(parts, order)):
        orders.refuse(parts.ledger, order, "hold")
        return
    if not recovered:
        taken = parts.spool.take_in(kept, partner, name, limit(parts))
    elif parts.spool.size_taken_in(partner, name) is not None:
        taken = parts.spool.taken_in(partner, name)
    elif about is not None:
        orders.answer(parts.ledger, order, "withdrawn", {"reason": "file-gone"})
        return
    else:
        orders.refuse(parts.ledger, order, "file-gone")
        return
    if taken is not None:
        overtaken.expect(parts, partner, taken.stem)
        receiver.receive(parts, Arrival(partner, taken, recovered))
        if about is None:
            orders.answer_once(parts.ledger, order, "release.done")
        else:
            orders.answer(parts.ledger, order, "withdrawn", {"reason": "released"})
            overtaken.set_right(parts, partner, str(about))


def _withdraw_quarantined(parts: Parts, order: Order) -> None:
    """What nobody will ever open goes, unless it is on hold; that it was there, and who wanted it away, stays in the
    ledger. Inside one transaction: nobody can place a hold between the look and the end."""

    def record(tx: Transaction) -> None:
        path = quarantine.kept(parts, order.handover)
        if files.is_there(path) and open_holds(tx, parts.register.with_predecessors).over(order.handover):
            orders.answer_within(tx, order, orders.REFUSED, {"reason": "hold"})
            return
        files.remove(path)
        orders.answer_within(tx, order, "withdrawn", {"reason": "withdrawn"})

    parts.ledger.write(record)


def _is_named_by_a_hold(parts: Parts, order: Order) -> bool:
    """Whether a hold is on this very handover. Then it is not let out: a held file goes on as another handover, which
    that hold does not name, and whoever placed it on an envelope wants it as it is."""
    holds = open_holds(parts.ledger, parts.register.with_predecessors).over(order.handover)
    return any(hold.entry.handover is not None for hold in holds)


def _is_on_hold(parts: Parts, order: Order) -> bool:
    """Whether any hold covers it."""
    return bool(open_holds(parts.ledger, parts.register.with_predecessors).over(order.handover))
