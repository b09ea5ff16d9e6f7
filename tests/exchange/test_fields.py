import re
from collections.abc import Callable
from typing import Any

import pytest

from exchange.envelope.fields import CODE, MAX_INTEGER, Fields, ManifestError

WORD = re.compile(r"[a-z]+")


@pytest.mark.parametrize(
    ("take", "value"),
    [
        (lambda fields: fields.text("x", WORD), "red"),
        (lambda fields: fields.optional_text("x", WORD), "red"),
        (lambda fields: fields.integer("x", least=0), MAX_INTEGER),
        (lambda fields: fields.integer("x", least=-1), -1),
        (lambda fields: fields.time("x"), "2026-11-23T10:15:00Z"),
        (lambda fields: fields.date("x"), "2028-02-29"),
        (lambda fields: fields.texts("x", WORD, most=2), ("red", "blue")),
        (lambda fields: fields.object("x"), {"y": 1}),
    ],
)
def test_a_field_of_the_right_form_is_taken_once(take: Callable[[Fields], Any], value: Any) -> None:
    fields = Fields({"x": value}, "a thing")
    assert fields.has("x")
    assert take(fields) == value
    assert not fields.has("x")
    fields.done()


@pytest.mark.parametrize(
    ("take", "wrong"),
    [
        (lambda fields: fields.text("x", WORD), ["", "Red", "red\n", 1, None, ["red"]]),
        (lambda fields: fields.optional_text("x", WORD), ["", None]),
        (lambda fields: fields.integer("x", least=0), [-1, MAX_INTEGER + 1, True, "1", None]),
        (lambda fields: fields.time("x"), ["2026-11-23", "2026-11-23T25:00:00Z", 0, None]),
        (lambda fields: fields.date("x"), ["2026-02-29", "2026-11-23T10:15:00Z", 0, None]),
        (lambda fields: fields.texts("x", WORD, most=2), [["a", "b", "c"], ["A"], [1], "a", None, {}]),
        (lambda fields: fields.object("x"), [[], "", None]),
    ],
)
def test_a_field_of_another_form_is_refused_by_its_name(take: Callable[[Fields], Any], wrong: list[Any]) -> None:
    for value in wrong:
        with pytest.raises(ManifestError, match=r"^a thing .*\bx\b") as caught:
            take(Fields({"x": value}, "a thing", reason="bad-thing"))
        assert caught.value.reason == "bad-thing"


def test_a_field_that_may_be_absent_is_none_then() -> None:
    fields = Fields({}, "a thing")
    assert fields.optional_text("x", WORD) is None
    assert fields.date("x") is None


def test_what_was_not_taken_is_refused() -> None:
    with pytest.raises(ManifestError, match="a thing holds a field that is not known there"):
        Fields({"secret": 1}, "a thing").done()


@pytest.mark.parametrize("value", [None, [], "x", 1, True])
def test_what_is_no_object_has_no_fields(value: Any) -> None:
    with pytest.raises(ManifestError, match="a thing is not an object"):
        Fields(value, "a thing")


def test_the_object_itself_is_left_as_it_was() -> None:
    value = {"x": "red"}
    Fields(value, "a thing").text("x", CODE)
    assert value == {"x": "red"}
