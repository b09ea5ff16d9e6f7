"""The figures of a soak, as it prints them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from exchange.audit import read_ledger
from exchange.questions import all_rows
from tests.soak.load import MIB, Load
from tests.soak.plan import Planned
from tests.soak.service import Service


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that is worth knowing about one soak; `str` of it is a page for people."""

    seed: int
    seconds: float
    rested: float
    """Seconds from the last fault to rest."""
    sizes: tuple[int, ...]
    refused: int
    outcomes: dict[str, int]
    waits: tuple[float, ...]
    """Seconds from drop to acknowledgement, in order."""
    faults: dict[str, int]
    starts: dict[str, int]
    exits: dict[str, dict[int, int]]
    commands: dict[str, int]
    entries: dict[str, int]
    outages: dict[str, int]
    most: dict[str, tuple[int, int, int]]
    """Memory, open files and threads at their most."""
    violations: tuple[str, ...]

    @classmethod
    def of(
        cls,
        seed: int,
        seconds: float,
        rested: float,
        load: Load,
        answered: Mapping[str, float],
        faults: Sequence[Planned],
        services: Sequence[Service],
        commands: Mapping[str, int],
        violations: Sequence[str],
    ) -> Self:
        """From what is left of it."""
        waits, entries, outages = [], {}, {}
        for service in services:
            for row in all_rows(service.one.home):
                if row.direction == "out" and row.id in answered and row.name in load.files:
                    waits.append(answered[row.id] - load.files[row.name].at)
            with read_ledger(service.one.home) as ledger:
                entries[service.name] = ledger.size
                told = [entry.event for entry in ledger.entries(0, ledger.size)]
                outages[service.name] = told.count("partner.unreachable")
        return cls(
            seed=seed,
            seconds=seconds,
            rested=rested,
            sizes=tuple(file.size for file in load.files.values()),
            refused=load.refused,
            outcomes=dict(Counter(file.outcome for file in load.files.values())),
            waits=tuple(sorted(waits)),
            faults=dict(Counter(one.kind for one in faults)),
            starts={service.name: service.starts for service in services},
            exits={service.name: dict(Counter(service.exits)) for service in services},
            commands=dict(commands),
            entries=entries,
            outages=outages,
            most={
                service.name: (
                    max((one.memory for one in service.samples), default=0),
                    max((one.files for one in service.samples), default=0),
                    max((one.threads for one in service.samples), default=0),
                )
                for service in services
            },
            violations=tuple(violations),
        )

    def __str__(self) -> str:
        total = sum(self.sizes)
        lines = [
            ("seed", self.seed),
            ("duration", f"{self.seconds:.0f} s, and {self.rested:.0f} s to rest"),
            ("files", f"{len(self.sizes)}, {_counted(self.outcomes)}; {self.refused} found no room to be dropped"),
            ("bytes", f"{total} ({total / MIB:.0f} MiB)"),
            ("throughput", f"{len(self.sizes) / self.seconds:.1f} files/s, {total / MIB / self.seconds:.2f} MiB/s"),
            ("drop to receipt", f"median {self.wait(0.5):.1f} s, p95 {self.wait(0.95):.1f} s"),
            ("faults", f"{sum(self.faults.values())}: {_counted(self.faults)}"),
            ("daemon starts", _counted(self.starts)),
            ("how they ended", "; ".join(f"{of}: {_counted(codes)}" for of, codes in self.exits.items())),
            ("commands", _counted(self.commands)),
            ("ledger entries", _counted(self.entries)),
            ("outages", _counted(self.outages)),
            *((f"{of} at most", f"{memory / MIB:.0f} MiB, {files} open files, {threads} threads")
              for of, (memory, files, threads) in self.most.items()),
            ("violations", len(self.violations)),
        ]  # fmt: skip
        return "\n".join(f"{label + ':':17} {value}" for label, value in lines) + "".join(
            f"\n  {violation}" for violation in self.violations
        )

    def wait(self, part: float) -> float:
        """The seconds after which this part of the acknowledged files was acknowledged."""
        return self.waits[min(len(self.waits) - 1, int(part * len(self.waits)))] if self.waits else 0.0


def _counted(counts: Mapping[str, int] | Mapping[int, int]) -> str:
    return ", ".join(f"{key} {count}" for key, count in sorted(counts.items(), key=lambda item: str(item[0])))
