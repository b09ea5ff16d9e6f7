"""Keys in a real token: made, used and destroyed there; what is wrong with it is said, and nothing else is used."""

import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pkcs11
import pytest
from pkcs11 import _pkcs11
from pkcs11.types import SignMixin

from config.errors import Misuse, NotNow
from keys import token as token_module
from keys import token_uri
from keys.key_errors import ExposedKey, MissingKey, NoTokens, SwappedKey, TokenAway, UnfitToken, WrongPin
from keys.openssh import PublicKey
from keys.secret import Secret
from keys.token import Token
from keys.token_uri import TokenUri
from tests import softhsm
from tests.softhsm import LABEL, MODULE, PIN, SoftHsm

MESSAGE = b"the message"
ANOTHER = Path(_pkcs11.__file__)
"""A shared library that is no module."""


@pytest.fixture
def hsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoftHsm]:
    made = SoftHsm(tmp_path / "hsm")
    made.init()
    monkeypatch.setenv("SOFTHSM2_CONF", str(made.conf))
    yield made
    softhsm.forget()


def new(token: Token, label: str = "lgsco signing key 2") -> TokenUri:
    return token.place(label, secrets.token_bytes(token_uri.ID_BYTES))


def works(token: Token, place: TokenUri, raw: bytes) -> bool:
    return PublicKey(raw).accepts(token.sign(place, "signing key 2", MESSAGE), MESSAGE)


# --- at work ----------------------------------------------------------------------------------------------------------


def test_a_key_is_made_in_the_token_and_signs_like_any_other(hsm: SoftHsm) -> None:
    token = hsm.token()
    place = new(token)
    raw = token.generate(place)
    assert works(token, place, raw)
    assert not PublicKey(raw).accepts(token.sign(place, "signing key 2", MESSAGE), b"another message")
    listed = hsm.tool("--list-objects", "--type", "privkey")
    assert "EC_EDWARDS" in listed
    assert "sensitive, always sensitive, never extractable, local" in listed
    assert f"ID:         {place.id.hex()}" in listed
    assert hsm.labels() == ["lgsco signing key 2"]


def test_the_private_half_does_not_come_out(hsm: SoftHsm) -> None:
    token = hsm.token()
    place = new(token)
    token.generate(place)
    found = pkcs11.lib(str(MODULE)).get_token(token_label=LABEL).open().get_objects({pkcs11.Attribute.ID: place.id})
    [private] = [one for one in found if one[pkcs11.Attribute.CLASS] == pkcs11.ObjectClass.PRIVATE_KEY]
    with pytest.raises(pkcs11.AttributeSensitive):
        print(private[pkcs11.Attribute.VALUE])
    with pytest.raises(pkcs11.PKCS11Error):
        private[pkcs11.Attribute.EXTRACTABLE] = True
    assert private[pkcs11.Attribute.EXTRACTABLE] is False


def test_a_token_signs_for_several_threads_at_once(hsm: SoftHsm) -> None:
    token, other = hsm.token(), hsm.token()
    places = {place: token.generate(place) for place in (new(token), new(token))}
    wrong: list[object] = []

    def work(mine: Token, place: TokenUri, raw: bytes) -> None:
        for number in range(25):
            data = b"%d" % number
            if not PublicKey(raw).accepts(mine.sign(place, "signing key 2", data), data):
                wrong.append(number)

    threads = [
        threading.Thread(target=work, args=(mine, place, raw))
        for mine in (token, other)
        for place, raw in places.items()
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    assert not any(thread.is_alive() for thread in threads)


def test_a_destroyed_key_is_gone_and_destroyed_already_is_destroyed(hsm: SoftHsm) -> None:
    token = hsm.token()
    kept, gone = new(token, "kept"), new(token, "gone")
    raw = token.generate(kept)
    token.generate(gone)
    token.destroy(gone)
    token.destroy(gone)
    assert hsm.labels() == ["kept"]
    assert gone.id.hex() not in hsm.tool("--list-objects")
    with pytest.raises(MissingKey, match="the private half of signing key 2 is not in the token"):
        token.sign(gone, "signing key 2", MESSAGE)
    assert works(token, kept, raw)


def test_what_was_begun_is_made_anew_in_its_place(hsm: SoftHsm) -> None:
    token = hsm.token()
    place = new(token)
    first, second = token.generate(place), token.generate(place)
    assert first != second
    assert works(token, place, second)
    assert hsm.labels() == ["lgsco signing key 2"]


def test_a_key_that_another_process_made_or_destroyed_is_noticed(hsm: SoftHsm) -> None:
    token = hsm.token()
    place = new(token)
    raw = token.generate(place)
    assert works(token, place, raw)
    hsm.tool("--delete-object", "--type", "privkey", "--id", place.id.hex())
    with pytest.raises(MissingKey):
        token.sign(place, "signing key 2", MESSAGE)


# --- away -------------------------------------------------------------------------------------------------------------


def test_a_token_that_was_away_is_used_again_when_it_is_back(hsm: SoftHsm) -> None:
    token = hsm.token()
    place = new(token)
    raw = token.generate(place)
    hsm.take_away()
    for _ in range(2):
        with pytest.raises(TokenAway) as problem:
            token.sign(place, "signing key 2", MESSAGE)
        assert isinstance(problem.value, NotNow)
        assert problem.value.message == "there is no token with the label 'handover'"
    hsm.bring_back()
    assert works(token, place, raw)


def test_a_token_that_comes_after_the_start_is_found(hsm: SoftHsm) -> None:
    place = new(hsm.token())
    raw = hsm.token().generate(place)
    hsm.take_away()
    softhsm.forget()
    late = hsm.token()
    with pytest.raises(TokenAway):
        late.sign(place, "signing key 2", MESSAGE)
    hsm.bring_back()
    assert works(late, place, raw)


def test_another_part_of_the_process_that_starts_the_module_afresh_costs_nobody_his_session(hsm: SoftHsm) -> None:
    one, other = hsm.token(), hsm.token()
    place = new(one)
    raw = one.generate(place)
    assert works(other, place, raw)
    with pytest.raises(MissingKey):
        other.sign(new(other), "signing key 3", MESSAGE)
    assert works(one, place, raw)


# --- wrong ------------------------------------------------------------------------------------------------------------


def test_a_wrong_pin_is_tried_once_and_not_said(hsm: SoftHsm) -> None:
    place = new(hsm.token())
    hsm.token().generate(place)
    softhsm.forget()
    asked: list[Secret] = []

    def ask() -> Secret:
        asked.append(Secret("wrong-horse-2"))
        return asked[-1]

    token = Token(MODULE, LABEL, ask)
    for _ in range(3):
        with pytest.raises(WrongPin) as problem:
            token.sign(place, "signing key 2", MESSAGE)
        assert problem.value.message == "the token does not take the PIN"
        assert "horse" not in problem.value.for_people()
    assert len(asked) == 1
    assert isinstance(problem.value, Misuse)
    assert "horse" not in repr(token)


def test_a_wrong_pin_is_not_given_to_the_token_again(hsm: SoftHsm, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a service that tries again and again does not lock it."""
    place = new(hsm.token())
    softhsm.forget()
    tried: list[object] = []

    class Counting(Watched):
        def open(self, user_pin: str | None = None) -> object:
            tried.append(user_pin)
            return self.real.open(user_pin=user_pin)

    token = hsm.token(pin=Secret("wrong-horse-2"))
    with monkeypatch.context() as changed:
        changed.setattr(pkcs11, "lib", library_of(Counting))
        for _ in range(3):
            with pytest.raises(WrongPin):
                token.sign(place, "signing key 2", MESSAGE)
    assert len(tried) == 1


def test_one_thread_at_a_time_is_in_the_module(hsm: SoftHsm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has promised it more."""
    one, other = hsm.token(), hsm.token()
    place = new(one)
    one.generate(place)
    inside, most = [0], [0]
    real = token_module._sign

    def counted(key: SignMixin, data: bytes) -> bytes:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        made = real(key, data)
        inside[0] -= 1
        return made

    monkeypatch.setattr(token_module, "_sign", counted)
    threads = [
        threading.Thread(target=lambda mine=mine: [mine.sign(place, "x", b"%d" % n) for n in range(50)])
        for mine in (one, other, one, other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == [1]


class Watched:
    """A token of which something is changed."""

    flag = pkcs11.TokenFlag(0)

    def __init__(self, real: pkcs11.Token) -> None:
        self.real, self.flags = real, real.flags | self.flag

    def __getattr__(self, name: str) -> object:
        return getattr(self.real, name)


def library_of(kind: type[Watched]) -> Callable[[str], object]:
    """The module, whose tokens are of that kind."""
    real = pkcs11.lib(str(MODULE))

    class Library:
        def get_tokens(self) -> Iterator[object]:
            return (kind(token) for token in real.get_tokens())

        def finalize(self) -> None:
            real.finalize()
            real.initialize()

    return lambda so: Library()


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        (pkcs11.TokenFlag.USER_PIN_FINAL_TRY, "the token would lock itself after one more wrong PIN"),
        (pkcs11.TokenFlag.USER_PIN_LOCKED, "the token is locked after too many wrong PINs"),
    ],
)
def test_the_last_try_before_the_token_locks_itself_is_left_to_people(
    hsm: SoftHsm, monkeypatch: pytest.MonkeyPatch, flag: pkcs11.TokenFlag, words: str
) -> None:
    """SoftHSM never locks itself, so its answer is changed."""
    place = new(hsm.token())
    softhsm.forget()

    class Flagged(Watched):
        pass

    Flagged.flag = flag
    asked: list[int] = []

    def ask() -> Secret:
        asked.append(1)
        return PIN

    with monkeypatch.context() as changed:
        changed.setattr(pkcs11, "lib", library_of(Flagged))
        with pytest.raises(WrongPin, match=words):
            Token(MODULE, LABEL, ask).sign(place, "signing key 2", MESSAGE)
    assert asked == []


def test_a_label_that_no_token_or_more_than_one_has_is_refused(hsm: SoftHsm) -> None:
    with pytest.raises(TokenAway, match="there is no token with the label 'other'"):
        hsm.token("other").place("x", bytes(16))
    place = new(hsm.token())
    raw = hsm.token().generate(place)
    hsm.init()
    softhsm.forget()
    with pytest.raises(UnfitToken, match="there are 2 tokens with the label 'handover'"):
        hsm.token().place("x", bytes(16))
    assert works(hsm.token(), place, raw), "the serial number tells which one a key is in"


def test_two_keys_in_one_place_are_refused(hsm: SoftHsm) -> None:
    token = hsm.token()
    place = new(token)
    token.generate(place)
    hsm.tool(
        "--keypairgen", "--key-type", "EC:edwards25519", "--id", place.id.hex(), "--label", "second", "--sensitive"
    )
    with pytest.raises(SwappedKey, match="the token holds 2 keys in the place of signing key 2"):
        hsm.token().sign(place, "signing key 2", MESSAGE)


def test_a_key_that_has_been_outside_of_the_token_is_refused(hsm: SoftHsm) -> None:
    token = hsm.token()
    place = new(token)
    hsm.bring_in(place.id)
    with pytest.raises(ExposedKey, match="can leave the token, or has been outside of it"):
        hsm.token().sign(place, "signing key 2", MESSAGE)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda file: None, "cannot be read: No such file"),
        (lambda file: file.write_text("no library"), "is no PKCS #11 module for this machine"),
        (lambda file: file.write_bytes(ANOTHER.read_bytes()), "is no PKCS #11 module"),
    ],
    ids=["missing", "text", "another library"],
)
def test_a_module_that_is_none_is_refused(tmp_path: Path, spoil: object, words: str) -> None:
    assert callable(spoil)
    spoil(tmp_path / "module.so")
    with pytest.raises(NoTokens, match=words):
        Token(tmp_path / "module.so", LABEL, lambda: PIN).check()


@pytest.mark.parametrize(("mode", "owner"), [(0o664, 0), (0o646, 0), (0o644, 65534)])
def test_a_module_that_others_may_exchange_is_not_loaded(tmp_path: Path, mode: int, owner: int) -> None:
    module = tmp_path / "module.so"
    module.write_bytes(MODULE.read_bytes())
    module.chmod(mode)
    os.chown(module, owner, owner)
    with pytest.raises(ExposedKey, match="may be exchanged by others"):
        Token(module, LABEL, lambda: PIN).check()


def test_without_the_extra_the_words_say_what_to_install() -> None:
    code = f"""if True:
        import sys
        sys.modules["pkcs11"] = None
        from pathlib import Path
        from keys.secret import Secret
        from keys.token import Token
        from config.errors import HandoverError
        from keys.token_uri import TokenUri
        token = Token(Path({str(MODULE)!r}), "handover", lambda: Secret("x"))
        for use in (token.check, lambda: token.sign(TokenUri("a", "b", "c", bytes(16)), "signing key 2", b"")):
            try:
                use()
            except HandoverError as problem:
                print(type(problem).__name__, problem.for_people())
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    said = "NoTokens error: a key is in a token, and this installation cannot use tokens\n"
    said += "hint: install the extra 'hsm': pip install 'handover[hsm]'\n"
    assert (done.stderr, done.stdout) == ("", said * 2)


def test_nothing_of_the_library_is_loaded_before_a_token_is_used() -> None:
    code = "import sys, keys.keyring, exchange.assembly; print('pkcs11' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stderr, done.stdout) == ("", "False\n")
