"""Draws docs/states.svg from the table in ledger/handover.py: `python -m tests.states`. A test compares.

Where a state stands and which way an arrow goes is decided here by hand; which states and arrows there are, and where
an arrow leads, is the table's. An arrow of the table without a way here, or a way without an arrow, is an error.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ledger.entry import Direction
from ledger.handover import FINAL, TRANSITIONS, State

FILE: Final = Path(__file__).parents[1] / "docs" / "states.svg"

WIDTH, HEIGHT = 1140, 930
BOX, TALL = 148, 44
"""Size of a state's box."""

Arrow = tuple[Direction, State | None, str]
Label = tuple[int, int, str]

PLACES: Final[dict[tuple[Direction, State | None], tuple[int, int]]] = {
    ("out", None): (56, 190),
    ("out", "accepted"): (250, 190),
    ("out", "sealed"): (490, 190),
    ("out", "sent"): (730, 190),
    ("out", "acknowledged"): (1010, 190),
    ("out", "destroyed"): (1010, 330),
    ("out", "held"): (250, 330),
    ("out", "withdrawn"): (490, 330),
    ("out", "rejected"): (730, 330),
    ("in", None): (56, 540),
    ("in", "received"): (330, 540),
    ("in", "quarantined"): (330, 690),
    ("in", "delivered"): (690, 540),
    ("in", "rejected"): (690, 690),
    ("in", "withdrawn"): (330, 880),
    ("in", "destroyed"): (1010, 540),
}
"""Middle of each state's box."""

WAYS: Final[dict[Arrow, tuple[str, Label]]] = {
    ("out", None, "accepted"): ("M66 190 H172", (118, 181, "middle")),
    ("out", None, "held"): ("M60 199 C74 300 110 330 172 330", (96, 276, "start")),
    ("out", "accepted", "held"): ("M232 212 V304", (224, 264, "end")),
    ("out", "held", "accepted"): ("M268 308 V216", (276, 264, "start")),
    ("out", "accepted", "sealed"): ("M324 190 H412", (367, 181, "middle")),
    ("out", "accepted", "withdrawn"): ("M312 212 L438 304", (384, 252, "start")),
    ("out", "held", "withdrawn"): ("M324 330 H412", (366, 350, "middle")),
    ("out", "sealed", "withdrawn"): ("M490 212 V304", (498, 272, "start")),
    ("out", "sealed", "sealed"): ("M470 168 C460 128 520 128 511 164", (490, 126, "middle")),
    ("out", "sealed", "sent"): ("M564 190 H652", (607, 181, "middle")),
    ("out", "sealed", "rejected"): ("M552 212 L678 304", (624, 252, "start")),
    ("out", "sealed", "acknowledged"): ("M540 168 C640 74 860 74 966 164", (752, 86, "middle")),
    ("out", "sent", "sent"): ("M710 168 C700 128 760 128 751 164", (730, 126, "middle")),
    ("out", "sent", "sealed"): ("M656 203 H568", (612, 221, "middle")),
    ("out", "sent", "acknowledged"): ("M804 190 H932", (868, 181, "middle")),
    ("out", "sent", "rejected"): ("M730 212 V304", (738, 272, "start")),
    ("out", "withdrawn", "acknowledged"): ("M530 352 C640 400 930 400 966 216", (904, 290, "end")),
    ("out", "accepted", "renumbered"): ("M230 168 C220 128 280 128 271 164", (250, 126, "middle")),
    ("out", "sealed", "renumbered"): ("M432 168 C422 138 462 138 454 164", (426, 132, "middle")),
    ("out", "sent", "renumbered"): ("M672 168 C662 138 702 138 694 164", (664, 132, "middle")),
    ("out", "acknowledged", "destroyed"): ("M1010 212 V304", (1018, 264, "start")),
    ("in", None, "received"): ("M66 540 H252", (158, 531, "middle")),
    ("in", None, "quarantined"): ("M62 548 C80 640 150 690 252 690", (120, 628, "start")),
    ("in", None, "rejected"): ("M58 550 C60 800 500 810 636 718", (340, 784, "middle")),
    ("in", "received", "quarantined"): ("M312 562 V664", (304, 602, "end")),
    ("in", "quarantined", "received"): ("M348 668 V566", (356, 640, "start")),
    ("in", "quarantined", "rejected"): ("M404 690 H612", (508, 681, "middle")),
    ("in", "quarantined", "withdrawn"): ("M312 712 V854", (304, 806, "end")),
    ("in", "withdrawn", "quarantined"): ("M348 858 V716", (356, 842, "start")),
    ("in", "withdrawn", "received"): ("M256 880 C150 860 176 600 262 562", (186, 840, "end")),
    ("in", "withdrawn", "rejected"): ("M404 880 C560 870 670 810 690 716", (604, 850, "start")),
    ("in", "received", "delivered"): ("M404 540 H612", (508, 531, "middle")),
    ("in", "received", "rejected"): ("M388 562 L622 664", (518, 606, "start")),
    ("in", "delivered", "repeated"): ("M670 518 C660 478 720 478 711 514", (690, 476, "middle")),
    ("in", "delivered", "receipted"): ("M670 562 C660 602 720 602 711 566", (690, 610, "middle")),
    ("in", "delivered", "destroyed"): ("M764 540 H932", (848, 531, "middle")),
    ("in", "delivered", "unanswered"): ("M726 518 C718 488 758 488 750 514", (764, 484, "middle")),
    ("in", "destroyed", "unanswered"): ("M1046 518 C1038 488 1078 488 1070 514", (1084, 484, "middle")),
    ("in", "rejected", "unanswered"): ("M730 712 C722 742 762 742 754 716", (770, 754, "middle")),
    ("in", "destroyed", "repeated"): ("M990 518 C980 478 1040 478 1031 514", (1010, 476, "middle")),
    ("in", "destroyed", "receipted"): ("M990 562 C980 602 1040 602 1031 566", (1010, 610, "middle")),
    ("in", "rejected", "repeated"): ("M670 668 C660 628 720 628 711 664", (728, 648, "start")),
    ("in", "rejected", "receipted"): ("M670 712 C660 752 720 752 711 716", (690, 760, "middle")),
}
"""The line of each arrow, and where its event is written."""

HEADINGS: Final = (
    (40, "Outgoing", "what this organisation sends"),
    (430, "Incoming", "what this organisation receives"),
)

NOTES: Final = (
    (800, 640, "repeated: the same message came again"),
    (800, 658, "and gets the same receipt again; receipted:"),
    (800, 676, "the receipt went to the partner"),
    (800, 712, "A decision owes the partner a receipt,"),
    (800, 730, "except where the sender is not known"),
    (850, 766, "renumbered, unanswered:"),
    (850, 784, "the partner's ledger is a new one"),
)

STYLE: Final = """
    text { font-family: system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #1b2733; }
    .heading { font-size: 22px; font-weight: 600; }
    .aside { font-size: 14px; fill: #566573; }
    .state { font-size: 16px; font-weight: 600; text-anchor: middle; }
    .event { font-size: 14px; fill: #34495e; paint-order: stroke; stroke: #ffffff; stroke-width: 5px; }
    .open { fill: #eaf2fb; stroke: #2f6fab; stroke-width: 2; }
    .final { fill: #e9f6ec; stroke: #2e7d43; stroke-width: 3; }
    .arrow { fill: none; stroke: #566573; stroke-width: 1.8; marker-end: url(#head); }
    .start { fill: #1b2733; }
"""


def draw() -> str:
    """The picture; always the same for the same table."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    _check()
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="t d">'
    yield '  <title id="t">The life of a handover</title>'
    yield f'  <desc id="d">{_in_words()}</desc>'
    yield f"  <style>{STYLE}  </style>"
    yield "  <defs>"
    yield '    <marker id="head" viewBox="0 0 10 10" refX="7" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
    yield '      <path d="M0 0 L10 5 L0 10 z" fill="#566573"/>'
    yield "    </marker>"
    yield "  </defs>"
    yield f'  <rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
    yield '  <path d="M32 400 H1108" stroke="#d5dbe1" stroke-width="1"/>'
    for y, name, aside in HEADINGS:
        yield f'  <text class="heading" x="32" y="{y + 8}">{name}</text>'
        yield f'  <text class="aside" x="150" y="{y + 8}">{aside}</text>'
    yield from _legend()
    for arrow in TRANSITIONS:
        way, (x, y, anchor) = WAYS[arrow]
        yield f'  <path class="arrow" d="{way}"/>'
        yield f'  <text class="event" x="{x}" y="{y}" text-anchor="{anchor}">{arrow[2]}</text>'
    for (direction, state), (x, y) in PLACES.items():
        yield from _place(direction, state, x, y)
    for x, y, text in NOTES:
        yield f'  <text class="aside" x="{x}" y="{y}">{text}</text>'
    yield "</svg>"


def _place(direction: Direction, state: State | None, x: int, y: int) -> Iterator[str]:
    if state is None:
        yield f'  <circle class="start" cx="{x}" cy="{y}" r="9"/>'
        return
    kind = "final" if state in FINAL[direction] else "open"
    yield f'  <rect class="{kind}" x="{x - BOX // 2}" y="{y - TALL // 2}" width="{BOX}" height="{TALL}" rx="10"/>'
    yield f'  <text class="state" x="{x}" y="{y + 6}">{state}</text>'


def _legend() -> Iterator[str]:
    yield '  <circle class="start" cx="640" cy="43" r="7"/><text class="aside" x="654" y="48">not known yet</text>'
    yield '  <rect class="open" x="770" y="33" width="30" height="20" rx="6"/>'
    yield '  <text class="aside" x="808" y="48">something is left to do</text>'
    yield '  <rect class="final" x="980" y="33" width="30" height="20" rx="6"/>'
    yield '  <text class="aside" x="1018" y="48">decided</text>'


def _in_words() -> str:
    return "; ".join(
        f"{direction}: {before or 'nothing'} becomes {after} by {event}"
        for (direction, before, event), after in TRANSITIONS.items()
    )


def _check() -> None:
    if set(WAYS) != set(TRANSITIONS):
        raise ValueError(f"no way is drawn, or no arrow is in the table, for {set(WAYS) ^ set(TRANSITIONS)}")
    wanted = {(way, before) for way, before, _ in TRANSITIONS} | {(way[0], to) for way, to in TRANSITIONS.items()}
    if set(PLACES) != wanted:
        raise ValueError(f"no place is given, or no state is in the table, for {set(PLACES) ^ wanted}")


if __name__ == "__main__":
    FILE.write_text(draw(), encoding="utf-8")
