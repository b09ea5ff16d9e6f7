"""Known bugs, planted into the running program one at a time: the simulation has to find each.

A bug is a change of one function's text, so it cannot be planted, and the test says so, once that text is another one.
"""

import inspect
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FunctionType
from unittest import mock

from exchange import delivery, receipts, receiver, rounds, sender
from keys.trust import Trust
from tests.simulation.plan import Trouble, plan
from tests.simulation.runs import Patch

Edit = tuple[object, str, tuple[tuple[str, str], ...]]
"""(module or class, name of its function, pairs of what stands there and what stands there instead)"""


@dataclass(frozen=True)
class Bug:
    """One bug: what it is, and how the text of the program differs."""

    name: str
    needs: Trouble | None
    """Without this kind of trouble it does no harm that anybody would see."""
    edits: Sequence[Edit]

    def seeds(self, among: Iterable[int]) -> Iterator[int]:
        """Those whose runs have the trouble that it needs."""
        return (seed for seed in among if self.needs is None or self.needs in plan(seed).troubles)

    @property
    def patch(self) -> Patch:
        """Plants it for the length of a `with` block."""
        return lambda: _planted(self.edits)


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


def _bug(name: str, needs: Trouble | None, owner: object, function: str, *changes: tuple[str, str]) -> Bug:
    return Bug(name, needs, [(owner, function, changes)])


BUGS = (
    _bug("acknowledges before it syncs", None, delivery, "deliver", ("files.sync_file(target)", "target.flush()")),
    _bug(
        "takes a failed delivery for a duplicate", "hazard", receiver, "_pass_on",
        (
            "if known is not None and known.is_answered:\n        _repeat(parts, arrival, opened, known)\n",
            "if known is not None:\n",
        ),
    ),
    _bug(
        "believes a receipt without its digest", "liar", receipts, "_check",
        ("not hmac.compare_digest(receipt.manifest_sha256, handover.manifest_sha256)", "False"),
        ("not hmac.compare_digest(receipt.envelope_sha256, handover.envelope_sha256)", "False"),
    ),
    _bug(
        "believes a receipt that another entry proves", "liar", receipts, "_check",
        ("if not _says(", "if False and not _says("),
    ),
    _bug(
        "delivers without a note of where", "stops", delivery, "deliver",
        ("payload.name, note,", "payload.name, None,"),
    ),
    _bug(
        "does not look for the marker", "share away", rounds, "take_dropped",
        ("if not parts.home.marker.is_file():", "if False:"),
    ),
    _bug(
        "records an upload that it does not make", None, sender, "upload",
        ("    if landing.size(", "    _record_sent(parts, handover)\n    return\n    if landing.size("),
    ),
    _bug(
        "never sends again", "hazard", sender, "needs_resending",
        ("return waited", "return False and waited"),
    ),
    _bug(
        "seals anew what it has sealed", "breaking", rounds, "seal_accepted",
        ('("accepted",)', '("accepted", "sealed")'),
    ),
    _bug(
        "believes a key that has ended", "keys", Trust, "signing_key",
        ("if not keys[0].covers(at):", "if False:"),
    ),
)  # fmt: skip
