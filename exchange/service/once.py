"""`run --once`: empties all folders in one pass after another, then ends."""

import time
from collections.abc import Callable
from functools import partial

from config.errors import HandoverError, Tampered
from exchange import embedded, retention, rounds
from exchange.collect import PickUp, collect
from exchange.drop import Completeness
from exchange.parts import Parts
from exchange.rounds import Connection
from exchange.service.keycheck import UNFIT, check_keys
from exchange.service.log import Log
from exchange.service.selfcheck import check_ledger

LONGEST_WAIT = 60.0
"""Seconds that files still being written are waited for; what grows longer is left to the next run."""


def run_once(parts: Parts, log: Log) -> None:
    """Take, send and receive until nothing moves; raises the first failure at the end, after all else was tried.

    Evidence of tampering ends it at once.
    """
    first_seq = parts.ledger.size
    for unfit in check_keys(parts):
        log(UNFIT, **unfit.ids())
    check_ledger(parts)
    rounds.recover(parts)
    server = embedded.serve(parts) if parts.home.settings.landing.embedded else None
    completeness = Completeness(parts.home.settings.watch.quiet.total_seconds(), parts.effects.monotonic)
    connections = {partner: Connection(partner) for partner in parts.agreements}
    pickups = {partner: PickUp(partner) for partner in parts.agreements}
    failures: dict[str, HandoverError | OSError] = {}
    deadline = parts.effects.monotonic() + LONGEST_WAIT
    try:
        while True:
            moved = _try(failures, "drop", partial(rounds.take_dropped, parts, completeness))
            for partner, connection in connections.items():
                if f"co:{partner}" not in failures:
                    moved += _try(failures, f"co:{partner}", partial(collect, parts, pickups[partner]))
                moved += _try(failures, f"in:{partner}", partial(rounds.receive_landed, parts, partner))
                if f"out:{partner}" not in failures:
                    moved += _try(failures, f"out:{partner}", partial(rounds.seal_and_send, parts, connection))
            moved += _try(failures, "retention", partial(retention.retain, parts))
            waiting = completeness.waiting()
            if not moved and (waiting is None or parts.effects.monotonic() > deadline):
                break
            if not moved and waiting is not None:
                time.sleep(max(waiting, 0.02))
    finally:
        for connection in (*connections.values(), *pickups.values()):
            connection.close()
        if server is not None:
            server.close()
        for entry in parts.ledger.entries(first_seq, parts.ledger.size):
            log(entry.event, seq=entry.seq, handover=entry.handover, partner=entry.partner)
    for problem in failures.values():
        raise problem


def _try(failures: dict[str, HandoverError | OSError], name: str, round_: Callable[[], int]) -> int:
    try:
        return round_()
    except Tampered:
        raise
    except (HandoverError, OSError) as problem:
        failures.setdefault(name, problem)
        return 0
