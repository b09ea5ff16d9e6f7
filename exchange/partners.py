"""Partner cards: making ours, trusting theirs, listing who is trusted."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from config.errors import Misuse, Refused
from config.home import Home
from config.times import from_text
from exchange import card_folder, files
from exchange.audit import read_ledger
from exchange.former_keys import left_out
from exchange.key_book import carried_forward
from exchange.new_ledger import close_former, in_words, is_new
from exchange.partner_trust import agreements_with
from exchange.parts import Parts
from exchange.topology import Topology, own_landing
from keys import approvals
from keys import card as cards
from keys.announcement import Signed
from keys.card import Card, SigningKey
from keys.card_rules import MAX_KEYS, MAX_PQ_KEYS
from keys.key_info import OPTIONAL, KeyInfo, Purpose
from keys.keyring import Keyring
from keys.private_keys import ledger_origin
from keys.rotation import of_ledger
from keys.succession import ALWAYS, COMES, AnnouncementRefused
from keys.trust import Trust
from ledger.canonical import Json
from ledger.entry import Draft, Entry
from ledger.key_events import OF_PARTNERS, key_entries
from ledger.query import confirmed_cards
from ledger.store import Transaction
from ledger.view import View


@dataclass(frozen=True, slots=True)
class MadeCard:
    """A card's text, its signature, and the fingerprint that is read out."""

    text: str
    signature: str
    fingerprint: str
    path: str | None

    def to_json(self) -> dict[str, str | None]:
        """For `--json`."""
        return {"card": self.text, "signature": self.signature, "fingerprint": self.fingerprint, "path": self.path}


def make_card(home: Home, keyring: Keyring, output: Path | None) -> MadeCard:
    """Our own public card, signed; written to `output` and `output.sig` if given.

    It holds the keys that the ledger has recorded: what has ended only as far as something it did is still verified.
    """
    settings = home.settings
    me = settings.organisation.id
    with read_ledger(home) as ledger:
        own = of_ledger(ledger)
    known = {key.fingerprint: key for key in own.keys if key.ended != "revoked"}
    infos = [info for info in keyring.infos() if info.fingerprint in known]
    # the same card as long as the keys are the same: what was read out over the telephone stays true
    issued = own.newest

    def of(purpose: Purpose, *, ever: bool = False) -> list[KeyInfo]:
        usable = own.fingerprints(purpose)
        found = [info for info in infos if info.purpose == purpose and (ever or info.fingerprint in usable)]
        # a card has room for so many: the oldest, which ended long ago, are left out
        return found[-(MAX_PQ_KEYS if purpose in OPTIONAL else MAX_KEYS) :]

    card = Card(
        organisation=me,
        name=settings.organisation.name,
        issued=issued,
        ledger_origin=ledger_origin(me),
        ledger_keys=tuple(info.public for info in of("ledger", ever=True)),
        witness_keys=tuple(info.public for info in of("witness", ever=True)),
        signing_keys=tuple(_signing(info, known[info.fingerprint].ended_at) for info in of("signing", ever=True)),
        recipients=_recipients(of("encryption"), issued),
        landing=own_landing(settings),
        transport_keys=tuple(info.public for info in of("transport")),
        witness_pq=tuple(info.public for info in of("witness-pq", ever=True)),
        signing_pq=tuple(_signing(info, known[info.fingerprint].ended_at) for info in of("signing-pq", ever=True)),
    )
    data = card.encode()
    signer = keyring.current("signing", from_text(issued), own.fingerprints("signing"))
    signature = cards.sign(data, keyring.signer_of(signer.fingerprint))
    if output is not None:
        files.write_new(output, data, 0o644)
        files.write_new(output.with_name(output.name + ".sig"), signature.encode(), 0o644)
    return MadeCard(data.decode(), signature, cards.fingerprint(data), str(output) if output else None)


def _signing(info: KeyInfo, ended_at: str | None) -> SigningKey:
    ends = [end for end in (info.valid_until, ended_at) if end is not None]
    # an earlier version of this program made a key for any time, and no card may name one before ALWAYS
    key = SigningKey(info.public, max(info.valid_from, ALWAYS))
    for end in ends:
        key = key.ending(from_text(end))
    return key


def _recipients(infos: list[KeyInfo], issued: str) -> tuple[str, ...]:
    """The newest first, one that is for later last; all of the kind of the first."""
    ordered = sorted(infos, key=lambda info: (info.valid_from <= issued, info.serial), reverse=True)
    return tuple(info.public for info in ordered if info.post_quantum == ordered[0].post_quantum)


def named_in(path: Path) -> str:
    """Whose card a file says it is, before anybody confirmed it."""
    return cards.parse(_read(path)[0]).organisation


def add_partner(
    parts: Parts,
    path: Path,
    fingerprint: str,
    *,
    weaker: bool = False,
    older: bool = False,
    new_ledger: bool = False,
) -> dict[str, str]:
    """Trust the organisation whose card this is, after its fingerprint was confirmed by a person.

    A card without the post-quantum keys that the organisation had before is refused, unless `weaker` orders it, one
    that was made before what is known of it already, unless `older` does, and one of another ledger than was witnessed,
    unless `new_ledger` does; all three are recorded.
    """
    confirmed = confirmed_by(path, fingerprint)
    return trust_card(parts, *confirmed, weaker=weaker, older=older, new_ledger=new_ledger)


def confirmed_by(path: Path, fingerprint: str) -> tuple[bytes, str]:
    """A card and its signature, whose fingerprint a person has had read out; raises Refused or Misuse."""
    data, signature = _read(path)
    if not cards.same_fingerprint(cards.fingerprint(data), fingerprint):
        raise Refused(
            "the fingerprint is not this card's: it was mistyped, or the card was changed on its way",
            hint="have the partner read it out again; never copy it from the message that brought the card",
            reason="wrong-fingerprint",
        )
    return data, signature


def usable_card(parts: Parts, data: bytes, signature: str, *, weaker: bool, older: bool, new_ledger: bool) -> Card:
    """The card, if we could exchange files with that organisation; raises Refused or Misuse."""
    card = cards.verify(data, signature)
    if card.organisation == parts.me:
        raise Misuse("this is the card of this organisation itself", hint="give the partner's card")
    _check_agreed(parts, card)
    # raises what this card has in common with another partner's, before it keeps everybody from reading any
    trust = parts.trust
    Trust([card, *(trust.card(other) for other in trust.partners if other != card.organisation)])
    lost = _lost(parts, card)
    if lost and not weaker:
        raise Refused(
            f"the card has no post-quantum {' and '.join(map(str, lost))} key any more, as the partner had before",
            hint="ask the partner by telephone whether that is meant; '--weaker' takes the card all the same",
            reason="downgrade",
        )
    known = _known(parts, card.organisation, digest(data))
    if card.issued < known and not older:
        raise Refused(
            f"the card was made on {card.issued}, before what {card.organisation} has said of its keys ({known})",
            hint="ask the partner for a card made now; if its clock was wrong then, '--older' takes this one, "
            "and forgets the keys that were announced, but no revocation",
            reason="older-card",
        )
    standing = _carried(_confirmed(parts, card.organisation), parts.ledger)
    is_new(parts.ledger, card, standing, ordered=new_ledger)
    return card


def trust_card(
    parts: Parts,
    data: bytes,
    signature: str,
    approval: int | None = None,
    *,
    weaker: bool = False,
    older: bool = False,
    new_ledger: bool = False,
) -> dict[str, str]:
    """Trust a confirmed card; NotApproved where administrators have to sign that, and `approval` does not allow it.

    A card of a new home, whose ledger does not continue the one that was witnessed, closes that one on record.
    """
    card = usable_card(parts, data, signature, weaker=weaker, older=older, new_ledger=new_ledger)
    lost = _lost(parts, card)
    detail: dict[str, Json] = {
        "card_sha256": digest(data),
        "issued": card.issued,
        "post_quantum": _shown(card),
        **({"weaker": lost} if lost else {}),
        **({"older": True} if card.issued < _known(parts, card.organisation, digest(data)) else {}),
        **approvals.named(approval),
    }
    draft = Draft(event="partner.added", actor="operator", partner=card.organisation, detail=detail)
    approvals.permit(parts.ledger, draft, parts.effects.clock())
    before = _confirmed(parts, card.organisation)
    card_folder.stage(parts.home.cards, card.organisation, data, signature)
    agreement = agreements_with(parts.home, Trust([card]))[card.organisation]
    flows = agreement.flows_from(parts.me, card.organisation)
    categories = [flow.category for flow in flows]
    places = Topology.of(parts.home, card).places
    parts.home.create_partner_folders(card.organisation, categories, collects=places)

    def record(tx: Transaction) -> Entry | None:
        standing = _carried(before, tx)
        closes = is_new(tx, card, standing, ordered=new_ledger)
        more: dict[str, Json] = {"new_ledger": True} if closes else {}
        added = draft.replace(detail={**detail, **more, **_left_out(standing, before, card)})
        approvals.permit(tx, added, parts.effects.clock())
        tx.append(added)
        _require_standing(card, tx)
        return close_former(tx, card, standing) if closes else None

    closed = parts.ledger.write(record)
    card_folder.switch(parts.home.cards, card.organisation)
    told = {} if closed is None else {"closed": in_words(closed)}
    return {"organisation": card.organisation, "name": card.name, "fingerprint": cards.fingerprint(data), **told}


def _confirmed(parts: Parts, organisation: str) -> Card | None:
    """The card that is about to be replaced, from its file: it is in no Trust of ours."""
    return card_folder.read_one(parts.home.cards, organisation, partial(confirmed_cards, parts.ledger))


def _carried(card: Card | None, view: View) -> Card | None:
    """A card with all that was announced since."""
    return None if card is None else carried_forward(Trust([card]), view).card(card.organisation)


def _require_standing(card: Card, tx: Transaction) -> None:
    """Refuse a card that names nothing but what was revoked: with it in force, no question about anybody's keys could
    be answered any more."""
    try:
        carried_forward(Trust([card]), tx)
    except AnnouncementRefused as problem:
        raise Refused(
            f"the card names only keys of one purpose that {card.organisation} has revoked: {problem.message}",
            hint="ask the partner for a card with new ones; a new host key is 'handover keys announce' there",
            reason="revoked-keys",
        ) from None


def _left_out(standing: Card | None, before: Card | None, card: Card) -> dict[str, Json]:
    """Keys that a new card does not name any more: what they have signed or cosigned here must verify for ever."""
    return {} if standing is None or before == card else left_out(standing, card)


def digest(data: bytes) -> str:
    """SHA-256 of a card, as the ledger has it."""
    return cards.fingerprint(data).replace(" ", "")


def _lost(parts: Parts, card: Card) -> list[Json]:
    """For which purposes the organisation had such a key before, and has none on this card."""
    shown = _shown(card)
    return [purpose for purpose in _shown_before(parts, card.organisation) if purpose not in shown]


def _known(parts: Parts, partner: str, card: str) -> str:
    """When the newest was made that is known of a partner's keys: its card, or an announcement since; "" if nothing is,
    or this is the very card that was confirmed last."""
    entries = [entry for entry in key_entries(parts.ledger, OF_PARTNERS) if entry.partner == partner]
    confirmed = [entry for entry in entries if entry.event == "partner.added"][-1:]
    if any(entry.detail.get("card_sha256") == card for entry in confirmed):
        return ""
    cards_issued = [str(entry.detail.get("issued", "")) for entry in confirmed]
    since = [entry for entry in entries if not confirmed or entry.seq > confirmed[0].seq]
    announced = [Signed.from_json(one.detail["announcement"]) for one in since if "announcement" in one.detail]
    return max([*cards_issued, *(one.announcement.issued for one in announced)], default="")


def _shown(card: Card) -> list[Json]:
    """For which purposes a card shows a key that resists quantum computers."""
    shown: list[Json] = ["encryption"] if card.pin == "pq" else []
    shown += ["signing-pq"] if card.signing_pq else []
    return shown + (["witness-pq"] if card.witness_pq else [])


def _shown_before(parts: Parts, organisation: str) -> list[Json]:
    """The same of the card before, and what was announced since; as the ledger says, for the card may be broken."""
    shown: list[Json] = []
    for entry in key_entries(parts.ledger, OF_PARTNERS):
        if entry.partner != organisation:
            continue
        said = entry.detail.get("post_quantum")
        if entry.event == "partner.added":
            shown = said if isinstance(said, list) else []
        elif entry.event == "partner.key-accepted" and entry.detail.get("action") in COMES:
            shown = [*shown, *(purpose for purpose in OPTIONAL if purpose == entry.detail.get("purpose"))]
    return shown


def _read(path: Path) -> tuple[bytes, str]:
    try:
        return path.read_bytes(), path.with_name(path.name + ".sig").read_text("ascii")
    except (OSError, UnicodeDecodeError) as problem:
        raise Misuse(
            f"the card or its signature cannot be read ({type(problem).__name__})",
            hint="a card is two files, NAME.toml and NAME.toml.sig, side by side",
        ) from None


def _check_agreed(parts: Parts, card: Card) -> None:
    if card.organisation not in agreements_with(parts.home, Trust([card])):
        raise Refused(
            f"no sharing agreement names both {parts.me} and {card.organisation}",
            hint="add the agreement's file under [agreements] in handover.toml first",
            reason="no-agreement",
        )


def list_partners(home: Home, trust: Trust) -> list[dict[str, str | None]]:
    """Who is trusted, under which agreement, where they take files, and which way files go."""
    agreements = agreements_with(home, trust)
    rows: list[dict[str, str | None]] = []
    for partner in trust.partners:
        card, agreement = trust.confirmed(partner), agreements.get(partner)
        landing = f"{card.landing.host}:{card.landing.port}" if card.landing else None
        rows.append(
            {
                "organisation": card.organisation,
                "name": card.name,
                "agreement": f"{agreement.id}/{agreement.version}" if agreement else None,
                "encryption": card.pin,
                "landing": landing,
                "topology": Topology.of(home, card).said,
                "issued": card.issued,
                "fingerprint": cards.fingerprint(card.encode()),
            }
        )
    return rows
