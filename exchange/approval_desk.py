"""Orders that two administrators have to sign: asked for in the place of being carried out, shown, and signed.

handover keys rotate …        becomes an order, say entry 45, where the policy in force demands signatures
handover approval show 45     the bytes to sign
handover approval sign 45 F   a signature is recorded; with the second one the order is carried out
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from config.errors import Misuse, NotNow, Refused
from config.times import to_text
from exchange import key_desk, key_words, partners
from exchange.approval_acts import carry_out, differ, wanted
from exchange.parts import Parts
from keys import approval, approvals, ending, rotation
from keys.approval import POLICY, Order, What
from keys.approvals import Book, Standing
from keys.key_info import Purpose
from ledger.canonical import Json
from ledger.entry import Draft
from ledger.identifier import new_id
from ledger.store import Transaction
from ledger.view import View

Cell = str | int | bool | None
Told = dict[str, Cell]

MAX_SIGNATURE = 8 * 1024
"""Longest signature file that is read."""


def _needs_signatures(parts: Parts, what: What) -> bool:
    """Whether an order has to be signed; raises Refused where nobody can tell."""
    book, settings = approvals.read(parts.ledger), parts.home.settings
    if what == "keys revoke" and book.policy.revoke == "at-once":
        return book.policy.demands(what)
    if differ(settings, book) and (book.policy.demands(what) or wanted(settings).demands(what)):
        raise Refused(
            f"handover.toml and the ledger do not say the same about who has to sign '{what}'",
            hint="undo the change of [approval], or bring it into force: 'handover approval policy --propose'",
            reason="policy-differs",
        )
    return book.policy.demands(what)


# --- asking -----------------------------------------------------------------------------------------------------------


def rotate(parts: Parts, purpose: Purpose, overlap: str, at: str | None, by: str, in_token: bool | None = None) -> Told:
    """`keys rotate`: done, or asked for."""
    if not _needs_signatures(parts, "keys rotate"):
        key = key_desk.rotate_as_asked(parts, purpose, overlap, at, by, in_token)
        return {
            "purpose": key.purpose,
            "serial": key.serial,
            "fingerprint": key.fingerprint,
            "begins": key.begins,
        }
    length, begins = key_words.to_rotate(overlap, at, parts.effects.clock())
    rotation.check_overlap(length)
    rotation.check_free(parts.own, purpose)
    usable = parts.own.usable(purpose)
    arguments: dict[str, Json] = {
        "purpose": purpose,
        "overlap": int(length.total_seconds()),
        "begins": None if begins is None else to_text(rotation.key_start(begins)),
        "replaces": usable[-1].fingerprint if usable else "",
        "token": in_token,
    }
    return _ask(parts, "keys rotate", arguments, by, key=usable[-1].fingerprint if usable else None)


def revoke(parts: Parts, fingerprint: str, since: str | None, by: str, *, lost: bool = False) -> Told:
    """`keys revoke`: done, and to be signed afterwards where the policy says so; or asked for."""
    if not _needs_signatures(parts, "keys revoke"):
        return key_desk.revoke(parts, fingerprint, since, by, lost=lost)
    key, moment = key_words.to_revoke(parts, fingerprint, since, lost=lost)
    # what makes no sense is nobody's to sign
    ending.check_open(key, moment)
    start = to_text(moment)
    arguments: dict[str, Json] = {"purpose": key.purpose, "fingerprint": key.fingerprint, "since": start}
    arguments |= {"lost": True} if lost else {}
    told = _ask(parts, "keys revoke", arguments, by, key=key.fingerprint)
    if told["state"] != "carried out before it is signed":
        return told
    done = key_desk.revoke(parts, key.fingerprint, start, by, int(str(told["order"])), lost=lost)
    return {**done, "order": told["order"], "state": "carried out, and to be signed: 'handover approval show'"}


def accept(parts: Parts, partner: str, fingerprint: str, by: str) -> Told:
    """`keys accept`: done, or asked for."""
    if not _needs_signatures(parts, "keys accept"):
        one = key_desk.accept(parts, partner, fingerprint, by)
        return {"accepted": one.fingerprint, "purpose": one.purpose, "partner": partner}
    found = key_desk.chosen(parts, partner, fingerprint)
    one = found.announcement
    arguments: dict[str, Json] = {
        "partner": partner,
        "purpose": one.purpose,
        "fingerprint": one.fingerprint,
        "sha256": found.signed.digest,
    }
    return _ask(parts, "keys accept", arguments, by, partner=partner, key=one.fingerprint)


def add_partner(
    parts: Parts,
    path: Path,
    fingerprint: str,
    by: str,
    *,
    weaker: bool = False,
    older: bool = False,
    new_ledger: bool = False,
) -> Told:
    """`partner add`: done, or asked for; the card is kept with the order."""
    if not _needs_signatures(parts, "partner add"):
        return {**partners.add_partner(parts, path, fingerprint, weaker=weaker, older=older, new_ledger=new_ledger)}
    data, signature = partners.confirmed_by(path, fingerprint)
    card = partners.usable_card(parts, data, signature, weaker=weaker, older=older, new_ledger=new_ledger)
    digest = partners.digest(data)
    open_: dict[str, Json] = {"weaker": weaker, "older": older, **({"new_ledger": True} if new_ledger else {})}
    arguments: dict[str, Json] = {"partner": card.organisation, "card_sha256": digest, **open_}
    kept: dict[str, Json] = {"card": data.decode(), "card_signature": signature}
    return _ask(parts, "partner add", arguments, by, partner=card.organisation, private=kept)


def propose_policy(parts: Parts, by: str) -> Told:
    """Ask for what handover.toml says under [approval] to come into force."""
    said = wanted(parts.home.settings)
    book = approvals.read(parts.ledger)
    if not (said.required or said.administrators or book.policy.required):
        raise Misuse("handover.toml says nothing under [approval]", hint="set required and administrators there")
    return _ask(parts, POLICY, said.to_json(), by)


def _ask(
    parts: Parts,
    what: What,
    arguments: Mapping[str, Json],
    by: str,
    *,
    key: str | None = None,
    partner: str | None = None,
    private: Mapping[str, Json] | None = None,
) -> Told:
    """Record an order, or find the same one that waits already."""
    now, random = parts.effects.clock(), parts.effects.random
    lifetime = approvals.read(parts.ledger).policy.lifetime

    def record(tx: Transaction) -> tuple[Book, Standing]:
        book = approvals.read(tx)
        for known in book.orders:
            same = (known.order.what, known.order.arguments) == (what, arguments)
            if same and book.state(known, now) in ("waits", "approved"):
                return book, known
        expires = now + timedelta(seconds=lifetime)
        order = Order(parts.me, new_id(now, random), to_text(now), to_text(expires), book.policy_seq, what, arguments)
        event = "approval.bypassed" if book.goes_at_once(order) else "approval.asked"
        draft = Draft(event=event, actor="operator", key=key, partner=partner, detail={"order": order.to_json()})
        entry = tx.append(draft.replace(private={"by": by, **(private or {})}))
        return book, Standing(entry.seq, order)

    book, asked = parts.ledger.write(record)
    return {
        "order": asked.seq,
        "what": what,
        "expires": asked.order.expires,
        "state": "carried out before it is signed"
        if book.goes_at_once(asked.order)
        else f"waits for the signatures of two administrators: 'handover approval show {asked.seq}'",
    }


# --- signing ----------------------------------------------------------------------------------------------------------


def to_sign(view: View, number: int) -> bytes:
    """The bytes of an order; raises Misuse where there is none of that number."""
    return _the_one(approvals.read(view), number).order.encode()


def sign(parts: Parts, number: int, path: Path, by: str) -> Told:
    """Record an administrator's signature, and carry out what has enough of them; raises Refused or Misuse."""
    armored = _signature(path)

    def record(tx: Transaction) -> str:
        book = approvals.read(tx)
        known = _the_one(book, number)
        key = approval.signer(armored, known.order)
        why = book.refusal(known, key, parts.effects.clock())
        if why is not None:
            raise Refused(
                f"the signature does not count: {why}",
                hint="nothing was recorded; 'handover approval list' shows who has signed what",
                reason="signature-refused",
            )
        detail: dict[str, Json] = {"order": known.seq, "signature": armored}
        draft = Draft(event="approval.signed", actor="operator", key=approval.fingerprint(key), detail=detail)
        tx.append(draft.replace(private={"by": by}))
        return approval.fingerprint(key)

    key = parts.ledger.write(record)
    late: NotNow | None = None
    try:
        carry_out(parts)
    except NotNow as problem:
        late = problem
    book = approvals.read(parts.ledger)
    known = _the_one(book, number)
    if late is not None and book.is_due(known, parts.effects.clock()):
        raise late
    return {
        "order": number,
        "what": known.order.what,
        "signed_by": key,
        "signatures": len(known.signed),
        "state": book.state(known, parts.effects.clock()),
    }


def reject(parts: Parts, number: int, by: str) -> Told:
    """Give up an order that waits; raises Misuse for one that does not."""

    def record(tx: Transaction) -> What:
        book = approvals.read(tx)
        known = _the_one(book, number)
        state = book.state(known, parts.effects.clock())
        if state not in ("waits", "approved"):
            raise Misuse(f"order {number} is {state} already")
        draft = Draft(event="approval.rejected", actor="operator", detail={"order": number})
        tx.append(draft.replace(private={"by": by}))
        return known.order.what

    return {"order": number, "what": parts.ledger.write(record), "state": "rejected"}


def _signature(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_SIGNATURE + 1).decode("ascii")
    except (OSError, UnicodeDecodeError) as problem:
        why = problem.strerror if isinstance(problem, OSError) else "it is no text"
        raise Misuse(
            f"{path} cannot be read: {why}",
            hint="'ssh-keygen -Y sign -n approve@handover -f KEY FILE' writes it to FILE.sig",
        ) from None


def _the_one(book: Book, number: int) -> Standing:
    known = book.find(number)
    if known is None:
        raise Misuse(f"entry {number} is no order", hint="'handover approval list' shows the orders")
    return known
