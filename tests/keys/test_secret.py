"""A passphrase that shows nowhere."""

import copy
import json
import logging
import pickle
import traceback
from collections.abc import Callable

import pytest

from keys.secret import Secret

TEXT = "correct horse battery staple"


def test_it_shows_in_no_way_of_turning_it_into_text() -> None:
    secret = Secret(TEXT)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r}", str([secret]), str({"a": secret})]
    assert all(TEXT not in text for text in shown)


def test_it_shows_in_no_log_and_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(TEXT)
    logging.getLogger("test").warning("a secret: %s %r", secret, secret)
    assert TEXT not in caplog.text
    with pytest.raises(TypeError) as caught:
        pickle.dumps(secret)
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert "Secret('…')" in "".join(told.format())
    assert TEXT not in "".join(told.format())


@pytest.mark.parametrize("write", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps])
def test_it_is_not_written_down(write: Callable[[object], object]) -> None:
    with pytest.raises(TypeError) as caught:
        write(Secret(TEXT))
    assert TEXT not in str(caught.value)


def test_it_has_no_attribute_dictionary_and_cannot_be_hashed() -> None:
    assert not hasattr(Secret(TEXT), "__dict__")
    with pytest.raises(TypeError):
        hash(Secret(TEXT))


def test_it_is_equal_to_the_same_secret_only() -> None:
    assert Secret(TEXT) == Secret(TEXT)
    assert Secret(TEXT) != Secret(TEXT + " ")
    assert Secret(TEXT) != TEXT
    assert Secret("é\ud800") == Secret("é\ud800")
