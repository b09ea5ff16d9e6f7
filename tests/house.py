"""The rules of the house, read off its source: walls between rooms, pure modules, sizes, docstrings, specifications.

    python -m tests.house            prints what is against the rules (nothing: all is well)
    python -m tests.house --write    writes the map of every file into docs/architecture.md (a test compares)

Every check takes the modules and returns findings `path:line: what`, so that tests can show it planted violations.

>>> ledger = Module("ledger.odd", "ledger/odd.py", "from keys import trust\\n")
>>> walls({"ledger.odd": ledger, "keys.trust": Module("keys.trust", "keys/trust.py", "")})
['ledger/odd.py:1: ledger imports keys, which stands to its right']
"""

import ast
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.house_tables import FRESH_SECRETS, PURE, RULES

ROOT = Path(__file__).parents[1]
ROOMS = ("config", "ledger", "keys", "exchange")
"""A room imports from itself and from those before it."""

MAX_LINES = 350

_EFFECTS = "os pathlib socket sqlite3 pysqlite3 sqlite_utils time random secrets threading subprocess shutil tempfile"
EFFECTS = frozenset(_EFFECTS.split()) | {"signal", "fcntl", "select", "asyncio", "logging"}
_CALLS = "open print input datetime.now datetime.utcnow datetime.today date.today uuid.uuid1 uuid.uuid4 os.urandom"
EFFECTFUL_CALLS = frozenset(_CALLS.split())

LEFT_BEHIND = re.compile(
    r"\b(TO[D]O|FIX[M]E|XX[X]|HAC[K])\b|pytest\.(ski[p]|xfai[l]|importorski[p])|mark\.(ski[p]|xfai[l])|noq[a]"
    r"|type:\s*ignor[e]|pragma:\s*no\s+cove[r]"
)


@dataclass(frozen=True, slots=True)
class Module:
    """One source file. `name` is dotted, a package's without `__init__`."""

    name: str
    path: str
    text: str
    tree: ast.Module = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tree", ast.parse(self.text))

    @property
    def room(self) -> str:
        """The first part of the name."""
        return self.name.partition(".")[0]

    def nodes(self) -> Iterator[ast.AST]:
        """Every node, those inside functions and under TYPE_CHECKING too: they tie modules together just the same."""
        return ast.walk(self.tree)


Modules = Mapping[str, Module]


def house(root: Path = ROOT) -> dict[str, Module]:
    """Every module of the four rooms."""
    found = {}
    for room in ROOMS:
        for path in sorted((root / room).rglob("*.py")):
            relative = path.relative_to(root)
            name = ".".join(relative.with_suffix("").parts).removesuffix(".__init__")
            found[name] = Module(name, relative.as_posix(), path.read_text("utf-8"))
    return found


def imports(module: Module) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of everything imported; `from a import b` gives `a.b`."""
    for node in module.nodes():
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module or '.'}.{alias.name}") for alias in node.names)


def ours(module: Module, modules: Modules) -> dict[str, int]:
    """The modules of ours that `module` imports, each with the first line that does."""
    found: dict[str, int] = {}
    for line, name in imports(module):
        target = name if name in modules else name.rpartition(".")[0]
        if target in modules and target != module.name:
            found[target] = min(line, found.get(target, line))
    return found


def walls(modules: Modules) -> list[str]:
    """A room imports nothing that stands to its right, and nobody imports tests."""
    order = {room: number for number, room in enumerate((*ROOMS, "tests"))}
    return [
        f"{module.path}:{line}: {module.room} imports {room}, which stands to its right"
        for module in modules.values()
        for line, room in ((line, name.partition(".")[0]) for line, name in imports(module))
        if order.get(room, -1) > order[module.room]
    ]


def circles(modules: Modules) -> list[str]:
    """No chain of imports comes back to where it began."""
    findings: list[str] = []
    done: set[str] = set()

    def visit(name: str, chain: tuple[str, ...]) -> None:
        if name in chain:
            findings.append(
                f"{modules[name].path}:1: goes in a circle: {' -> '.join((*chain[chain.index(name) :], name))}"
            )
        elif name not in done:
            for target in ours(modules[name], modules):
                visit(target, (*chain, name))
            done.add(name)

    for name in modules:
        visit(name, ())
    return findings


def impurities(modules: Modules) -> list[str]:
    """Pure modules import nothing with effects and call nothing with effects; and all of them exist."""
    findings = [f"{name}: is to be pure, and there is no such module" for name in PURE if name not in modules]
    for module in (modules[name] for name in PURE if name in modules):
        allowed = {"secrets"} if module.name in FRESH_SECRETS else set()
        for line, name in imports(module):
            if (outer := name.partition(".")[0]) in EFFECTS - allowed:
                findings.append(f"{module.path}:{line}: is pure, and imports {outer}")
        for node in module.nodes():
            if isinstance(node, ast.Call) and (called := _last_two(node.func)) in EFFECTFUL_CALLS:
                findings.append(f"{module.path}:{node.lineno}: is pure, and calls {called}()")
    return findings


def _last_two(function: ast.expr) -> str:
    return ".".join(ast.unparse(function).split(".")[-2:])


def too_long(modules: Modules) -> list[str]:
    """No file is longer than what one sitting reads."""
    lengths = ((module, len(module.text.splitlines())) for module in modules.values())
    return [f"{module.path}:{n}: has more than {MAX_LINES} lines" for module, n in lengths if n > MAX_LINES]


def undocumented(modules: Modules) -> list[str]:
    """Every module, public class, public function and public method says what it is."""
    return [f"{m.path}:{line}: {what} has no docstring" for m in modules.values() for line, what in _silent(m)]


def _silent(module: Module) -> Iterator[tuple[int, str]]:
    if ast.get_docstring(module.tree) is None:
        yield 1, "the module"
    for node in module.tree.body:
        yield from _silent_definition(node)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for inner in node.body:
                yield from _silent_definition(inner)


def _silent_definition(node: ast.stmt) -> Iterator[tuple[int, str]]:
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return
    if not node.name.startswith("_") and ast.get_docstring(node) is None:
        yield node.lineno, node.name


def left_behind(texts: Mapping[str, str]) -> list[str]:
    """No note to oneself, no switched-off check, no test that is passed over; `texts` by path."""
    return [
        f"{path}:{number}: {found[0]!r} was left behind"
        for path, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        if (found := LEFT_BEHIND.search(line))
    ]


def written(root: Path = ROOT) -> dict[str, str]:
    """Every text that people of this project write, by its path."""
    patterns = (
        "*.md",
        "*.cfg",
        "*.toml",
        "Makefile",
        ".ci/*",
        "docs/*.md",
        *(f"{r}/**/*.py" for r in (*ROOMS, "tests")),
    )
    paths = {path for pattern in patterns for path in root.glob(pattern) if "node_modules" not in path.parts}
    return {path.relative_to(root).as_posix(): path.read_text("utf-8") for path in sorted(paths)}


def unspecified(modules: Modules) -> list[str]:
    """Every rule of RULES has its `# SPEC:` line."""
    findings = []
    for where, words in RULES:
        inside = [m for name, m in modules.items() if name == where or name.startswith(where + ".")]
        if not any("SPEC:" in line and words in line for m in inside for line in m.text.splitlines()):
            findings.append(f"{where}: no line '# SPEC: …' with the words '{words}'")
    return findings


Check = Callable[[Modules], list[str]]

CHECKS: tuple[Check, ...] = (
    walls,
    circles,
    impurities,
    too_long,
    undocumented,
    unspecified,
)

# --- the map ----------------------------------------------------------------------------------------------------------

MAP = Path("docs/architecture.md")
BEGIN = "<!-- The map below is made by `python -m tests.house --write` from the source. -->\n"
HEADER = "| file | what it is | imports of ours |\n|---|---|---|\n"
END = "<!-- End of the map. -->\n"


def drawn(modules: Modules) -> str:
    """The map: for each room a table of its files, their first sentence and what of ours they import."""
    parts = [BEGIN]
    for room in ROOMS:
        inside = [m for m in modules.values() if m.room == room]
        parts.append(f"\n### {room}/\n\n{first_sentence(modules[room])}\n\n" + HEADER)
        for module in inside:
            if module.name != room and ast.get_docstring(module.tree):
                names = ", ".join(sorted(name.removeprefix(room + ".") for name in ours(module, modules)))
                pure = ", pure" if module.name in PURE else ""
                parts.append(
                    f"| `{module.path.removeprefix(room + '/')}`{pure} | {first_sentence(module)} | {names} |\n"
                )
    return "".join((*parts, "\n", END))


def first_sentence(module: Module) -> str:
    """The first sentence of a module's docstring, fit for a cell of a table."""
    paragraph = " ".join((ast.get_docstring(module.tree) or "").partition("\n\n")[0].split())
    found = re.match(r".+?[.:](?=\s[A-Z]|$)", paragraph)
    sentence = found[0] if found else paragraph
    return re.sub(r":$", ".", sentence).replace("|", "\\|")


def mapped(page: str, modules: Modules) -> str:
    """`page` with its map drawn anew."""
    before, _, rest = page.partition(BEGIN)
    return before + drawn(modules) + rest.partition(END)[2]


def main(arguments: list[str]) -> int:
    """Print the findings, or write the map."""
    modules = house()
    if arguments == ["--write"]:
        page = ROOT / MAP
        page.write_text(mapped(page.read_text("utf-8"), modules), "utf-8")
        return 0
    findings = [finding for check in CHECKS for finding in check(modules)] + left_behind(written())
    print("\n".join(findings) or "nothing is against the rules of the house")
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
