"""The folder of the partners' cards: a card is exchanged for a newer one without a moment in which there is none.

    NAME.toml      NAME.toml.sig          the card of the organisation NAME, and its signature
    NAME.toml.new  NAME.toml.new.sig      the same of a newer card: both complete before the first is renamed

    staged -> recorded in the ledger -> signature renamed -> card renamed

A card and a signature that fit each other can be found after each of these steps, so it does not matter where a crash
comes. A reader who sees one file before a rename and the other after it looks again.
"""

import contextlib
import hashlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from config.errors import HandoverError, NotNow, Refused, Tampered
from exchange import files
from keys import card as cards
from keys.card import Card
from keys.trust import Trust

Confirmed = Callable[[], Mapping[str, str]]

STEPS = 3
"""What can come between two files that a reader reads: the record, and two renames. Each can spoil one look."""

CARD = ".toml"
STAGED = ".new"
SIGNATURE = ".sig"


def stage(folder: Path, organisation: str, data: bytes, signature: str) -> None:
    """Write a card beside the one that it will replace."""
    staged = folder / f"{organisation}{CARD}{STAGED}"
    files.write_new(_signature_of(staged), signature.encode("ascii"), 0o644)
    files.write_new(staged, data, 0o644)


def switch(folder: Path, organisation: str) -> None:
    """Let the staged card take its place."""
    card = folder / f"{organisation}{CARD}"
    staged = card.with_name(card.name + STAGED)
    files.move(_signature_of(staged), _signature_of(card))
    files.move(staged, card)


def read_all(folder: Path, confirmed: Confirmed | None = None, *, but: Collection[str] = ()) -> Trust:
    """All cards, each checked against its signature, `but` those of some; raises Refused, NotNow or Tampered.

    Anybody can sign a card of his own making: so, where the ledger is at hand, each must be the one that was
    `confirmed`, which is the SHA-256 of every organisation's card as it was recorded last.
    """
    for _ in range(STEPS):
        with contextlib.suppress(HandoverError):
            return _read_all(folder, confirmed, but)
    return _read_all(folder, confirmed, but)


def read_one(folder: Path, organisation: str, confirmed: Confirmed) -> Card | None:
    """The card of one organisation that was confirmed last; None if it is not there, or broken."""
    for _ in range(STEPS):
        with contextlib.suppress(HandoverError):
            return _read(folder, organisation, confirmed())
    return None


def _read_all(folder: Path, confirmed: Confirmed | None, but: Collection[str]) -> Trust:
    digests = confirmed() if confirmed is not None else None
    names = {name.removesuffix(STAGED).removesuffix(CARD) for name in _listed(folder) if _is_card(name)}
    return Trust([card for name in sorted(names - set(but)) if (card := _read(folder, name, digests)) is not None])


def _listed(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        if not folder.is_symlink():
            return []
        raise NotNow("the folder of the partners' cards is a link to nothing", hint=f"look at {folder}") from None
    except OSError as problem:
        raise NotNow(
            f"the folder of the partners' cards cannot be read: {problem.strerror}", hint=f"look at {folder}"
        ) from None


def _is_card(name: str) -> bool:
    return name.endswith((CARD, CARD + STAGED))


def _read(folder: Path, organisation: str, digests: Mapping[str, str] | None) -> Card | None:
    """The first card with a signature that fits; None if one was only staged and never recorded."""
    path = folder / f"{organisation}{CARD}"
    staged = path.with_name(path.name + STAGED)
    problem: HandoverError | None = None
    for file, signature in ((path, path), (path, staged), (staged, path), (staged, staged)):
        try:
            data = file.read_bytes()
            card = cards.verify(data, _signature_of(signature).read_text("ascii"))
        except Refused as refused:
            problem = problem or refused
        except (OSError, UnicodeDecodeError):
            continue
        else:
            if card.organisation != organisation:
                raise Tampered(f"the card in the place of {organisation} is that of {card.organisation}")
            if digests is None or digests.get(organisation) == hashlib.sha256(data).hexdigest():
                return card
            if file == path:
                problem = problem or _exchanged(organisation, organisation in digests)
    if problem is None and digests is not None and not path.exists():
        return None
    raise problem or NotNow(
        f"the card of {organisation} or its signature cannot be read",
        hint=f"restore {path.name} and {path.name}{SIGNATURE} in the cards folder, or add the partner again",
    )


def _exchanged(organisation: str, known: bool) -> Tampered:
    return Tampered(
        f"the card of {organisation} is not the one whose fingerprint was confirmed"
        if known
        else f"there is a card of {organisation} whose fingerprint nobody confirmed",
        hint="find out who put it into the cards folder; then add the partner again, its fingerprint read out anew",
    )


def _signature_of(path: Path) -> Path:
    return path.with_name(path.name + SIGNATURE)
