"""Known bugs, planted into the running program one at a time: the simulation has to find each.

A bug is a change of one function's text, so it cannot be planted, and the test says so, once that text is another one.
"""

import inspect
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FunctionType
from typing import Literal
from unittest import mock

from exchange import collect, delivery, destruction, receipts, receiver, retention, rounds, sender
from exchange.destruction import _Work
from exchange.service.daemon import Daemon
from keys.trust import Trust
from tests.simulation.plan import Plan, Trouble, plan
from tests.simulation.runs import Patch

Edit = tuple[object, str, tuple[tuple[str, str], ...]]
"""(module or class, name of its function, pairs of what stands there and what stands there instead)"""


Need = Trouble | Literal["collecting", "three", "one is spared"]
"""A kind of trouble, or a setting."""


@dataclass(frozen=True)
class Bug:
    """One bug: what it is, and how the text of the program differs."""

    name: str
    needs: tuple[Need, ...]
    """Without this it does no harm that anybody would see."""
    edits: Sequence[Edit]
    by: int
    """The seed of a short run that has found it, and will again for as long as that run stays what it is."""

    def seeds(self, among: Iterable[int]) -> Iterator[int]:
        """That one, then those whose runs have all that it needs."""
        yield self.by
        yield from (seed for seed in among if seed != self.by and all(_has(plan(seed), need) for need in self.needs))

    @property
    def patch(self) -> Patch:
        """Plants it for the length of a `with` block."""
        return lambda: _planted(self.edits)


def _has(plan: Plan, need: Need) -> bool:
    if need == "collecting":
        return bool(plan.setting.without_server)
    if need == "three":
        return len(plan.setting.spokes) > 1
    if need == "one is spared":
        return plan.spared is not None
    return need in plan.troubles


@contextmanager
def _planted(edits: Sequence[Edit]) -> Iterator[None]:
    with ExitStack() as stack:
        for owner, name, changes in edits:
            stack.enter_context(mock.patch.object(owner, name, _edited(getattr(owner, name), changes)))
        yield


def _edited(function: FunctionType, changes: tuple[tuple[str, str], ...]) -> FunctionType:
    source = textwrap.dedent(inspect.getsource(function))
    for before, after in changes:
        assert source.count(before) == 1, f"{function.__qualname__} no longer holds {before!r}"
        source = source.replace(before, after)
    made: dict[str, FunctionType] = {}
    # annotations stay text: the names in them need not be there
    code = compile(f"from __future__ import annotations\n{source}", "<planted>", "exec")
    exec(code, function.__globals__, made)
    return made[function.__name__]


def _bug(
    name: str,
    by: int,
    needs: Need | tuple[Need, ...] | None,
    owner: object,
    function: str,
    *changes: tuple[str, str],
) -> Bug:
    wanted = () if needs is None else needs if isinstance(needs, tuple) else (needs,)
    return Bug(name, wanted, [(owner, function, changes)], by)


BUGS = (
    _bug("acknowledges before it syncs", 123, None, delivery, "deliver", ("files.sync_file(target)", "target.flush()")),
    _bug(
        "takes a failed delivery for a duplicate", 79, "hazard", receiver, "_pass_on",
        (
            "if known is not None and known.is_answered:\n        repetition.repeat(parts, opened, known)\n",
            "if known is not None:\n",
        ),
    ),
    _bug(
        "believes a receipt without its digest", 0, "liar", receipts, "_is_same",
        (" and hmac.compare_digest(said, recorded)", ""),
    ),
    _bug(
        "believes a receipt that another entry proves", 32, "liar", receipts, "_check",
        ("if not _says(", "if False and not _says("),
    ),
    _bug(
        "delivers without a note of where", 0, "stops", delivery, "deliver",
        ("payload.name, note,", "payload.name, None,"),
    ),
    _bug(
        "does not look for the marker", 52, "share away", rounds, "take_dropped",
        ("if not parts.home.marker.is_file():", "if False:"),
    ),
    _bug(
        "records an upload that it does not make", 2, None, sender, "upload",
        ("    if _is_sealed_anew(", "    _record_sent(parts, handover)\n    return\n    if _is_sealed_anew("),
    ),
    _bug(
        "never sends again", 1, "hazard", sender, "needs_resending",
        ("return waited", "return False and waited"),
    ),
    _bug(
        "seals anew what it has sealed", 614, "breaking", rounds, "seal_accepted",
        ('("accepted",)', '("accepted", "sealed")'),
    ),
    _bug(
        "believes a key that has ended", 95, "keys", Trust, "signing_key",
        ("if any(key.covers(at) for key in keys):", "if keys:"),
    ),
    Bug(
        "ignores a hold", ("keeping",),
        [
            (retention, "_due", ((" and not holds.over(handover)", ""),)),
            (destruction, "_may", (("not open_holds(tx, parts.register.with_predecessors).over(now)", "True"),)),
            (_Work, "_unlink_and_certify", (("if files.is_there(self._payload) and", "if False and"),)),
        ],
        6,
    ),
    _bug(
        "destroys an original a day before its time", 15, "keeping", retention, "_due",
        ("now - (today.keep or _NOTHING)", "now + timedelta(days=1) - (today.keep or _NOTHING)"),
        ("until <= now and", "until <= now + timedelta(days=1) and"),
    ),
    _bug(
        "takes today's rule for the one that was recorded", 8, "keeping", retention, "_due",
        ("longer(copy.kept.detail if copy.kept else {}, today)", "today"),
    ),
    _bug(
        "destroys by a clock that has jumped", 26, ("keeping", "clock"), retention, "_due",
        ("if clock_in_doubt(parts.ledger, now):", "if False:"),
    ),
    _bug(
        "destroys before it has looked at the clock", 123, ("keeping", "clock"), Daemon, "_retention_round",
        ("self._machine_round()", "pass"),
    ),
    Bug(
        "certifies what it leaves", ("keeping",),
        [
            (_Work, "_unlink_and_certify", (("files.remove(path)", "pass"),)),
            (_Work, "finish", (("files.remove_tree(self._folder)", "pass"),)),
        ],
        13,
    ),
    Bug(
        "certifies what a power cut brings back", ("keeping",),
        [
            (_Work, "_unlink_and_certify", (("files.remove(path)", "path.unlink(missing_ok=True)"),)),
            (_Work, "finish", (("files.remove_tree(self._folder)", "[p.unlink() for p in self._folder.iterdir()]"),)),
        ],
        13,
    ),
    _bug(
        "deletes at the partner before it is durable here", 6, "collecting", collect, "_fetch",
        ("files.sync_file(file)", "file.flush()"),
    ),
    _bug(
        "sends one partner what is for another", 4, "three", rounds, "_under_way",
        ("partner=partner, ", ""),
    ),
    _bug(
        "has one queue for all partners", 671, "one is spared", rounds, "send_files",
        (
            "    parts.spool.require()\n",
            "    if any(h.partner != connection.partner for h in parts.ledger.handovers(states=('sealed', 'sent'))):\n"
            "        return 0\n",
        ),
    ),
)  # fmt: skip
