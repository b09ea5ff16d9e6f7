"""The recorded commands: each is run once by the real program, and after a power cut at any moment a person looks.

    init   a new home          whole, or none that any command would work on
    card   our card            the card and its signature, or no card that anybody could read out
    add    a partner's card    the partner is known with its folders, or not at all; adding it again makes it known
    submit a file              it lies in the outbound folder whole and with its sidecar, or can be submitted again;
                               what was half copied is gone when the service starts
    seal   by hand             an envelope that is there is whole and recorded; the daemon goes on with everything else
    open   by hand             content that is there is whole, and nothing else is there
    rotate a key               the new key is there and recorded, or neither; files go on

What the command had finished before the power went must be there.
"""

from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

from config.errors import HandoverError
from config.home import MARKER, Home
from exchange import key_desk
from exchange.audit import verify_home
from exchange.by_hand import seal_by_hand
from exchange.drop import SIDECAR, is_unfinished
from exchange.partners import add_partner
from exchange.parts import Parts
from exchange.setup import initialise
from exchange.submit import submit
from keys import card as cards
from keys.key_info import NEEDED
from tests.faults.invariant import Finding
from tests.organisations import CASE, DECISION, NAMES, PASSPHRASE, ManualClock, start
from tests.powerloss.desk import (
    CONTENT,
    NAME,
    Case,
    Look,
    expect,
    parts_of,
    together,
    two_homes,
    two_strangers,
    with_passphrase,
    within,
)
from tests.powerloss.scenario import STUCK

PARTNER, CATEGORY, AUTHORITY = DECISION
EVENTS = ["ledger.created", *["key.created"] * len(NEEDED)]


def cases() -> list[Case]:
    """Every command that writes files."""
    return [
        _case("init", with_passphrase, _init, _look_at_init),
        _case("card", two_homes, _card, _look_at_card),
        _case("add", two_strangers, _add, _look_at_add),
        _case("submit", two_homes, _submit, _look_at_submit),
        _case("seal", two_homes, _seal, _look_at_seal),
        _case("open", _sealed, _open, _look_at_open),
        _case("rotate", two_homes, _rotate, _look_at_rotate),
    ]


def _case(moment: str, prepare: Callable[[Path], None], words: Callable[[Path], list[str]], look: Look) -> Case:
    def acts(desk: Path) -> Mapping[str, list[str]]:
        return {moment: words(desk)}

    return Case(prepare, acts, look)


# --- before, and the command ------------------------------------------------------------------------------------------


def _sealed(desk: Path) -> None:
    two_homes(desk)
    parts = parts_of(desk / "lgsco")
    with parts.ledger:
        seal_by_hand(parts, desk / NAME, desk / "by-hand.age", PARTNER, CATEGORY, AUTHORITY, None)


def _init(desk: Path) -> list[str]:
    return ["init", str(desk / "new"), "--org", "lgsco", "--name", NAMES["lgsco"],
            "--passphrase-file", str(desk / "passphrase")]  # fmt: skip


def _card(desk: Path) -> list[str]:
    return [*within("lgsco", desk), "partner", "card", "-o", str(desk / "made.toml")]


def _add(desk: Path) -> list[str]:
    return [*within("lgsco", desk), "partner", "add", str(desk / "ofsted.toml"), "--fingerprint", _fingerprint(desk)]


def _submit(desk: Path) -> list[str]:
    return [*within("lgsco", desk), "submit", str(desk / NAME), *_to(), "--reference", CASE]


def _seal(desk: Path) -> list[str]:
    return [*within("lgsco", desk), "seal", str(desk / NAME), *_to(), "-o", str(desk / "by-hand.age")]


def _open(desk: Path) -> list[str]:
    return [*within("ofsted", desk), "open", str(desk / "by-hand.age"), "-o", str(desk / "opened")]


def _rotate(desk: Path) -> list[str]:
    return [*within("lgsco", desk), "keys", "rotate", "signing"]


def _to() -> list[str]:
    return ["--to", PARTNER, "--category", CATEGORY, "--authority", AUTHORITY]


def _fingerprint(desk: Path) -> str:
    return cards.fingerprint((desk / "ofsted.toml").read_bytes())


# --- after ------------------------------------------------------------------------------------------------------------


def _look_at_init(desk: Path, done: int) -> list[Finding]:
    try:
        home = Home.open(desk / "new")
    except HandoverError:
        found = [Finding("lost", "the new home is none")] if done else []
        return found + _init_again(desk)
    try:
        parts = parts_of(home.root)
    except HandoverError as problem:
        return [Finding(STUCK, f"the new home does not open: {problem}")]
    with parts.ledger:
        parts.keyring.self_test()
        found = [] if verify_home(home).ok else [Finding("unverifiable", "the new ledger")]
        if _events(parts) != EVENTS:
            found.append(Finding("lost", f"the new ledger begins with {_events(parts)}"))
    return found + [Finding("lost", str(path)) for path in (*home.folders(), home.marker) if not path.exists()]


def _init_again(desk: Path) -> list[Finding]:
    """In the same place, or, as its error says, after what was left there has been removed."""
    try:
        made = initialise(desk / "new", "lgsco", NAMES["lgsco"], PASSPHRASE, work_factor=1)
    except HandoverError as problem:
        return [] if "did not come to its end" in problem.message else [Finding(STUCK, str(problem))]
    return [] if verify_home(made).ok else [Finding("unverifiable", "a home that was made after the cut")]


def _look_at_card(desk: Path, done: int) -> list[Finding]:
    card = desk / "made.toml"
    signature = desk / "made.toml.sig"
    found = [Finding("lost", path.name) for path in (card, signature) if done and not path.exists()]
    if card.exists() and signature.exists():
        cards.verify(card.read_bytes(), signature.read_text("ascii"))
    return found


def _look_at_add(desk: Path, done: int) -> list[Finding]:
    found = []
    parts = parts_of(desk / "lgsco")
    with parts.ledger:
        if PARTNER in parts.trust.partners:
            found += _folders_of_partner(parts)
        elif done:
            found.append(Finding("lost", "the partner is not known"))
        add_partner(parts, desk / "ofsted.toml", _fingerprint(desk))
    parts = parts_of(desk / "lgsco")
    with parts.ledger:
        if PARTNER not in parts.trust.partners:
            found.append(Finding(STUCK, "the partner cannot be added again"))
        found += _folders_of_partner(parts)
    left = [path.name for path in parts.home.cards.iterdir() if path.name.endswith((".new", ".new.sig"))]
    return found + [Finding("left over", name) for name in left]


def _folders_of_partner(parts: Parts) -> list[Finding]:
    wanted = (parts.home.outbound / PARTNER / CATEGORY, parts.home.landing / PARTNER)
    return [Finding("lost", str(folder)) for folder in wanted if not folder.is_dir()]


def _look_at_submit(desk: Path, done: int) -> list[Finding]:
    with together(desk) as pair:
        parts = pair.lgsco.parts
        target = parts.home.outbound.joinpath(*DECISION) / NAME
        # the service has started again
        more = {path.name for path in parts.home.outbound.rglob("*") if is_unfinished(path.name)}
        found = [Finding("left over", name) for name in sorted(more - {NAME + SIDECAR, MARKER})]
        if not target.exists():
            found += [Finding("lost", "the file is not in the outbound folder")] if done else []
            submit(parts.home, parts.trust, [desk / NAME], PARTNER, CATEGORY, AUTHORITY, CASE)
    if target.read_bytes() != CONTENT:
        found.append(Finding("lost", "the file in the outbound folder is not whole"))
    if CASE not in target.with_name(NAME + SIDECAR).read_text():
        found.append(Finding("lost", "the sidecar is not whole"))
    if (desk / NAME).read_bytes() != CONTENT:
        found.append(Finding("lost", "the file that was submitted"))
    return found


def _look_at_seal(desk: Path, done: int) -> list[Finding]:
    lgsco, ofsted = (Home.open(desk / name) for name in ("lgsco", "ofsted"))
    envelope = desk / "by-hand.age"
    found = []
    one = start(lgsco, ofsted, ManualClock())
    with one.parts.ledger:
        handovers = one.handovers()
        sealed = {handover.envelope_sha256 for handover in handovers if handover.state in ("sealed", "sent")}
        if envelope.exists() and envelope.stat().st_size and sha256(envelope.read_bytes()).hexdigest() not in sealed:
            found.append(Finding("unverifiable", "an envelope of which the ledger knows nothing"))
        if done and (not envelope.exists() or one.states() != ["sent"]):
            found.append(Finding("lost", f"the envelope, {one.states()}"))
        try:
            one.drop(CONTENT, f"{CASE} another.pdf")
            one.take()
            one.send()
        except (HandoverError, OSError) as problem:
            found.append(Finding(STUCK, f"the daemon: {type(problem).__name__}: {problem}"))
        before = {handover.id for handover in handovers}
        if "sent" not in [handover.state for handover in one.handovers() if handover.id not in before]:
            found.append(Finding(STUCK, "another file is not sent"))
    return found if verify_home(lgsco).ok else [*found, Finding("unverifiable", "the ledger")]


def _look_at_open(desk: Path, done: int) -> list[Finding]:
    there = {path.name: path.read_bytes() for path in (desk / "opened").glob("*")}
    if there:
        return expect("left over", "what lies there", {NAME: CONTENT}, there)
    return [Finding("lost", "the content")] if done else []


def _look_at_rotate(desk: Path, done: int) -> list[Finding]:
    lgsco, ofsted = (Home.open(desk / name) for name in ("lgsco", "ofsted"))
    one = start(lgsco, ofsted, ManualClock())
    with one.parts.ledger:
        key_desk.tend(one.parts)
        one.parts.keyring.self_test()
        there = {info.fingerprint for info in one.parts.keyring.infos()}
        recorded = {key.fingerprint for key in one.parts.own.keys}
        found = [Finding("lost", f"key {fingerprint}") for fingerprint in sorted(recorded - there)]
        found += [Finding("left over", f"key {fingerprint}") for fingerprint in sorted(there - recorded)]
        if done and len(there) != len(NEEDED) + 1:
            found.append(Finding("lost", "the new key"))
        one.drop(CONTENT)
        one.take()
        one.send()
        if one.states() != ["sent"]:
            found.append(Finding(STUCK, f"a file: {one.states()}"))
    return found if verify_home(lgsco).ok else [*found, Finding("unverifiable", "the ledger")]


def _events(parts: Parts) -> list[str]:
    return [entry.event for entry in parts.ledger.entries(0, parts.ledger.size)]
