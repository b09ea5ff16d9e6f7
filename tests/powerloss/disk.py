"""What a disk may hold after a power cut: the model, pure, and every state that it allows.

What is relied on, of ext4 (data=ordered), XFS and btrfs, each on a disk that keeps what it was told to flush:

1. After fsync of a file, its content and its permissions are there. Its name may still be missing.
2. After fsync of a directory, every change of its entries before that is there, and what that change needs: the making
   of the directories it lies in, and earlier changes of the same names.
3. A rename is one step, also between directories: after the cut the file has its old name or its new one, never both
   and never none; what it replaces is there until then.

What is not relied on:

4. Changes of entries that were not synced reach the disk or do not, each for itself and in any order, even those of one
   directory. (Only what needs another one comes after it: the same name again, an entry in a new directory, and the
   removal of a directory after that of everything in it.)
5. Content that was not synced is there, or not at all, or half of it, or as zeros of the right length; and that whether
   or not a later rename of its file is there.
6. Permissions that were changed and not synced are the old ones or the new ones.

SQLite's files are its own affair: their names are always as they were last, and the content of all of them is either
what was written before the cut or what each was at its last fsync.

    operations ->  durable entries + pending ones (a partial order)    -> every subset that is closed under "needs"
                   durable content + what was written                   -> x every choice of content
                                                                        -> states, each a tree of paths

Where more subsets are allowed than `most`, those are taken that teach most: all, none, each change alone (with what it
needs) and each one missing (with what needs it). The same for content.

>>> disk = Disk()
>>> for operation in (Make(2, Place(ROOT, "a"), 0o600), Write(2, 0, b"text"), Sync(2)):
...     disk.apply(operation)
>>> sorted([*state] for state in disk.states())
[[], ['a']]
>>> disk.apply(Sync(ROOT))
>>> [state["a"].data for state in disk.states()]
[b'text']
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product

from tests.powerloss.operations import (
    ROOT,
    Cut,
    Drop,
    Entry,
    Make,
    Mode,
    Move,
    Name,
    Nameless,
    Operation,
    Place,
    Sync,
    Write,
)

MOST = 64
"""Subsets of pending changes, and choices of content, that are all tried."""

Entries = dict[int, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Found:
    """What lies at a path after the cut; `data` is None for a directory. `number` tells which file it was."""

    number: int
    mode: int
    data: bytes | None


State = dict[str, Found]
"""Relative path -> what lies there; a directory stands before what it holds."""


@dataclass(slots=True)
class _Node:
    """A file or a directory: as written, and as it certainly is on the disk."""

    mode: int
    is_directory: bool
    theirs: bool = False
    data: bytes = b""
    safe_mode: int = 0
    safe_data: bytes = b""


@dataclass(slots=True)
class _Pending:
    """A change of entries that may not be on the disk; `needs` are the numbers of those without which it cannot be."""

    change: Entry
    needs: frozenset[int] = field(default_factory=frozenset)


class Disk:
    """A disk to which operations are applied."""

    def __init__(self, root_mode: int = 0o700) -> None:
        self._nodes = {ROOT: _Node(root_mode, True, safe_mode=root_mode)}
        self._safe: Entries = {ROOT: {}}
        self._live: Entries = {ROOT: {}}
        self._pending: dict[int, _Pending] = {}
        self._count = 0

    # --- what happens -----------------------------------------------------------------------------------------------

    def apply(self, operation: Operation) -> None:
        """The next thing that the program did."""
        match operation:
            case Make() | Name() | Move() | Drop():
                self._change(operation)
            case Nameless(number, mode):
                self._nodes[number] = _Node(mode, False, safe_mode=mode)
            case Write(number, offset, data):
                node = self._nodes[number]
                node.data = node.data[:offset].ljust(offset, b"\0") + data + node.data[offset + len(data) :]
            case Cut(number, size):
                node = self._nodes[number]
                node.data = node.data[:size].ljust(size, b"\0")
            case Mode(number, mode):
                self._nodes[number].mode = mode
            case Sync(number):
                self._sync(number)

    def sync_all(self) -> None:
        """Everything so far is on the disk: how a recording begins."""
        for number in list(self._nodes):
            self._sync(number)

    def _change(self, change: Entry) -> None:
        if isinstance(change, Make):
            self._nodes[change.number] = _Node(change.mode, change.is_directory, change.theirs, safe_mode=change.mode)
        needs = frozenset(self._needs(change))
        _carry_out(change, self._live)
        if not isinstance(change, Move) and change.at_once:
            _carry_out(change, self._safe)
        else:
            self._pending[self._count] = _Pending(change, needs)
            self._count += 1

    def _needs(self, change: Entry) -> Iterator[int]:
        places, above = _places(change), {place.directory for place in _places(change)}
        gone = self.at(change.place) if isinstance(change, Drop) else None
        for number, pending in self._pending.items():
            earlier = pending.change
            theirs = _places(earlier)
            if (
                set(theirs) & set(places)
                or (isinstance(earlier, Make) and earlier.number in above)
                or any(place.directory == gone for place in theirs)
            ):
                yield number

    def _sync(self, number: int) -> None:
        node = self._nodes[number]
        node.safe_mode, node.safe_data = node.mode, node.data
        if node.is_directory:
            wanted = {
                i for i, one in self._pending.items() if any(place.directory == number for place in _places(one.change))
            }
            for i in sorted(self._closed(wanted)):
                _carry_out(self._pending.pop(i).change, self._safe)
            for one in self._pending.values():
                one.needs &= self._pending.keys()

    def _closed(self, wanted: set[int]) -> set[int]:
        """With all that they need."""
        found, left = set(wanted), list(wanted)
        while left:
            more = self._pending[left.pop()].needs - found
            found |= more
            left += more
        return found

    # --- what is there ----------------------------------------------------------------------------------------------

    def at(self, place: Place) -> int | None:
        """What has a name now."""
        return self._live.get(place.directory, {}).get(place.name)

    def data_of(self, number: int) -> bytes:
        """The content of a file now."""
        return self._nodes[number].data

    def is_theirs(self, number: int) -> bool:
        """Whether the content of a file is SQLite's affair."""
        return self._nodes[number].theirs

    def live(self) -> State:
        """What the programs see now."""
        return self._tree(self._live, lambda node: (node.mode, node.data))

    def pending(self) -> int:
        """How many changes of entries may be missing."""
        return len(self._pending)

    def states(self, most: int = MOST) -> Iterator[State]:
        """Everything that may be there if the power goes now; a state may come more than once."""
        for subset in self._subsets(most):
            entries = {number: dict(names) for number, names in self._safe.items()}
            for i in sorted(subset):
                _carry_out(self._pending[i].change, entries)
            skeleton = self._tree(entries, lambda node: (node.mode, node.data))
            for choice in self._choices({one.number for one in skeleton.values()}, most):
                yield {path: choice.get(one.number, one) for path, one in skeleton.items()}

    def _subsets(self, most: int) -> list[frozenset[int]]:
        """Of the pending changes: closed under `needs`."""
        found: list[frozenset[int]] = [frozenset()]
        for i, one in self._pending.items():
            found += [subset | {i} for subset in found if one.needs <= subset]
            if len(found) > most:
                break
        else:
            return found
        everything = frozenset(self._pending)
        alone = [frozenset(self._closed({i})) for i in self._pending]
        without = [everything - self._dependent(i) for i in self._pending]
        return list(dict.fromkeys([everything, frozenset(), *alone, *without]))

    def _dependent(self, number: int) -> frozenset[int]:
        """A change and all that need it."""
        found = {number}
        for i, one in self._pending.items():
            if one.needs & found:
                found.add(i)
        return frozenset(found)

    def _choices(self, reachable: set[int], most: int) -> Iterator[dict[int, Found]]:
        """For each file whose content or permissions are not safe: which of them is there."""
        own, theirs = {}, {}
        for number in sorted(reachable):
            node = self._nodes[number]
            if node.theirs:
                theirs[number] = [Found(number, node.mode, data) for data in (node.data, node.safe_data)]
            elif not node.is_directory and (node.data, node.mode) != (node.safe_data, node.safe_mode):
                own[number] = list(_variants(number, node))
        for mine in _combinations(own, most):
            for which in (0, 1) if any(first != second for first, second in theirs.values()) else (0,):
                yield {**mine, **{number: both[which] for number, both in theirs.items()}}

    def _tree(self, entries: Entries, choose: Callable[[_Node], tuple[int, bytes]]) -> State:
        found: State = {}

        def walk(directory: int, above: str) -> None:
            for name, number in sorted(entries.get(directory, {}).items()):
                node = self._nodes[number]
                mode, data = choose(node)
                found[above + name] = Found(number, mode, None if node.is_directory else data)
                if node.is_directory:
                    walk(number, f"{above}{name}/")

        walk(ROOT, "")
        return found


def _places(change: Entry) -> tuple[Place, ...]:
    return (change.old, change.new) if isinstance(change, Move) else (change.place,)


def _carry_out(change: Entry, entries: Entries) -> None:
    match change:
        case Make(number, place):
            entries.setdefault(place.directory, {})[place.name] = number
            if change.is_directory:
                entries.setdefault(number, {})
        case Name(number, place):
            entries.setdefault(place.directory, {})[place.name] = number
        case Move(old, new):
            entries[new.directory][new.name] = entries[old.directory].pop(old.name)
        case Drop(place):
            del entries[place.directory][place.name]


def _variants(number: int, node: _Node) -> Iterator[Found]:
    contents = [node.data]
    if node.data != node.safe_data:
        contents += [node.safe_data, node.data[: len(node.data) // 2]]
        contents.append(node.safe_data[: len(node.data)].ljust(len(node.data), b"\0"))
    for data in dict.fromkeys(contents):
        for mode in dict.fromkeys((node.mode, node.safe_mode)):
            yield Found(number, mode, data)


def _combinations(files: dict[int, list[Found]], most: int) -> Iterator[dict[int, Found]]:
    """All, or where they are too many: each file in each of its forms while the others are as written, or as safe."""
    count = 1
    for forms in files.values():
        count *= len(forms)
    if count <= most:
        for chosen in product(*files.values()):
            yield dict(zip(files, chosen, strict=True))
        return
    for others in (0, 1):
        base = {number: forms[min(others, len(forms) - 1)] for number, forms in files.items()}
        yield base
        for number, forms in files.items():
            for form in forms:
                yield {**base, number: form}
