"""What is known of orders that need signatures, for people and scripts: each of them, and what to look at."""

from collections.abc import Iterator
from datetime import datetime

from config.errors import Misuse
from config.home import Home
from config.settings import Settings
from config.times import system_clock
from exchange.approval_acts import differ, wanted
from exchange.audit import read_ledger
from keys import approval, approvals
from keys.approval import NEEDED
from keys.approvals import Book, Standing
from ledger.view import View

DIFFERENT = "handover.toml and the ledger do not say the same about who has to sign orders, so none is carried out"

Cell = str | int | bool | None
Row = dict[str, Cell | list[str]]


def rows(settings: Settings, ledger: View, now: datetime | None = None) -> list[Row]:
    """One row an order, oldest first: what, about what, until when, its state, and who has signed it."""
    book, moment = approvals.read(ledger), now or system_clock()
    names = _names(settings)
    return [
        {
            "order": known.seq,
            "what": known.order.what,
            "about": _about(known),
            "asked": known.order.asked,
            "expires": known.order.expires,
            "state": book.state(known, moment),
            "signed_by": [names.get(key, approval.fingerprint(key)) for key, _ in known.signed],
            "entry": known.done,
        }
        for known in book.orders
    ]


def policy(settings: Settings, ledger: View) -> dict[str, Cell]:
    """The policy in force, and whether handover.toml says the same."""
    book, names = approvals.read(ledger), _names(settings)
    keys = (names.get(key, approval.fingerprint(key)) for key in book.policy.administrators)
    return {
        "required": ", ".join(book.policy.required) or "nothing",
        "administrators": ", ".join(sorted(keys)) or "nobody",
        "revoke": book.policy.revoke,
        "entry": book.policy_seq if book.policy_seq >= 0 else None,
        "as_configured": not differ(settings, book),
    }


def checked(home: Home) -> str | None:
    """Which orders need signatures, if any does; raises Misuse where handover.toml and the ledger disagree, OrderError
    for a key that is none."""
    wanted(home.settings)
    with read_ledger(home) as ledger:
        book = approvals.read(ledger)
    if differ(home.settings, book):
        raise Misuse(DIFFERENT, hint="undo the change of [approval], or 'handover approval policy --propose'")
    return ", ".join(book.policy.required) or None


def problems(home: Home, ledger: View, now: datetime) -> Iterator[str]:
    """What a person should know or do."""
    book = approvals.read(ledger)
    if differ(home.settings, book):
        yield f"{DIFFERENT}: see 'handover approval policy'"
    for known in book.orders:
        what, state = f"order {known.seq} ({known.order.what})", book.state(known, now)
        if state == "waits":
            missing = NEEDED - len(known.signed)
            more = "1 more signature" if missing == 1 else f"{missing} signatures"
            yield f"{what} waits for {more} until {known.order.expires}: 'handover approval show {known.seq}'"
        elif state == "approved":
            yield f"{what} is approved and not carried out yet"
        elif state == "unapproved":
            yield f"{what} was carried out unapproved: 'handover approval show {known.seq}', and two have to sign it"
    yield from _unearned(book, ledger)


def _unearned(book: Book, ledger: View) -> Iterator[str]:
    """What was done past the program; until the administrators sign the policy anew, as those who have looked."""
    said = {
        "needed two signatures and has none: find out who did it": book.unapproved,
        "claims an approval that does not count": book.false,
    }
    for words, numbers in said.items():
        for number in numbers:
            if number > book.policy_seq:
                yield f"entry {number} ({ledger.entry(number).event}) {words}"


def _about(known: Standing) -> str:
    """The arguments that a person compares: who, and which fingerprint."""
    asked = known.order.arguments
    wanted = ("partner", "purpose", "fingerprint", "replaces", "since", "card_sha256", "required")
    found = [asked[name] for name in wanted if asked.get(name)]
    return " ".join(", ".join(map(str, value)) if isinstance(value, list) else str(value) for value in found)


def _names(settings: Settings) -> dict[str, str]:
    """Key -> the name that handover.toml gives its owner."""
    said = (text.partition(" ") for text in settings.approval.administrators)
    return {key: name for name, _, key in said}
