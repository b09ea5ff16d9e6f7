"""Announcements of keys: ours go out until a partner has accepted them, theirs are accepted or wait for a person.

    announcement    says what changed: keys/announcement.py; sent again every `retry.resend` until it is answered
    acceptance      the answer to it: {"number", "sha256", "outcome": "accepted" | "waiting" | "refused"}

    comes, vouched for by keys that count, and the policy is "chain"      -> partner.key-accepted
    comes, and a person has to confirm it (or it would weaken encryption) -> partner.key-waiting, then 'keys accept'
    comes, and is forged, superseded or not of this partner               -> partner.key-refused

An answer is owed for each announcement that came and was not answered since; every repetition is one that came.

What a partner announced is told apart by the digest of its text: a number proves nothing, for whoever has stolen a key
can use up numbers, and a new home begins with 1 again.
"""

from datetime import datetime, timedelta
from typing import Final

from config.errors import Refused
from config.times import from_text
from exchange import seldom
from exchange.control import Due, Message, MessageRefused
from exchange.envelope.key_news import Announced, Answer
from exchange.key_book import check_carried
from exchange.parts import Parts
from keys import approvals, succession
from keys.announcement import Signed
from keys.own_keys import Sent
from keys.succession import Standing
from ledger.canonical import Json
from ledger.entry import Draft
from ledger.known import Rows
from ledger.store import Transaction
from ledger.view import View

LASTS: Final = timedelta(days=30)
"""An announcement or an answer that is older has been repeated since."""

CAME: Final = ("partner.key-accepted", "partner.key-waiting", "partner.key-refused", "partner.key-repeated")
ANSWERED: Final = "partner.key-answered"

_OUTCOMES = {
    "partner.key-accepted": "accepted",
    "partner.key-waiting": "waiting",
    "partner.key-refused": "refused",
}

_NUMBER = "json_extract(CAST(entry AS TEXT), '$.detail.number')"
_DIGEST = "json_extract(CAST(entry AS TEXT), '$.detail.sha256')"
_OUTCOME = "json_extract(CAST(entry AS TEXT), '$.detail.outcome')"

_FROM = "FROM entries"
_GROUPED = "GROUP BY number, digest"
_NEVER = (-1, "")


# --- ours -------------------------------------------------------------------------------------------------------------


def due(parts: Parts, partner: str) -> list[Due]:
    """Every announcement of ours that a partner may still accept, in order, at most once in `retry.resend`."""
    now, pause = parts.effects.clock(), parts.home.settings.retry.resend
    return [
        _due(sent, partner)
        for sent in parts.own.untold(partner)
        if (last := sent.sent_at(partner)) is None or abs(now - from_text(last)) >= pause
    ]


def _due(sent: Sent, partner: str) -> Due:
    detail: dict[str, Json] = {"number": sent.number}
    draft = Draft(event="key.announced", actor="daemon", partner=partner, key=sent.fingerprint, detail=detail)
    return Due("announcement", lambda: Announced(sent.signed), draft, LASTS, sent.signed_with(partner))


def take_answer(parts: Parts, message: Message) -> None:
    """A partner has answered an announcement of ours."""
    answer = message.manifest.said
    if not isinstance(answer, Answer):
        raise MessageRefused("an acceptance says nothing", reason="no-acceptance")
    sent = next((sent for sent in parts.own.announcements if sent.number == answer.number), None)
    if sent is None or sent.signed.digest != answer.sha256:
        raise MessageRefused("an acceptance is of no announcement of ours", reason="unknown-announcement")
    if answer.outcome != "accepted" or message.partner in sent.taken:
        return
    detail: dict[str, Json] = {"number": sent.number}
    draft = Draft(event="key.taken-up", actor="daemon", partner=message.partner, key=sent.fingerprint, detail=detail)
    parts.ledger.write(lambda tx: tx.append(draft))


# --- theirs -----------------------------------------------------------------------------------------------------------


def be_told(parts: Parts, message: Message) -> None:
    """A partner has announced something: accept it, let a person look at it, or refuse it; never twice the same."""
    said = message.manifest.said
    if not isinstance(said, Announced):
        raise MessageRefused("an announcement says nothing", reason="no-announcement")
    signed, partner = said.signed, message.partner
    one = signed.announcement
    known = outcome_of(parts.ledger.rows, partner, signed.digest)
    now, standing = parts.effects.clock(), parts.trust.standing(partner)
    # the card that a person confirmed is newer: it says all that this says
    by_card = one.organisation == partner and one.issued <= standing.card.issued
    # one that waits is looked at anew where nobody can confirm it any more: its key has ended, or a newer one
    # was accepted, since
    superseded = one.action in succession.COMES and one.number <= standing.numbers.get(one.purpose, 0)
    waits = known == "waiting" and not by_card and not superseded and one.key not in standing.ended
    if waits or known == "accepted":
        seldom.append(parts, _draft("partner.key-repeated", "daemon", partner, signed), "sha256")
        return
    try:
        if by_card:
            draft = _draft("partner.key-accepted", "daemon", partner, signed)
            whole: dict[str, Json] = {"announcement": signed.to_json()} if _revokes(standing, signed, now) else {}
            _append(parts, draft.replace(detail={**draft.detail, **whole}))
            return
        # a key that was revoked vouches for nothing: only a person can say what took its place
        orphan = one.action == "rotate" and one.replaces in standing.revoked
        succession.check(standing, signed, now, confirmed=orphan)
        # whoever shares a key with another partner could sign in its name
        parts.trust.following(partner, one)
    except Refused as problem:
        refused = _draft("partner.key-refused", "daemon", partner, signed)
        detail = {**refused.detail, "reason": problem.reason}
        seldom.append(parts, refused.replace(detail=detail), "number", "reason")
        return
    chain = parts.home.settings.partner(partner).accept_rotation == "chain"
    # where two people have to accept a key, no setting of one of them can
    chain = chain and not approvals.read(parts.ledger).policy.demands("keys accept")
    alone = one.action not in succession.COMES or (
        chain and not orphan and not succession.needs_person(standing, one, now)
    )
    event = "partner.key-accepted" if alone else "partner.key-waiting"
    draft = _draft(event, "daemon", partner, signed)
    _append(parts, draft.replace(detail={**draft.detail, "announcement": signed.to_json()}))


def _revokes(standing: Standing, signed: Signed, now: datetime) -> bool:
    """Whether it is the revocation of a key that the card does not name any more: the card does not say that, nor since
    when the key is in doubt, and an older one, if it were ever confirmed, would name it again.

    One that is not vouched for by keys of the card changes nothing.
    """
    if signed.announcement.action != "revoke":
        return False
    try:
        succession.check(standing, signed, now)
    except Refused:
        return False
    return True


def outcome_of(rows: Rows, partner: str, digest: str) -> str | None:
    """The outcome of a partner's announcement as it was recorded last; None if it never came."""
    marks = ", ".join("?" * len(_OUTCOMES))
    which = (f"WHERE event IN ({marks}) AND +partner = ?", f"AND {_DIGEST} = ?")
    sql = " ".join(("SELECT event FROM entries", *which, "ORDER BY seq DESC LIMIT 1"))
    found = rows(sql, *_OUTCOMES, partner, digest)
    return _OUTCOMES[found[0][0]] if found else None


def answers_due(parts: Parts, partner: str) -> list[Due]:
    """An answer for every announcement of a partner's present ledger that came since the last one."""
    view = parts.ledger
    begun, answered = view.begun(partner), _answered(view, partner)
    which = f"WHERE event IN ({', '.join('?' * len(CAME))}) AND +partner = ? AND seq >= ?"
    sql = " ".join(("SELECT", f"{_NUMBER} AS number, {_DIGEST} AS digest, max(seq)", _FROM, which, _GROUPED))
    found = view.rows(sql, *CAME, partner, begun)
    due = []
    for number, digest, came in sorted(found):
        # an earlier version of this program said of an answer only which number it was for
        last, said = max(answered.get((number, digest), _NEVER), answered.get((number, None), _NEVER))
        # an acceptance stays one; a person can have accepted it while the answer that it waits was on its way
        if came > last or said != "accepted":
            outcome = outcome_of(view.rows, partner, digest)
            if outcome is not None and (came > last or said != outcome):
                due.append(_answer(partner, int(number), str(digest), outcome))
    return due


def _answered(view: View, partner: str) -> dict[tuple[int, str | None], tuple[int, str]]:
    """(number, digest) -> the last entry that says that it was answered, and how."""
    # SQLite takes the outcome from the row of that maximum
    what = f"{_NUMBER} AS number, {_DIGEST} AS digest, max(seq), {_OUTCOME}"
    found = view.rows(
        " ".join(("SELECT", what, _FROM, "WHERE event = ? AND +partner = ?", _GROUPED)), ANSWERED, partner
    )
    return {(number, digest): (seq, outcome) for number, digest, seq, outcome in found}


def _answer(partner: str, number: int, digest: str, outcome: str) -> Due:
    detail: dict[str, Json] = {"number": number, "sha256": digest, "outcome": outcome}
    draft = Draft(event=ANSWERED, actor="daemon", partner=partner, detail=detail)
    return Due("acceptance", lambda: Answer(number, digest, outcome), draft, LASTS)


def _draft(event: str, actor: str, partner: str, signed: Signed) -> Draft:
    one = signed.announcement
    detail: dict[str, Json] = {
        "number": one.number,
        "sha256": signed.digest,
        "action": one.action,
        "purpose": one.purpose,
    }
    return Draft(event=event, actor=actor, partner=partner, key=one.fingerprint, detail=detail)


def _append(parts: Parts, draft: Draft) -> None:
    def record(tx: Transaction) -> None:
        # two processes may read the same message; a person may have been quicker
        known = outcome_of(tx.rows, str(draft.partner), str(draft.detail["sha256"]))
        if known in (None, "refused") or (known, draft.event) == ("waiting", "partner.key-accepted"):
            tx.append(draft)
            if draft.event == "partner.key-accepted":
                check_carried(parts.cards, str(draft.partner), tx)

    parts.ledger.write(record)
