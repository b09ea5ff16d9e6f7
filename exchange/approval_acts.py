"""Carries out orders that administrators have signed, each once, whoever comes first: the command or the service.

The policy in force is the one that two administrators have signed, as the ledger has it. As long as handover.toml says
another one, nothing is carried out but a change of the policy, and a revocation that does not wait for signatures.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta

from config.errors import Misuse, NotNow, Refused
from config.settings import Settings
from config.times import from_text
from exchange import key_desk, partners
from exchange.parts import Parts
from keys import approval, approvals
from keys.approval import POLICY, OrderError, Policy, What
from keys.approvals import Book, Standing
from keys.key_info import PURPOSES, Purpose
from ledger.canonical import Json
from ledger.entry import Draft
from ledger.store import Transaction


def wanted(settings: Settings) -> Policy:
    """The policy that handover.toml says; raises OrderError for a key that is none."""
    said = settings.approval
    keys = tuple(approval.administrator_key(text.partition(" ")[2]) for text in said.administrators)
    return Policy(keys, said.required, max(1, int(said.expires.total_seconds())), said.revoke)


def differ(settings: Settings, book: Book) -> bool:
    """Whether handover.toml and the ledger disagree, and either of them demands anything."""
    try:
        said = wanted(settings)
    except OrderError:
        return True
    return bool(said.required or book.policy.required) and said.to_json() != book.policy.to_json()


def carry_out(parts: Parts) -> int:
    """Do what is approved and not done; returns how many. What fails for now is tried again, and raised at the end.

    Whoever comes first does it: the entry that says so is written only where none says so yet.
    """
    book, done, later = approvals.read(parts.ledger), 0, None
    for known in book.orders:
        if not book.is_due(known, parts.effects.clock()) or _is_in_doubt(parts, book, known):
            continue
        try:
            _ACTS[known.order.what](parts, known)
            done += 1
        except NotNow as problem:
            later = later or problem
        except (Refused, Misuse) as problem:
            _fail(parts, known.seq, problem)
    if later is not None:
        raise later
    return done


def _is_in_doubt(parts: Parts, book: Book, known: Standing) -> bool:
    """A policy that was signed is what handover.toml may not say yet; a revocation that does not wait does not."""
    return known.order.what != POLICY and not known.bypassed and differ(parts.home.settings, book)


def _fail(parts: Parts, number: int, problem: Refused | Misuse) -> None:
    """Close an order that cannot be carried out, unless another process has done it meanwhile."""
    reason = problem.reason if isinstance(problem, Refused) else "makes-no-sense"

    def record(tx: Transaction) -> None:
        book = approvals.read(tx)
        known = book.find(number)
        if known is not None and book.is_due(known, parts.effects.clock()):
            tx.append(Draft(event="approval.failed", actor="daemon", detail={"order": number, "reason": reason}))

    parts.ledger.write(record)


def _do_rotate(parts: Parts, known: Standing) -> None:
    asked = known.order.arguments
    begins = None if asked["begins"] is None else from_text(str(asked["begins"]))
    purpose = _purpose(asked["purpose"])
    overlap = timedelta(seconds=int(str(asked["overlap"])))
    token = None if asked["token"] is None else asked["token"] is True
    key_desk.rotate(parts, purpose, overlap, begins, "two administrators", token, known.seq)


def _purpose(text: Json) -> Purpose:
    found = next((purpose for purpose in PURPOSES if purpose == text), None)
    if found is None:
        raise Refused("the order is about no purpose of a key", reason="unknown-purpose")
    return found


def _do_revoke(parts: Parts, known: Standing) -> None:
    asked = known.order.arguments
    fingerprint, since = str(asked["fingerprint"]), str(asked["since"])
    key_desk.revoke(parts, fingerprint, since, "two administrators", known.seq, lost="lost" in asked)


def _do_accept(parts: Parts, known: Standing) -> None:
    asked = known.order.arguments
    key_desk.accept(parts, str(asked["partner"]), str(asked["fingerprint"]), "two administrators", known.seq)


def _do_add(parts: Parts, known: Standing) -> None:
    kept = parts.ledger.openings(known.seq)
    card, signature = kept.get("card"), kept.get("card_signature")
    if not isinstance(card, str) or not isinstance(signature, str):
        raise Refused("the card is no longer kept with the order", reason="card-missing")
    said = {name: known.order.arguments.get(name) is True for name in ("weaker", "older", "new_ledger")}
    partners.trust_card(parts, card.encode(), signature, known.seq, **said)


def _do_policy(parts: Parts, known: Standing) -> None:
    draft = Draft(event="approval.policy", actor="operator", detail=approvals.named(known.seq))

    def record(tx: Transaction) -> None:
        approvals.permit(tx, draft, parts.effects.clock())
        tx.append(draft)

    parts.ledger.write(record)


_ACTS: Mapping[What, Callable[[Parts, Standing], None]] = {
    "keys rotate": _do_rotate,
    "keys revoke": _do_revoke,
    "keys accept": _do_accept,
    "partner add": _do_add,
    POLICY: _do_policy,
}
