"""The folder of the partners' cards: a card is exchanged for a newer one without a moment in which there is none.

    NAME.toml      NAME.toml.sig          the card of the organisation NAME, and its signature
    NAME.toml.new  NAME.toml.new.sig      the same of a newer card: both complete before the first is renamed

    staged -> recorded in the ledger -> signature renamed -> card renamed

A card and a signature that fit each other can be found after each of these steps, so it does not matter where a crash
comes. A reader who sees one file before a rename and the other after it looks a second time.
"""

from collections.abc import Collection
from pathlib import Path

from config.errors import HandoverError, NotNow, Refused, Tampered
from exchange import files
from keys import card as cards
from keys.card import Card
from keys.trust import Trust

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


def read_all(folder: Path, *, but: Collection[str] = ()) -> Trust:
    """All cards, each checked against its signature, `but` those of some; raises Refused, NotNow or Tampered."""
    names = {path.name.removesuffix(STAGED).removesuffix(CARD) for path in folder.glob(f"*{CARD}*") if _is_card(path)}
    return Trust([_read_again(folder, name) for name in sorted(names - set(but))])


def _is_card(path: Path) -> bool:
    return path.name.endswith((CARD, CARD + STAGED))


def _read_again(folder: Path, organisation: str) -> Card:
    try:
        return _read(folder, organisation)
    except HandoverError:
        return _read(folder, organisation)


def _read(folder: Path, organisation: str) -> Card:
    """The first card with a signature that fits."""
    path = folder / f"{organisation}{CARD}"
    staged = path.with_name(path.name + STAGED)
    problem: HandoverError | None = None
    for data, signature in ((path, path), (path, staged), (staged, path), (staged, staged)):
        try:
            card = cards.verify(data.read_bytes(), _signature_of(signature).read_text("ascii"))
        except Refused as refused:
            problem = problem or refused
        except (OSError, UnicodeDecodeError):
            continue
        else:
            if card.organisation != organisation:
                raise Tampered(f"the card in the place of {organisation} is that of {card.organisation}")
            return card
    raise problem or NotNow(
        f"the card of {organisation} or its signature cannot be read",
        hint=f"restore {path.name} and {path.name}{SIGNATURE} in the cards folder, or add the partner again",
    )


def _signature_of(path: Path) -> Path:
    return path.with_name(path.name + SIGNATURE)
