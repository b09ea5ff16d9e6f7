"""From a dropped file to an accepted handover, or to `held/` with the reason in plain English.

claim (durable, under a new id) -> judge -> ledger `accepted` with a sequence   -> the sender goes on
                                         -> ledger `held` with the reason codes -> held/ + .why.txt
"""

import datetime
import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from config.times import from_text, to_text
from exchange import archive, files, folders
from exchange.concern import FileFacts, Judgement, as_text, judge
from exchange.drop import SIDECAR, Candidate
from exchange.failures import Failures
from exchange.parts import Parts
from exchange.spool import NOT_FOR_US, Claim
from ledger.entry import Draft, Entry
from ledger.identifier import new_id
from ledger.store import Transaction

UNKNOWN_PARTNER = "unknown"
"""Stands in the ledger for a folder that names no partner: a folder's name could be a person's."""

MAX_SIDECAR = 64 * 1024
"""A sidecar is a few lines; a larger one is not read."""

_NOT_OURS = (*NOT_FOR_US, errno.ENOENT, errno.ENOTDIR, errno.EROFS)
"""Why a sidecar is not removed, now or later: it has gone, or its folder is not ours to write."""

UNREADABLE = "not readable"
"""Stands for the text of a sidecar that is too large, a link, not UTF-8, or not ours to read: no TOML, so it holds."""


def take(parts: Parts, candidate: Candidate) -> str | None:
    """Claim a complete file and admit it; returns its new id, or None if it changed under our hands."""
    failures = Failures()
    taken = take_all(parts, [candidate], failures)
    failures.raise_first()
    return taken[0] if taken else None


def take_all(parts: Parts, candidates: Sequence[Candidate], failures: Failures) -> list[str]:
    """The same for many files, in one commit; returns the new ids. What fails with one is kept in `failures`."""
    wanted = []
    for candidate in candidates:
        with failures.kept():
            wanted.append((candidate, _claim_for(parts, candidate)))
    if not wanted:
        return []
    claims = parts.spool.claim_all(wanted, failures)
    with parts.spool.gone_on_with_later(*(claim.id for claim in claims)):
        admit_all(parts, claims, failures)
    return [claim.id for claim in claims]


def _claim_for(parts: Parts, candidate: Candidate) -> Claim:
    now = parts.effects.clock()
    handover = new_id(now, parts.effects.random)
    sidecar, seen = read_sidecar(candidate.sidecar)
    sighting = candidate.sighting
    return Claim(handover, candidate.folders, candidate.path.name, to_text(now), sidecar, sighting.mode, seen, sighting)


def admit(parts: Parts, claim: Claim) -> None:
    """Decide about a claimed file and record the decision; can be repeated after a crash."""
    failures = Failures()
    admit_all(parts, [claim], failures)
    failures.raise_first()


def admit_all(parts: Parts, claims: Sequence[Claim], failures: Failures) -> None:
    """The same for many, in one commit, or none is recorded; what fails before or after with one is kept in `failures`,
    and that one is gone on with later."""
    decided = []
    for claim in claims:
        with failures.kept(), parts.spool.gone_on_with_later(claim.id):
            decided.append((claim, _decision(parts, claim)))
    if decided:
        parts.ledger.write(lambda tx: [_record(tx, draft) for _, draft in decided])
    for claim, draft in decided:
        with failures.kept(), parts.spool.gone_on_with_later(claim.id):
            remove_sidecar(parts, claim)
            if draft.event == "held":
                archive.hold(parts, claim)


def _decision(parts: Parts, claim: Claim) -> Draft:
    payload = parts.spool.payload(claim.id)
    parts.spool.sync_payload(claim.id)
    judgement = _judge(parts, claim, payload)
    of = _held if judgement.concern is None else _accepted
    return of(parts, claim, judgement, payload.lstat().st_size)


def _record(tx: Transaction, draft: Draft) -> Entry:
    if draft.event == "accepted" and draft.partner is not None:
        draft = draft.replace(detail={**draft.detail, "sequence": tx.next_sequence(draft.partner)})
    return tx.append(draft)


def _judge(parts: Parts, claim: Claim, payload: Path) -> Judgement:
    status = payload.lstat()
    return judge(
        claim,
        FileFacts(status.st_size, claim.kind, status.st_nlink, files.may_read(payload)),
        me=parts.me,
        partners=parts.agreements,
        register=parts.register,
        today=from_text(claim.dropped_at).astimezone(datetime.UTC).date(),
        max_bytes=parts.home.settings.limits.max_bytes,
    )


def rejudge(parts: Parts, claim: Claim) -> Judgement:
    """What the file is about, once more: the sender needs it when it writes the manifest."""
    return _judge(parts, claim, parts.spool.payload(claim.id))


def _accepted(parts: Parts, claim: Claim, judgement: Judgement, size: int) -> Draft:
    """The entry but for the running number, which only the commit knows."""
    concern = judgement.concern
    if concern is None or judgement.partner is None:
        raise ValueError("only a file without objections is accepted")
    agreement = parts.agreements[judgement.partner]
    private = {"name": judgement.name}
    if concern.reference is not None:
        private["reference"] = concern.reference
    return Draft(
        event="accepted",
        actor="daemon",
        handover=claim.id,
        partner=judgement.partner,
        direction="out",
        authority=concern.authority,
        category=concern.category,
        bytes=size,
        private=private,
        detail={"dropped_at": claim.dropped_at, "agreement": f"{agreement.id}/{agreement.version}"},
    )


def _held(_parts: Parts, claim: Claim, judgement: Judgement, size: int) -> Draft:
    private = {
        "name": judgement.name,
        folders.OPENING: folders.as_text(claim),
        "why": as_text("\n".join(o.text for o in judgement.objections)),
    }
    if judgement.reference is not None:
        private["reference"] = judgement.reference
    return Draft(
        event="held",
        actor="daemon",
        handover=claim.id,
        partner=judgement.partner or UNKNOWN_PARTNER,
        direction="out",
        authority=judgement.authority.gss if judgement.authority else None,
        category=judgement.category,
        bytes=size,
        private=private,
        detail={
            "dropped_at": claim.dropped_at,
            "reason": judgement.objections[0].code,
            "reasons": list(dict.fromkeys(o.code for o in judgement.objections)),
        },
    )


def read_sidecar(path: Path) -> tuple[str | None, str]:
    """The sidecar's text and which file it was. One that is there but not for us to read holds the file it belongs to.

    Raises OSError where this machine fails to read it now: then its file waits.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as problem:
        # beside a name of full length no sidecar can lie
        if problem.errno in (errno.ENOENT, errno.ENAMETOOLONG):
            return None, ""
        if problem.errno in NOT_FOR_US:
            return UNREADABLE, ""
        raise
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return UNREADABLE, ""
        data = os.read(handle, MAX_SIDECAR + 1)
        if len(data) > MAX_SIDECAR:
            return UNREADABLE, ""
        return data.decode("utf-8"), which(os.fstat(handle))
    except UnicodeDecodeError:
        return UNREADABLE, ""
    finally:
        os.close(handle)


def which(status: os.stat_result) -> str:
    """Tells a sidecar from another one of its name."""
    return f"{status.st_dev}:{status.st_ino}:{status.st_mtime_ns}"


def remove_sidecar(parts: Parts, claim: Claim) -> None:
    """The sidecar was read into the claim; it goes once the decision is recorded, unless it is another one by now."""
    if not claim.sidecar_seen:
        return
    sidecar = parts.home.outbound.joinpath(*claim.folders, claim.name + SIDECAR)
    try:
        if which(sidecar.lstat()) == claim.sidecar_seen:
            files.remove(sidecar)
    except OSError as problem:
        # what is not ours to remove is not read again either: the file is taken, and it goes with the folder
        if problem.errno not in _NOT_OURS:
            raise
