"""The passphrase type: its work is bounded, it stands alone, and the passphrase does not show."""

import subprocess
import sys

import pytest

from keys.age import HeaderFailure, InvalidKey, ScryptIdentity, ScryptRecipient, Stanza, raw64

FILE_KEY = b"sixteen byte key"
PASSPHRASE = "ein Ersatzschlüssel 钥匙"
STANZA = ScryptRecipient(PASSPHRASE, work_factor=3).wrap(FILE_KEY)[0]
SALT = STANZA.args[1]


def test_the_passphrase_gets_the_file_key_back_and_another_does_not() -> None:
    assert ScryptIdentity(PASSPHRASE).unwrap([STANZA]) == FILE_KEY
    assert ScryptIdentity(PASSPHRASE.encode()).unwrap([STANZA]) == FILE_KEY
    assert ScryptIdentity(PASSPHRASE + " ").unwrap([STANZA]) is None
    assert ScryptIdentity(PASSPHRASE).recipient().kind == ScryptIdentity(PASSPHRASE).kind == "scrypt"


def test_the_stanza_names_salt_and_work_factor_and_is_fresh_each_time() -> None:
    (again,) = ScryptRecipient(PASSPHRASE, work_factor=3).wrap(FILE_KEY)
    assert (STANZA.type, STANZA.args[2], len(raw64.decode(SALT) or b""), len(STANZA.body)) == ("scrypt", "3", 16, 32)
    assert again.args[1] != SALT
    assert ScryptRecipient(PASSPHRASE).work_factor == 18


@pytest.mark.parametrize(
    "factor",
    ["0", "01", "+3", "-3", " 3", "3 ", "0x3", "3a", "a3", "3.0", "3e0", "", "³", "٣", "1_0", "\n3", "3\n"],
)
def test_a_work_factor_that_is_not_a_plain_number_is_refused(factor: str) -> None:
    with pytest.raises(HeaderFailure, match="not a plain decimal number"):
        ScryptIdentity(PASSPHRASE).unwrap([Stanza(("scrypt", SALT, factor), STANZA.body)])


@pytest.mark.parametrize("factor", ["23", "30", "64", "99", "100", "18446744073709551634", "9" * 10_000])
def test_a_work_factor_beyond_the_limit_is_refused_without_doing_the_work(factor: str) -> None:
    with pytest.raises(HeaderFailure, match="greater than 22"):
        ScryptIdentity(PASSPHRASE).unwrap([Stanza(("scrypt", SALT, factor), STANZA.body)])


TIGHT = """
import resource
from keys.age import HeaderFailure, ScryptIdentity, Stanza
resource.setrlimit(resource.RLIMIT_AS, (700 << 20, 700 << 20))
try:
    ScryptIdentity("x").unwrap([Stanza(("scrypt", "A" * 22, "20"), bytes(32))])
except HeaderFailure as error:
    print(error.message)
"""


def test_a_work_factor_that_the_memory_does_not_allow_is_refused_as_such() -> None:
    done = subprocess.run([sys.executable, "-c", TIGHT], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "there is not enough memory for a passphrase of work factor 20\n"


def test_the_limit_can_be_lowered() -> None:
    assert ScryptIdentity(PASSPHRASE, max_work_factor=3).unwrap([STANZA]) == FILE_KEY
    with pytest.raises(HeaderFailure, match="greater than 2"):
        ScryptIdentity(PASSPHRASE, max_work_factor=2).unwrap([STANZA])


@pytest.mark.parametrize(
    ("stanza", "why"),
    [
        (Stanza(("scrypt", SALT), STANZA.body), "2 arguments instead of 3"),
        (Stanza(("scrypt", SALT, "3", "x"), STANZA.body), "4 arguments instead of 3"),
        (Stanza(("scrypt", SALT, "3"), STANZA.body[:-1]), "file key of 16 bytes"),
        (Stanza(("scrypt", SALT, "3"), STANZA.body + b"x"), "file key of 16 bytes"),
        (Stanza(("scrypt", raw64.encode(bytes(15)), "3"), STANZA.body), "16 bytes of canonical base64"),
        (Stanza(("scrypt", raw64.encode(bytes(17)), "3"), STANZA.body), "16 bytes of canonical base64"),
        (Stanza(("scrypt", SALT + "==", "3"), STANZA.body), "16 bytes of canonical base64"),
    ],
)
def test_a_malformed_stanza_is_refused_for_its_reason(stanza: Stanza, why: str) -> None:
    with pytest.raises(HeaderFailure, match=why):
        ScryptIdentity(PASSPHRASE).unwrap([stanza])


@pytest.mark.parametrize("others", [[STANZA], [Stanza(("x",), b"")]])
def test_a_stanza_in_company_is_refused_in_either_order(others: list[Stanza]) -> None:
    for stanzas in ([STANZA, *others], [*others, STANZA]):
        with pytest.raises(HeaderFailure, match="not the only one"):
            ScryptIdentity(PASSPHRASE).unwrap(stanzas)


def test_stanzas_of_other_types_are_ignored() -> None:
    assert ScryptIdentity(PASSPHRASE).unwrap([Stanza(("SCRYPT", SALT, "3"), STANZA.body)]) is None
    assert ScryptIdentity(PASSPHRASE).unwrap([Stanza(("x",), b""), Stanza(("y",), b"")]) is None
    assert ScryptIdentity(PASSPHRASE).unwrap([]) is None


@pytest.mark.parametrize("passphrase", ["", b"", "\ud800"])
def test_a_passphrase_that_is_none_is_refused(passphrase: str | bytes) -> None:
    with pytest.raises(InvalidKey, match="passphrase"):
        ScryptIdentity(passphrase)
    with pytest.raises(InvalidKey, match="passphrase"):
        ScryptRecipient(passphrase)


@pytest.mark.parametrize("factor", [0, -1, 23])
def test_a_work_factor_that_we_would_not_read_is_not_written(factor: int) -> None:
    with pytest.raises(InvalidKey, match="between 1 and 22"):
        ScryptRecipient(PASSPHRASE, work_factor=factor)


def test_the_passphrase_does_not_show() -> None:
    for shown in (ScryptIdentity(PASSPHRASE), ScryptRecipient(PASSPHRASE)):
        assert "Ersatz" not in repr(shown) + str(shown)
