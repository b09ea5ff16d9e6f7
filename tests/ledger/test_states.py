"""docs/states.svg is what ledger/handover.py says, and every arrow ends at the state that the table names."""

import re
from xml.etree import ElementTree

import pytest

from ledger.handover import TRANSITIONS
from tests import states

NUMBER = re.compile(r"-?\d+")


def test_the_picture_is_the_one_that_the_table_makes() -> None:
    assert states.FILE.read_text(encoding="utf-8") == states.draw(), "run python -m tests.states"


def test_the_picture_is_well_formed_and_names_every_event() -> None:
    picture = ElementTree.fromstring(states.draw())
    texts = [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert all(texts.count(event) >= 1 for _, _, event in TRANSITIONS)


@pytest.mark.parametrize("arrow", sorted(TRANSITIONS, key=str))
def test_an_arrow_begins_and_ends_at_its_states(arrow: states.Arrow) -> None:
    way, _ = states.WAYS[arrow]
    first, last = _ends(way)
    assert _near(first, states.PLACES[arrow[0], arrow[1]]), "begins"
    assert _near(last, states.PLACES[arrow[0], TRANSITIONS[arrow]]), "ends"


def test_no_two_boxes_overlap() -> None:
    middles = list(states.PLACES.values())
    for i, (x, y) in enumerate(middles):
        for other_x, other_y in middles[i + 1 :]:
            assert abs(x - other_x) > states.BOX or abs(y - other_y) > states.TALL


def test_a_table_with_another_arrow_is_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    arrows = {**TRANSITIONS, ("out", "sent", "held"): "held"}
    monkeypatch.setattr(states, "TRANSITIONS", arrows)
    with pytest.raises(ValueError, match="no way is drawn"):
        states.draw()


def _ends(way: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """First and last point of a path of M, L, C, H and V with absolute numbers."""
    points: list[tuple[int, int]] = []
    for letter, rest in re.findall(r"([MLCHV])([^MLCHV]*)", way):
        numbers = [int(number) for number in NUMBER.findall(rest)]
        if letter == "H":
            points.append((numbers[0], points[-1][1]))
        elif letter == "V":
            points.append((points[-1][0], numbers[0]))
        else:
            points.append((numbers[-2], numbers[-1]))
    return points[0], points[-1]


def _near(point: tuple[int, int], middle: tuple[int, int]) -> bool:
    """Whether a point lies on or just outside the box."""
    return abs(point[0] - middle[0]) <= states.BOX // 2 + 8 and abs(point[1] - middle[1]) <= states.TALL // 2 + 8
