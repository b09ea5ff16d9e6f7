"""The service tries out its own private keys at the start, before it takes or sends anything.

    needed    the newest of each purpose that a partner has accepted; every ledger key, since all of them sign each
              checkpoint; every witness key that counts now, since all of them cosign each receipt
    spare     the others that are kept: replaced and in their overlap, begun later, ended by date, or revoked while
              partners are told and envelopes opened

Without a needed one that is fit the service does not start. A spare one keeps nothing else from its work, so it is
told of, and the service goes on; what only it would open or let in waits. A key in the place of another is evidence of
tampering, whichever it is.

Unlocking takes long on purpose: what is unlocked here stays so for use, and nothing of the ledger is locked meanwhile.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from config.errors import HandoverError, Tampered
from config.times import from_text
from exchange.ledger_keys import WITHOUT_LEDGER_KEY
from exchange.parts import Parts
from keys.key_errors import DamagedKey, MissingKey, SwappedKey, WrongPassphrase
from keys.key_info import PURPOSES, Purpose
from keys.own_keys import OwnKey, OwnKeys

UNFIT = "key.unfit"
"""Told, but not recorded: it is looked at again with every start."""

_RESTORE = "restore it from the backup of the keys"


@dataclass(frozen=True, slots=True)
class Unfit:
    """A spare key that cannot be used, and why."""

    key: OwnKey
    problem: HandoverError

    def ids(self) -> dict[str, str | int]:
        """For the log."""
        return {"purpose": self.key.purpose, "serial": self.key.serial, "error": type(self.problem).__name__}


def check_keys(parts: Parts) -> tuple[Unfit, ...]:
    """Unlock and try out every key that is kept; returns the spare ones that are not fit.

    Raises what is wrong with the first of the needed ones: a KeyProblem, SwappedKey, or NotNow (a token that is away).
    """
    own = parts.own
    needed = frozenset(_needed(parts, own))
    for key in own.kept:
        if key.fingerprint in needed:
            _try_out(parts, key)
    unfit = []
    for key in own.kept:
        if key.fingerprint not in needed:
            try:
                _try_out(parts, key)
            except Tampered:
                raise
            except HandoverError as problem:
                unfit.append(Unfit(key, problem))
    return tuple(unfit)


def _try_out(parts: Parts, key: OwnKey) -> None:
    try:
        _require_public(parts, key)
        parts.keyring.self_test({key.fingerprint})
    except WrongPassphrase as problem:
        problem.hint = f"{problem.hint}; if it opens the other keys, {_RESTORE}; {_without_backup(key)}"
        raise
    except (MissingKey, DamagedKey, SwappedKey) as problem:
        problem.hint = f"{problem.hint}; {_without_backup(key)}"
        raise


def _require_public(parts: Parts, key: OwnKey) -> None:
    if key.fingerprint not in {info.fingerprint for info in parts.keyring.infos()}:
        raise MissingKey(f"the public half of {key.purpose} key {key.serial} is not there", hint=_RESTORE)


def _without_backup(key: OwnKey) -> str:
    if key.purpose == "ledger":
        return WITHOUT_LEDGER_KEY
    return f"without a backup, run 'handover keys revoke {key.fingerprint} --lost' (docs/key-management.md)"


def _needed(parts: Parts, own: OwnKeys) -> Iterator[str]:
    for purpose in PURPOSES:
        usable = own.usable(purpose)
        if purpose == "ledger":
            yield from (key.fingerprint for key in usable)
        elif purpose in ("witness", "witness-pq"):
            yield from (key.fingerprint for key in _counting(parts, usable))
        else:
            for partner in parts.agreements or (None,):
                known = tuple(key for key in usable if key.is_for(partner))
                yield from _newest(parts, purpose, known)


def _newest(parts: Parts, purpose: Purpose, known: tuple[OwnKey, ...]) -> Iterator[str]:
    """The one to use; where all have expired, the encryption key that still opens what comes."""
    keys = _counting(parts, known) or (known if purpose == "encryption" else ())
    if keys:
        yield max(keys, key=lambda key: (key.begins, key.serial)).fingerprint


def _counting(parts: Parts, keys: tuple[OwnKey, ...]) -> tuple[OwnKey, ...]:
    now = parts.effects.clock()
    over = {info.fingerprint for info in parts.keyring.infos() if info.ended_by(now)}
    return tuple(key for key in keys if from_text(key.begins) <= now and key.fingerprint not in over)
