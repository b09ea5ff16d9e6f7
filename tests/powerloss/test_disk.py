"""The model of a disk: what is synced survives, what is written may, and nothing else is there."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.powerloss.disk import Disk, State
from tests.powerloss.operations import ROOT, Cut, Drop, Make, Mode, Move, Operation, Place, Sync, Write

T = TypeVar("T")

NAMES = ("a", "b", "c")
Command = tuple[int, int, int]
commands = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 20), st.integers(0, 20)), max_size=10)
history = settings(max_examples=150, deadline=None)


class Story:
    """Commands, played as operations that are possible at that moment."""

    def __init__(self) -> None:
        self.disk = Disk()
        self.directories = {ROOT: ROOT}
        self.files: dict[int, Place] = {}
        self._next = 2

    def play(self, command: Command) -> Operation | None:
        """One command as an operation, applied; None where it is not possible now."""
        operation = self._operation(*command)
        if operation is not None:
            self.disk.apply(operation)
        return operation

    def _operation(self, what: int, first: int, second: int) -> Operation | None:
        place = Place(_nth(list(self.directories), first), _nth(NAMES, second))
        there = self.disk.at(place)
        file = _nth(list(self.files), first) if self.files else None
        match what:
            case 0 | 1 if there is None:
                number, self._next = self._next, self._next + 1
                if what == 0:
                    self.files[number] = place
                else:
                    self.directories[number] = place.directory
                return Make(number, place, 0o600, what == 1)
            case 2 if file is not None and (there is None or there in self.files):
                place = Place(_nth(list(self.directories), second), place.name)
                there = self.disk.at(place)
                if there in self.directories or there == file:
                    return None
                old, self.files[file] = self.files[file], place
                if there is not None:
                    del self.files[there]
                return Move(old, place)
            case 3 if file is not None:
                return Drop(self.files.pop(file))
            case 4 if file is not None:
                return Write(file, second, b"text")
            case 5 if file is not None:
                return Sync(file)
            case 6:
                return Sync(place.directory)
            case 7 if file is not None:
                return Cut(file, 1) if second % 2 else Mode(file, 0o640)
        return None


def _nth(values: Sequence[T], number: int) -> T:
    return values[number % len(values)]


def plain(state: State) -> tuple[tuple[str, int, bytes | None], ...]:
    return tuple(sorted((path, found.mode, found.data) for path, found in state.items()))


def played(told: list[Command]) -> Iterator[tuple[Story, Operation]]:
    story = Story()
    for command in told:
        operation = story.play(command)
        if operation is not None:
            yield story, operation


def last(told: list[Command]) -> Story:
    story = Story()
    for command in told:
        story.play(command)
    return story


@history
@given(commands)
def test_what_the_programs_saw_is_always_one_of_the_states(told: list[Command]) -> None:
    disk = last(told).disk
    assert plain(disk.live()) in {plain(state) for state in disk.states()}


@history
@given(commands)
def test_after_everything_was_synced_there_is_one_state(told: list[Command]) -> None:
    disk = last(told).disk
    disk.sync_all()
    assert {plain(state) for state in disk.states()} == {plain(disk.live())}


@history
@given(commands)
def test_the_content_of_a_synced_file_is_in_every_state_that_has_the_file(told: list[Command]) -> None:
    for story, operation in played(told):
        if isinstance(operation, Sync) and operation.number in story.files:
            data = story.disk.data_of(operation.number)
            for state in story.disk.states():
                assert {found.data for found in state.values() if found.number == operation.number} <= {data}


@history
@given(commands)
def test_a_file_whose_name_was_synced_is_in_exactly_one_place_however_it_is_renamed(told: list[Command]) -> None:
    safe: set[int] = set()
    for story, operation in played(told):
        if isinstance(operation, Sync) and operation.number in story.directories:
            safe |= {number for number, place in story.files.items() if place.directory == operation.number}
        safe &= story.files.keys()
        for state in story.disk.states():
            numbers = [found.number for found in state.values()]
            assert {number: numbers.count(number) for number in safe} == dict.fromkeys(safe, 1)


@history
@given(commands)
def test_fewer_states_are_some_of_all_states(told: list[Command]) -> None:
    disk = last(told).disk
    some, everything = ({plain(state) for state in disk.states(most)} for most in (1, 100_000))
    assert some <= everything
    assert plain(disk.live()) in some


def states_after(*operations: Operation) -> list[dict[str, bytes | None]]:
    disk = Disk()
    for operation in operations:
        disk.apply(operation)
    found = [{path: one.data for path, one in state.items()} for state in disk.states()]
    return [one for number, one in enumerate(found) if one not in found[:number]]


def has(states: list[dict[str, bytes | None]], condition: Callable[[dict[str, bytes | None]], bool]) -> bool:
    return any(condition(state) for state in states)


FILE = (Make(2, Place(ROOT, "new"), 0o600), Write(2, 0, b"text"))


def test_a_rename_without_a_sync_of_the_content_may_leave_an_empty_a_short_or_a_zero_filled_file() -> None:
    found = states_after(*FILE, Move(Place(ROOT, "new"), Place(ROOT, "name")), Sync(ROOT))
    assert [state["name"] for state in found] == [b"text", b"", b"te", bytes(4)]


def test_a_rename_without_a_sync_of_the_directory_may_not_have_happened_but_never_loses_the_file() -> None:
    found = states_after(*FILE, Sync(2), Sync(ROOT), Move(Place(ROOT, "new"), Place(ROOT, "name")))
    assert found == [{"new": b"text"}, {"name": b"text"}]


def test_changes_of_two_directories_reach_the_disk_in_either_order() -> None:
    found = states_after(
        Make(2, Place(ROOT, "left"), 0o700, True),
        Make(3, Place(ROOT, "right"), 0o700, True),
        Sync(ROOT),
        Make(4, Place(2, "first"), 0o600),
        Make(5, Place(3, "second"), 0o600),
    )
    assert len(found) == 4
    assert has(found, lambda state: "left/first" not in state and "right/second" in state)


def test_a_sync_of_a_directory_keeps_the_directories_above_that_were_made_for_it() -> None:
    found = states_after(Make(2, Place(ROOT, "folder"), 0o700, True), Make(3, Place(2, "file"), 0o600), Sync(2))
    assert found == [{"folder": None, "folder/file": b""}]


def test_permissions_that_were_not_synced_are_the_old_or_the_new_ones() -> None:
    disk = Disk()
    for operation in (*FILE, Sync(2), Sync(ROOT), Mode(2, 0o640)):
        disk.apply(operation)
    assert sorted(state["new"].mode for state in disk.states()) == [0o600, 0o640]


def test_the_files_of_sqlite_are_all_as_written_or_all_as_synced_and_their_names_are_there() -> None:
    found = states_after(
        Make(2, Place(ROOT, "ledger.db"), 0o600, theirs=True),
        Sync(ROOT),
        Write(2, 0, b"one"),
        Sync(2),
        Write(2, 0, b"two"),
        Make(3, Place(ROOT, "ledger.db-wal"), 0o600, theirs=True, at_once=True),
        Write(3, 0, b"log"),
    )
    assert found == [
        {"ledger.db": b"two", "ledger.db-wal": b"log"},
        {"ledger.db": b"one", "ledger.db-wal": b""},
    ]
