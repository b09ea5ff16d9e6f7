"""The service verifies its own ledger: at the start, and again whenever something has changed in its file.

What is found is Tampered, which stops the service: nothing more is taken, sent or delivered on the word of a ledger
that does not verify. A large one takes long to verify: it is done only as often as costs a twentieth of the time.
"""

from dataclasses import dataclass, field

from config.errors import Tampered
from exchange.audit import public_keyring
from exchange.ledger_keys import ledger_verifiers
from exchange.parts import Parts
from ledger.verify import Problem, verify

_SHARE = 20


class LedgerAltered(Tampered):
    """The ledger does not verify."""


def check_ledger(parts: Parts) -> None:
    """Verify everything once; raises LedgerAltered, which names the first thing that is wrong."""
    # the keys as they lie there now: another process may have made one
    report = verify(parts.home.ledger, ledger_verifiers(public_keyring(parts.home)))
    if report.problems:
        raise LedgerAltered(
            f"the ledger does not verify: {_words(report.problems[0])}",
            hint="run 'handover ledger verify'; find out who did it, and restore a backup",
        )


def _words(problem: Problem) -> str:
    return problem.what if problem.seq is None else f"entry {problem.seq}: {problem.what}"


@dataclass(slots=True)
class SelfCheck:
    """The same at the start, and as a round."""

    _seen: tuple[int, ...] = field(default=())
    _not_before: float = 0.0

    def round(self, parts: Parts, rescan: float) -> float:
        """Verify if something has changed; returns the seconds until the next look. Raises LedgerAltered."""
        if self._changes(parts) != self._seen and parts.effects.monotonic() >= self._not_before:
            self.check(parts)
        return rescan

    def check(self, parts: Parts) -> None:
        """Verify in any case. Raises LedgerAltered."""
        began, found = parts.effects.monotonic(), self._changes(parts)
        check_ledger(parts)
        ended = parts.effects.monotonic()
        self._seen, self._not_before = found, ended + _SHARE * (ended - began)

    @staticmethod
    def _changes(parts: Parts) -> tuple[int, ...]:
        """When the file, and the newest entries beside it, were last changed: a time that no program can set."""
        path = parts.home.ledger
        log = path.with_name(f"{path.name}-wal")
        return tuple(file.stat().st_ctime_ns if file.exists() else 0 for file in (path, log))
