"""Messages without a payload: how each is sealed and sent, and what is checked before one is acted upon.

    kind        what it says                    who owes it and what one does (both named in exchange/messages.py)
    receipt     exchange/envelope/receipt.py    exchange/receipts.py

What a partner is owed is asked of the ledger before every round, so nothing needs to be remembered: a message whose
upload was cut off is made anew under another id, one that was lost is owed again when its source says so. A source
looks at the ledger and the clock alone, and lets time pass between two attempts; a receipt is owed once each time that
the ledger says so.

A message that comes may have come before, or be older than another that came: its signature, its sender, whom it is
for, and that it has not expired have been checked, and nothing else. So acting upon it twice must be as acting once,
and what it says must only ever move things forward.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from config.errors import NotNow, Refused
from config.times import from_text, to_text
from exchange import files, post_quantum, sender
from exchange.envelope.manifest import Manifest, Said
from exchange.envelope.sealing import Opened, seal
from exchange.failures import Failures
from exchange.landing import Landing, LandingError, Small
from exchange.parts import Parts
from keys import age
from ledger.canonical import Json
from ledger.entry import Draft
from ledger.identifier import new_id

CLOCK_TOLERANCE: Final = timedelta(hours=24)
"""How far a partner's clock may run ahead of ours before its messages are refused."""


ANNOUNCEMENT: Final = "announcement"
"""The kind that says which keys came and went (exchange/key_messages.py)."""


class MessageRefused(Refused):
    """A control message of a known sender that is not acted upon; `reason` says why."""

    reason = "message-refused"


@dataclass(frozen=True, slots=True)
class Due:
    """A message that a partner is owed now."""

    kind: str
    say: Callable[[], Said]
    """Makes what it says, when its turn has come."""
    sent: Draft
    """What is recorded when it has gone: the source of the message finds it there the next time."""
    lasts: timedelta | None = None
    """How long it may be acted upon; None: for ever."""
    signed_with: frozenset[str] = frozenset()
    """What signed it when it went last: an announcement that gets no answer takes turns."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message from a partner: who signed it, whom it is for and the name under which it came have been checked."""

    partner: str
    opened: Opened
    again: bool
    """Whether this very file may have been acted upon just before a crash."""

    @property
    def manifest(self) -> Manifest:
        """All that was signed."""
        return self.opened.manifest


Source = Callable[[Parts, str], Sequence[Due]]
"""What a partner is owed: a function of the ledger and the clock."""

Accept = Callable[[Parts, Message], None]
"""Acts upon a message; raises MessageRefused, or whatever says that it is to be tried again."""


def check_times(parts: Parts, manifest: Manifest) -> None:
    """Raise MessageRefused for a message that is no longer, or not yet, to be acted upon."""
    now = parts.effects.clock()
    if from_text(manifest.created) > now + CLOCK_TOLERANCE:
        raise MessageRefused("a message was made in the future", reason="not-yet-valid")
    if manifest.expires is not None and from_text(manifest.expires) <= now:
        raise MessageRefused("a message has expired", reason="expired")


def clear(parts: Parts, landing: Landing, partner: str) -> None:
    """Messages are made anew for every attempt, under new names: what one that was cut off left on the partner's server
    would lie there for ever."""
    for path in parts.spool.cut_off(partner):
        try:
            landing.remove(path.stem + sender.UNFINISHED)
        except LandingError as problem:
            # a server on which nothing may be removed gets its answers nevertheless
            if not problem.of_one_file:
                raise
        path.unlink()


def upload(parts: Parts, landing: Landing, partner: str, due: Sequence[Due]) -> None:
    """Make and send all messages; the ledger records of each that it went. Raises the first failure at the end.

    One that did not get there stays in the spool until `clear`, and one that cannot be made keeps no other. Only
    announcements go one after the other, and what time may mend keeps the later ones back: once the end of a key is
    believed, it can vouch for no successor any more.
    """
    placed = list(enumerate(due))
    failures, unmade = Failures(), Failures(OSError, NotNow)
    with failures.kept():
        for place, one in placed:
            if one.kind == ANNOUNCEMENT:
                with unmade.kept():
                    _send(parts, landing, partner, [(place, one)])
    with failures.kept():
        unmade.raise_first()
    if not failures.end_all:
        with failures.kept():
            _send(parts, landing, partner, [(place, one) for place, one in placed if one.kind != ANNOUNCEMENT])
    failures.raise_first()


def _send(parts: Parts, landing: Landing, partner: str, due: Sequence[tuple[int, Due]]) -> None:
    """Make and send messages side by side."""
    under_way: dict[str, tuple[Draft, Path]] = {}
    failures = Failures()

    def messages() -> Iterator[Small]:
        for place, one in due:
            message = None
            with failures.kept():
                name, path, signed = _seal(parts, partner, one, place)
                sent = one.sent.replace(detail={**one.sent.detail, **signed})
                under_way[name + sender.ENDING] = (sent, path)
                message = sender.small(path, name)
            if message is not None:
                yield message

    def done(message: Small) -> None:
        sent, path = under_way.pop(message.final)
        parts.ledger.write(lambda tx: tx.append(sent))
        path.unlink()

    landing.put_many(messages(), done)
    failures.raise_first()


def _seal(parts: Parts, partner: str, due: Due, place: int) -> tuple[str, Path, dict[str, Json]]:
    """A new message, sealed to the partner; returns its id, where it lies, and which keys signed it.

    Ids are in the order of the messages, by their `place`: what lies there together is taken in that order.
    """
    now = parts.effects.clock()
    message = new_id(now + timedelta(milliseconds=place), parts.effects.random)
    announcing = due.kind == ANNOUNCEMENT
    recipient = post_quantum.recipient(parts, partner)
    signer = parts.announcer(partner, due.signed_with) if announcing else parts.signer(partner)
    composite = post_quantum.composite_signer(parts, partner, announcing=announcing, before=due.signed_with)
    manifest = Manifest(
        kind=due.kind,
        id=message,
        sequence=None,
        sender=parts.me,
        recipient=partner,
        recipient_key=age.fingerprint(recipient),
        created=to_text(now),
        expires=None if due.lasts is None else to_text(now + due.lasts),
        agreement=None,
        payload=None,
        concern=None,
        said=due.say(),
        witness=parts.statement(partner).to_json(),
    )
    path = parts.spool.message(partner, message)
    with path.open("wb") as target:
        seal(
            None,
            manifest,
            signer=signer,
            recipients=[recipient],
            dst=target,
            composite=composite,
        )
    # only the name has to outlive a power cut: by it `clear` finds what lies unfinished on the partner's server
    files.sync_directory(path.parent)
    return message, path, post_quantum.signers(signer, composite)
