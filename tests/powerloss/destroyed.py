"""The recorded destructions, and the hold that forbids one.

due        the original is whole and nothing says that it was destroyed, or the intention is recorded and the next
           round finishes it, with one certificate
hold …     from the end of the command until the hold is lifted the file is whole in its place, whoever asks
held back  a hold that came in the midst of a destruction: the file goes back to its place
"""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from unittest.mock import patch

from config.home import Home
from exchange import legal_holds, locate
from exchange.archive import RECEIPT
from exchange.legal_holds import Scope
from tests.exchange.crashes import Crash
from tests.faults.invariant import Finding
from tests.organisations import CASE, DECISION, Organisation
from tests.powerloss.desk import (
    CONTENT,
    NAME,
    RUN,
    Case,
    expect,
    files_below,
    holders,
    together,
    two_homes,
    unverifiable,
    within,
)

AT_ONCE = '\n[partners.ofsted]\nkeep_sent = "1ms"\n'
"""What was acknowledged is to be destroyed in the next round."""

KEPT = f"sent/{'/'.join(DECISION)}/{NAME}"
REFUSED = 1
"""Exit code of what a hold forbids."""


def cases() -> list[Case]:
    """Every way to the end of a copy, and what keeps it."""
    return [
        Case(_due, lambda desk: {"due": [*within("lgsco", desk), *RUN]}, _look_at_due),
        Case(_due, _hold, _look_at_hold, frozenset({0, REFUSED})),
        Case(_held_back, lambda desk: {"held back": [*within("lgsco", desk), *RUN]}, _look_at_held_back),
    ]


# --- before -----------------------------------------------------------------------------------------------------------


def _due(desk: Path) -> None:
    two_homes(desk)
    config = Home.open(desk / "lgsco").config_file
    config.write_text(config.read_text() + AT_ONCE)
    with together(desk) as pair:
        pair.lgsco.drop(CONTENT)
        pair.settle()
        assert pair.lgsco.states() == ["acknowledged"]


def _held_back(desk: Path) -> None:
    """A destruction was cut off when the file lay in the spool, and then the hold came."""
    _due(desk)
    with together(desk) as pair, patch.object(locate, "require_at", side_effect=Crash):
        pair.clock.advance(seconds=1)
        with contextlib.suppress(Crash):
            pair.lgsco.retain()
        legal_holds.place(pair.lgsco.parts, Scope(reference=CASE), "Kim Example", "judicial review")
        assert holders(pair.lgsco.home) != [KEPT]


def _hold(desk: Path) -> Mapping[str, list[str]]:
    """The numbers of entries are those that come next."""
    with together(desk) as pair:
        identifier, number = pair.lgsco.handovers()[0].id, pair.lgsco.parts.ledger.size
    home = within("lgsco", desk)
    return {
        "hold": [*home, "hold", "--reference", CASE, "--reason", "judicial review"],
        "hold, run": [*home, *RUN],
        "hold, destroy": [*home, "destroy", identifier, "--reason", "sent in error"],
        "unhold": [*home, "unhold", str(number), "--reason", "the review has ended"],
        "unhold, run": [*home, *RUN],
    }


# --- after ------------------------------------------------------------------------------------------------------------


def _look_at_due(desk: Path, done: int) -> list[Finding]:
    with together(desk) as pair:
        found = _before_the_next_round(pair.lgsco)
        if done:
            found += expect("lost", "states", ["destroyed"], pair.lgsco.states())
        pair.clock.advance(seconds=1)
        pair.lgsco.retain()
        found += _is_destroyed(pair.lgsco)
        found += expect("lost", "the partner's copy", 1, len(holders(pair.ofsted.home)))
        return found + unverifiable(pair.lgsco, pair.ofsted)


def _before_the_next_round(one: Organisation) -> list[Finding]:
    """No certificate of what is there, and no file gone without an intention."""
    there, events = holders(one.home), one.events()
    if "destroyed" in events:
        return expect("doubled", "what the certificate says is gone", [], there)
    if "destruction.begun" not in events:
        return expect("lost", "places", [KEPT], there)
    return expect("doubled", "places", True, len(there) < 2)


def _is_destroyed(one: Organisation) -> list[Finding]:
    found = expect("stuck", "states", ["destroyed"], one.states())
    found += expect("doubled", "certificates", 1, one.events().count("destroyed"))
    found += expect("stuck", "failures", 0, one.events().count("destruction.failed"))
    return found + expect("left over", "files", [], holders(one.home) + _left(one))


def _left(one: Organisation) -> list[str]:
    return files_below(one.home.spool) + files_below(one.home.sent)


def _look_at_hold(desk: Path, done: int) -> list[Finding]:
    with together(desk) as pair:
        one, events = pair.lgsco, pair.lgsco.events()
        held = "hold.placed" in events and "hold.lifted" not in events
        found = [] if done < 1 or "hold.placed" in events else [Finding("lost", "the hold")]
        found += [Finding("lost", "its lifting")] if done > 3 and held else []
        found += _is_kept(one) if held else _before_the_next_round(one)
        pair.clock.advance(seconds=1)
        for _ in range(2):
            one.retain()
        return found + (_is_kept(one) if held else _is_destroyed(one)) + unverifiable(one)


def _is_kept(one: Organisation) -> list[Finding]:
    found = expect("lost", "places of what is held", [KEPT], holders(one.home))
    found += expect("lost", "states", ["acknowledged"], one.states())
    return found + expect("lost", "beside it", [KEPT, KEPT + RECEIPT], [f"sent/{path}" for path in _left(one)])


def _look_at_held_back(desk: Path, done: int) -> list[Finding]:
    with together(desk) as pair:
        one = pair.lgsco
        found = expect("lost", "places of what is held", 1, len(holders(one.home)))
        if done:
            found += _is_kept(one)
        pair.clock.advance(seconds=1)
        one.retain()
        found += expect("doubled", "ends of the destruction", 1, one.events().count("destruction.stopped"))
        return found + _is_kept(one) + unverifiable(one)
