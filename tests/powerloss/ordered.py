"""The recorded orders about one file: somebody lets it go or withdraws it, and the next run carries that out.

    held         it goes back to its folder with its sidecar, and from there to the partner; or stays, as withdrawn
    outgoing     what was sealed and not sent goes to held/
    quarantine   what could not be believed is kept, each thing once
    quarantined  it is delivered, now that it is whole, or thrown away; also one that is kept under an id of ours

At every moment the file is in exactly one place. An order that was recorded is carried out; before that nothing moves.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from config.home import Home
from exchange import rounds
from exchange.drop import SIDECAR, WHY
from tests.faults.invariant import Finding
from tests.organisations import CASE, DECISION, Organisation, Pair
from tests.powerloss.desk import (
    CONTENT,
    NAME,
    RUN,
    UNREACHABLE,
    Case,
    Look,
    expect,
    files_below,
    holders,
    together,
    two_homes,
    unverifiable,
    within,
)

UNNAMED = "decision.pdf"
"""A file that is held, for its name holds no reference."""

FORGED = b"forged"
ENVELOPE = "envelope"
"""A whole envelope, kept beside the homes to compare with."""


def cases() -> list[Case]:
    """Every order about one file."""
    return [
        _case("release held", "lgsco", "release", _held, _look_at_released),
        _case("withdraw held", "lgsco", "withdraw", _held, _look_at_withdrawn_held),
        _case("withdraw sealed", "lgsco", "withdraw", _outgoing, _look_at_withdrawn),
        Case(_landed, lambda desk: {"quarantine": [*within("ofsted", desk), *RUN]}, _look_at_quarantine),
        _case("release quarantined", "ofsted", "release", _quarantined, _look_at_let_out),
        _case("release a copy", "ofsted", "release", _copy, _look_at_copy),
        _case("withdraw quarantined", "ofsted", "withdraw", _quarantined, _look_at_thrown_away),
    ]


def _case(moment: str, who: str, order: str, prepare: Callable[[Path], None], look: Look) -> Case:
    def acts(desk: Path) -> Mapping[str, list[str]]:
        with together(desk) as pair:
            identifier = (pair.lgsco if who == "lgsco" else pair.ofsted).handovers()[-1].id
        return {
            moment: [*within(who, desk), order, identifier],
            f"{moment}, run": [*within(who, desk), *RUN],
        }

    return Case(prepare, acts, look, frozenset({0, UNREACHABLE}))


# --- before -----------------------------------------------------------------------------------------------------------


def _held(desk: Path) -> None:
    """Held for want of a reference, which somebody has added to its sidecar since."""
    two_homes(desk)
    with together(desk) as pair:
        path = pair.lgsco.drop(CONTENT, UNNAMED)
        path.with_name(UNNAMED + SIDECAR).write_text("event_date = 2026-10-01\n")
        pair.settle()
        assert pair.lgsco.states() == ["held"]
        (pair.lgsco.home.held / "ofsted" / (UNNAMED + SIDECAR)).write_text(f'reference = "{CASE}"\n')


def _outgoing(desk: Path) -> None:
    two_homes(desk)
    with together(desk) as pair:
        pair.lgsco.drop(CONTENT)
        pair.lgsco.take()
        rounds.seal_accepted(pair.lgsco.parts, "ofsted")


def _spoilt(desk: Path) -> tuple[str, bytes]:
    """An envelope that lost its last byte lies in the landing zone: its name, and the whole of it."""
    two_homes(desk)
    with together(desk) as pair:
        pair.lgsco.drop(CONTENT)
        pair.lgsco.take()
        pair.lgsco.send()
        (landed,) = pair.ofsted.landing().iterdir()
        whole = landed.read_bytes()
        landed.write_bytes(whole[:-1])
    (desk / ENVELOPE).write_bytes(whole)
    return landed.name, whole


def _landed(desk: Path) -> None:
    _spoilt(desk)
    with together(desk) as pair:
        (pair.ofsted.landing() / "what is this.txt").write_bytes(FORGED)


def _quarantined(desk: Path) -> None:
    """Somebody has mended it."""
    name, whole = _spoilt(desk)
    with together(desk) as pair:
        pair.ofsted.receive()
        (pair.ofsted.home.quarantine / "lgsco" / name).write_bytes(whole)


def _copy(desk: Path) -> None:
    """The true one is kept under an id of ours, for under its own there was a forged one."""
    name, whole = _spoilt(desk)
    with together(desk) as pair:
        spoilt = pair.ofsted.landing() / name
        spoilt.write_bytes(FORGED)
        pair.ofsted.receive()
        spoilt.write_bytes(whole[:-1])
        pair.clock.advance(seconds=1)
        pair.ofsted.receive()
        forged, kept = pair.ofsted.handovers()
        assert forged.id == Path(name).stem
        (pair.ofsted.home.quarantine / "lgsco" / f"{kept.id}.age").write_bytes(whole)


# --- after ------------------------------------------------------------------------------------------------------------


def _is_ordered(one: Organisation, order: str, done: int) -> tuple[bool, list[Finding]]:
    """Whether the order is on the record; it must be once the command has ended."""
    ordered = f"{order}.asked" in one.events()
    return ordered, [] if ordered or not done else [Finding("lost", f"the order to {order}")]


def _in_one_place(desk: Path) -> list[Finding]:
    return expect("lost", "places of the file", 1, len(holders(Home.open(desk / "lgsco"))))


def _look_at_released(desk: Path, done: int) -> list[Finding]:
    found = _in_one_place(desk)
    with together(desk) as pair:
        ordered, lost = _is_ordered(pair.lgsco, "release", done)
        pair.settle()
        one = pair.lgsco
        if not ordered:
            return [*found, *lost, *_lies_in_held(one)]
        found += expect("stuck", "states", ["withdrawn", "acknowledged"], one.states())
        found += expect("lost", "places", [f"sent/{'/'.join(DECISION)}/{UNNAMED}"], holders(one.home))
        found += expect("left over", "in held and outbound", [], _waiting(one.home))
        said = [one.parts.ledger.openings(handover.first_seq).get("reference") for handover in one.handovers()[1:]]
        found += expect("lost", "what the sidecar says", [CASE], said)
        return found + lost + unverifiable(pair.lgsco, pair.ofsted)


def _waiting(home: Home) -> list[str]:
    return files_below(home.held) + files_below(home.outbound)


def _lies_in_held(one: Organisation, state: str = "held") -> list[Finding]:
    wanted = [f"ofsted/{UNNAMED}", f"ofsted/{UNNAMED}{SIDECAR}", f"ofsted/{UNNAMED}{WHY}"]
    found = expect("lost", "states", [state], one.states())
    return found + expect("lost", "in held", wanted, _waiting(one.home)) + unverifiable(one)


def _look_at_withdrawn_held(desk: Path, done: int) -> list[Finding]:
    found = _in_one_place(desk)
    with together(desk) as pair:
        ordered, lost = _is_ordered(pair.lgsco, "withdraw", done)
        pair.settle()
        return [*found, *lost, *_lies_in_held(pair.lgsco, "withdrawn" if ordered else "held")]


def _look_at_withdrawn(desk: Path, done: int) -> list[Finding]:
    found = _in_one_place(desk)
    with together(desk) as pair:
        ordered, lost = _is_ordered(pair.lgsco, "withdraw", done)
        pair.settle()
        one = pair.lgsco
        if ordered:
            found += expect("stuck", "states", ["withdrawn"], one.states())
            found += expect(
                "lost", "in held and outbound", [f"ofsted/{NAME}", f"ofsted/{NAME}{WHY}"], _waiting(one.home)
            )
            found += expect("doubled", "with the partner", [], holders(pair.ofsted.home))
        else:
            found += expect("stuck", "states", ["acknowledged"], one.states())
            found += expect("lost", "with the partner", 1, len(holders(pair.ofsted.home)))
        found += expect("left over", "in the spool", [], files_below(one.home.spool))
        return found + lost + unverifiable(pair.lgsco, pair.ofsted)


def _look_at_quarantine(desk: Path, done: int) -> list[Finding]:
    whole = (desk / ENVELOPE).read_bytes()
    found = []
    for content in (whole[:-1], FORGED):
        found += expect("lost", "places of what came", 1, len(holders(Home.open(desk / "ofsted"), content)))
    with together(desk) as pair:
        if done:
            found += expect("lost", "events", 2, pair.ofsted.events().count("quarantined"))
        for _ in range(2):
            pair.ofsted.receive()
        one = pair.ofsted
        found += expect("stuck", "states", ["quarantined"] * 2, one.states("in"))
        kept = {f"lgsco/{handover.id}.age" for handover in one.handovers()}
        found += expect("lost", "what is kept", sorted(kept), files_below(one.home.quarantine))
        for content in (whole[:-1], FORGED):
            found += expect("doubled", "places of what came", 1, len(holders(one.home, content)))
        return found + unverifiable(one)


def _envelope_or_content(desk: Path) -> list[Finding]:
    """The envelope is there, or what was in it: an envelope goes when its content has come."""
    home = Home.open(desk / "ofsted")
    envelopes = holders(home, (desk / ENVELOPE).read_bytes())
    delivered = [path for path in holders(home) if path.startswith("inbound/")]
    found = [] if envelopes or delivered else [Finding("lost", "the envelope and its content")]
    return found + expect("doubled", "places", True, len(envelopes) < 2 and len(delivered) < 2)


def _delivered(pair: Pair) -> list[Finding]:
    pair.settle()
    where = f"inbound/lgsco/{'/'.join(DECISION[1:])}/{NAME}"
    found = expect("lost", "the delivery", [where], holders(pair.ofsted.home))
    found += expect("stuck", "states of the sender", ["acknowledged"], pair.lgsco.states())
    found += expect("doubled", "deliveries", 1, pair.ofsted.events().count("delivered"))
    found += expect("left over", "in the spool", [], files_below(pair.ofsted.home.spool))
    return found + unverifiable(pair.lgsco, pair.ofsted)


def _look_at_let_out(desk: Path, done: int) -> list[Finding]:
    found = _envelope_or_content(desk)
    with together(desk) as pair:
        ordered, lost = _is_ordered(pair.ofsted, "release", done)
        if not ordered:
            pair.settle()
            return found + lost + expect("lost", "states", ["quarantined"], pair.ofsted.states("in"))
        found += _delivered(pair)
        found += expect("stuck", "states", ["delivered"], pair.ofsted.states("in"))
        found += expect("left over", "in quarantine", [], files_below(pair.ofsted.home.quarantine))
        found += expect("stuck", "refused orders", 0, pair.ofsted.events().count("order.refused"))
        return found + lost


def _look_at_copy(desk: Path, done: int) -> list[Finding]:
    found = _envelope_or_content(desk)
    with together(desk) as pair:
        ordered, lost = _is_ordered(pair.ofsted, "release", done)
        if not ordered:
            pair.settle()
            return found + lost + expect("lost", "states", ["quarantined"] * 2, pair.ofsted.states("in"))
        found += _delivered(pair)
        found += expect("stuck", "states", ["delivered", "withdrawn", "quarantined"], pair.ofsted.states("in"))
        found += expect("lost", "the forged one", 1, len(files_below(pair.ofsted.home.quarantine)))
        found += expect("stuck", "refused orders", 0, pair.ofsted.events().count("order.refused"))
        return found + lost


def _look_at_thrown_away(desk: Path, done: int) -> list[Finding]:
    whole = (desk / ENVELOPE).read_bytes()
    with together(desk) as pair:
        one = pair.ofsted
        ordered, found = _is_ordered(one, "withdraw", done)
        if one.states("in") == ["withdrawn"]:
            found += expect("doubled", "what was thrown away", [], holders(one.home, whole))
        pair.ofsted.receive()
        found += expect("stuck", "states", ["withdrawn" if ordered else "quarantined"], one.states("in"))
        found += expect("lost", "what is kept", 0 if ordered else 1, len(files_below(one.home.quarantine)))
        return found + unverifiable(one)
