"""The rules of the house, over the source as it stands and over examples that break them."""

from __future__ import annotations

import ast
import gzip
import importlib
import os
import pickle
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mlenv.errors import CODES, MlenvError, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"

FLOORS = {
    **dict.fromkeys(
        ("errors", "cuda", "files", "machine", "simple", "smoke", "fatbin", "elf", "reference"), 1
    ),
    "repodata": 1,
    **dict.fromkeys(("model", "lock", "host", "selection"), 2),
    **dict.fromkeys(("spec", "catalog"), 3),
    **dict.fromkeys(("plan", "layers"), 4),
    **dict.fromkeys(("backends", "audit", "changes", "image", "export", "report", "intake"), 5),
    "solve": 6,
    **dict.fromkeys(
        (
            "build",
            "doctor",
            "fits",
            "imaging",
            "refresh",
            "uptodate",
            "memory",
            "verify",
            "runners",
        ),
        7,
    ),
    "matrix": 8,
    **dict.fromkeys(("cli", "__main__"), 9),
    "mlenv": 0,  # the package itself: its version, and nothing else
}
"""Room -> floor. A new room gets its line here, after a look at ``CONTRIBUTING.md``."""

SIDEWAYS = {("lock", "model"), ("__main__", "cli")}
"""Arrows between rooms of one floor; each is a wall taken down, so there are few."""

NOT_RAISED_YET: set[str] = set()
"""Codes of the contract that nothing raises yet. This list only gets shorter."""

EFFECTS = {
    *("subprocess", "os", "shutil", "socket", "urllib", "requests", "tempfile", "fcntl"),
    *("ctypes", "http", "ssl", "netrc"),
}
SPELT = ("id", "arg", "attr", "name")
"""Where a syntax tree keeps a name."""
PURE = {"urllib.parse"}
"""Parts of those that only read text."""
DEVICES = {"docker", "pynvml", "rattler"}
VAGUE = {
    *("utils", "util", "helpers", "helper", "common", "core", "base", "manager", "managers"),
    *("types", "misc"),
}
NO_OP = {"mlenv.cli", "mlenv.errors", "mlenv.files", "mlenv.uptodate"}
"""What a build that has nothing to do imports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    name: str
    text: str
    tree: ast.Module

    @property
    def room(self) -> str:
        return room_of(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    target: str
    late: bool
    """Inside a function, or for the type checker only."""


def module(name: str, text: str) -> Module:
    return Module(name=name, text=text, tree=ast.parse(text))


def source() -> list[Module]:
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found.append(module(name, path.read_text(encoding="utf-8")))
    return found


def arrows(each: Module, names: set[str]) -> Iterator[Arrow]:
    late = {
        id(below)
        for node in ast.walk(each.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        for below in ast.walk(node)
    }
    for node in ast.walk(each.tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            targets = [f"relative import of {node.module or '.'}"]
        elif isinstance(node, ast.ImportFrom):
            below = [f"{node.module}.{alias.name}" for alias in node.names]
            targets = [name if name in names else str(node.module) for name in below]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
            ("__import__", "import_module")
        ):
            known = node.args and isinstance(node.args[0], ast.Constant)
            targets = [str(ast.literal_eval(node.args[0])) if known else "an import by name"]
        else:
            continue
        yield from (Arrow(target=target, late=id(node) in late) for target in targets)


def imports(modules: Sequence[Module]) -> Iterator[tuple[Module, Arrow]]:
    names = {each.name for each in modules} | {f"mlenv.{room}" for room in FLOORS}
    for each in modules:
        yield from ((each, arrow) for arrow in arrows(each, names))


def room_of(name: str) -> str:
    return name.split(".")[1] if "." in name else name


def floors(modules: Sequence[Module]) -> Iterator[str]:
    for each in modules:
        if each.room not in FLOORS:
            yield f"{each.name}: the room {each.room} has no floor"
    for each, arrow in imports(modules):
        here, there = each.room, room_of(arrow.target)
        if not arrow.target.startswith("mlenv") or here == there or here not in FLOORS:
            if arrow.target.startswith(("relative", "an import")):
                yield f"{each.name}: {arrow.target}"
            continue
        if FLOORS.get(there, 99) > FLOORS[here]:
            yield f"{each.name} imports {arrow.target}, which is on a floor above"
        elif FLOORS.get(there) == FLOORS[here] and (here, there) not in SIDEWAYS:
            yield f"{each.name} imports {arrow.target}, which is on its own floor"


def circles(modules: Sequence[Module]) -> Iterator[str]:
    graph: dict[str, set[str]] = {each.name: set() for each in modules}
    for each, arrow in imports(modules):
        graph[each.name] |= {arrow.target} & (graph.keys() - {each.name})
    while free := {name for name, targets in graph.items() if not targets & graph.keys()}:
        graph = {name: targets for name, targets in graph.items() if name not in free}
    if graph:
        path = [min(graph)]
        while path[-1] not in path[:-1]:
            path.append(min(graph[path[-1]] & graph.keys()))
        yield f"a circle: {' -> '.join(path[path.index(path[-1]) :])}"


def only_some_import(
    packages: set[str], rooms: set[str]
) -> Callable[[Sequence[Module]], Iterator[str]]:
    def check(modules: Sequence[Module]) -> Iterator[str]:
        for each, arrow in imports(modules):
            if arrow.target.startswith(tuple(PURE)):
                continue
            if arrow.target.split(".")[0] in packages and each.room not in rooms:
                yield f"{each.name} imports {arrow.target}"

    return check


def smoke_is_standard(modules: Sequence[Module]) -> Iterator[str]:
    for each, arrow in imports(modules):
        own = arrow.target.startswith("mlenv.smoke.")
        standard = own or arrow.target.split(".")[0] in sys.stdlib_module_names
        if each.room == "smoke" and not standard:
            yield f"{each.name} imports {arrow.target}"


def no_op_is_light(modules: Sequence[Module]) -> Iterator[str]:
    graph: dict[str, set[str]] = {}
    for each, arrow in imports(modules):
        if not arrow.late:
            graph.setdefault(each.name, set()).add(arrow.target)
    for start in sorted(NO_OP & graph.keys()):
        seen, todo = set[str](), [start]
        while todo:
            at = todo.pop()
            parents = [at.rpartition(".")[0]] if at.startswith("mlenv.") else []
            todo += [each for each in (*graph.get(at, ()), *parents) if each not in seen]
            seen.add(at)
        if heavy := {each for each in seen if each.split(".")[0].startswith("pydantic")}:
            yield f"{start} leads to {sorted(heavy)}"


def reasons(modules: Sequence[Module]) -> Iterator[tuple[Module, ast.expr]]:
    for each in modules:
        for node in ast.walk(each.tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in {
                "Reason",
                "replace",
            }:
                yield from ((each, word.value) for word in node.keywords if word.arg == "code")


def codes_are_known_and_raised_once(modules: Sequence[Module]) -> Iterator[str]:
    places: dict[str, list[str]] = {}
    for each, value in reasons(modules):
        where = f"{each.name}:{value.lineno}"
        if not isinstance(value, ast.Constant):
            yield f"{where}: the code is no literal, so nobody can find where it is raised"
        elif value.value not in CODES:
            yield f"{where}: {value.value!r} is not in errors.CODES"
        else:
            places.setdefault(str(value.value), []).append(where)
    for code, wheres in places.items():
        if len(wheres) > 1:
            yield f"{code} is raised at {len(wheres)} places: {', '.join(wheres)}"
        if code in NOT_RAISED_YET:
            yield f"{code} is raised at {wheres[0]}: take it out of NOT_RAISED_YET"


def sizes(modules: Sequence[Module]) -> Iterator[str]:
    for each in modules:
        if (count := each.text.count("\n")) > 300:
            yield f"{each.name} has {count} lines"
        for node in ast.walk(each.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                rows = (node.end_lineno or node.lineno) - node.lineno + 1
                if rows > 50:
                    yield f"{each.name}.{node.name} has {rows} lines"


def docstrings(modules: Sequence[Module]) -> Iterator[str]:
    yield from (f"{each.name} says not what it is for" for each in modules if not says(each))


def says(each: Module) -> bool:
    return bool((ast.get_docstring(each.tree) or "").strip())


def names(modules: Sequence[Module]) -> Iterator[str]:
    for each in modules:
        if vague := VAGUE & set(each.name.split(".")):
            yield f"{each.name}: {vague.pop()} says nothing"
        words = (vars(node).get(word) for node in ast.walk(each.tree) for word in SPELT)
        if "cuda_version" in words:
            yield f"{each.name}: name the CUDA version after its owner"


def nothing_is_caught_blindly(modules: Sequence[Module]) -> Iterator[str]:
    for each in modules:
        for node in ast.walk(each.tree):
            if isinstance(node, ast.ExceptHandler):
                caught = ast.unparse(node.type) if node.type else "Exception"
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
                caught = ast.unparse(node)
            else:
                continue
            if {"Exception", "BaseException"} & set(re.findall(r"\w+", caught)):
                yield f"{each.name}:{node.lineno} catches everything"


RULES: dict[str, Callable[[Sequence[Module]], Iterator[str]]] = {
    "floors": floors,
    "circles": circles,
    "effects live in host and smoke": only_some_import(EFFECTS, {"host", "smoke"}),
    "devices live in host": only_some_import(DEVICES, {"host"}),
    "smoke is standard library": smoke_is_standard,
    "a no-op loads no pydantic": no_op_is_light,
    "one code, one place": codes_are_known_and_raised_once,
    "sizes": sizes,
    "docstrings": docstrings,
    "names": names,
    "nothing is caught blindly": nothing_is_caught_blindly,
}


@pytest.mark.parametrize("rule", RULES)
def test_the_source_keeps(rule: str) -> None:
    assert list(RULES[rule](source())) == []


LONG = "def f():\n" + "    x = 1\n" * 50
RAISE = 'Reason(code="spec-invalid")\n'


@pytest.mark.parametrize(
    ("rule", "modules", "complaint"),
    [
        pytest.param("floors", {"mlenv.nook.a": ""}, "has no floor", id="a room without a floor"),
        pytest.param(
            "floors", {"mlenv.spec.a": "from mlenv.plan.b import c"}, "above", id="an arrow up"
        ),
        pytest.param("floors", {"mlenv.lock": "import mlenv.cli"}, "above", id="import a.b"),
        pytest.param("floors", {"mlenv.spec": "from mlenv import plan"}, "above", id="a package"),
        pytest.param(
            "floors",
            {"mlenv.spec": "if TYPE_CHECKING:\n    from mlenv.plan import c"},
            "above",
            id="an arrow up for the type checker",
        ),
        pytest.param(
            "floors",
            {"mlenv.spec": "def f():\n    from mlenv.plan import c"},
            "above",
            id="an arrow up in a function",
        ),
        pytest.param(
            "floors", {"mlenv.spec": "from mlenv.catalog import c"}, "its own floor", id="sideways"
        ),
        pytest.param("floors", {"mlenv.spec.a": "from .b import c"}, "relative", id="relative"),
        pytest.param(
            "floors", {"mlenv.spec": "__import__(name)"}, "an import by name", id="by any name"
        ),
        pytest.param(
            "floors", {"mlenv.spec": "import_module('mlenv.cli')"}, "above", id="import_module"
        ),
        pytest.param(
            "circles",
            {"mlenv.plan.a": "from mlenv.plan import b", "mlenv.plan.b": "import mlenv.plan.a"},
            "a circle: mlenv.plan.a -> mlenv.plan.b -> mlenv.plan.a",
            id="a circle in a room",
        ),
        pytest.param(
            "effects live in host and smoke", {"mlenv.cli.a": "import os"}, "os", id="os in cli"
        ),
        pytest.param(
            "effects live in host and smoke",
            {"mlenv.plan": "def f():\n    from urllib.request import urlopen"},
            "urllib.request",
            id="urllib in a function",
        ),
        pytest.param(
            "effects live in host and smoke",
            {"mlenv.plan": "import importlib\nimportlib.import_module('subprocess')"},
            "subprocess",
            id="subprocess by name",
        ),
        pytest.param("devices live in host", {"mlenv.cli": "import docker"}, "docker", id="docker"),
        pytest.param(
            "smoke is standard library", {"mlenv.smoke.gpu": "import torch"}, "torch", id="torch"
        ),
        pytest.param(
            "smoke is standard library",
            {"mlenv.smoke.gpu": "from mlenv import errors"},
            "mlenv",
            id="mlenv in smoke",
        ),
        pytest.param(
            "a no-op loads no pydantic",
            {"mlenv.cli": "from mlenv.host import x", "mlenv.host": "import pydantic"},
            "mlenv.cli leads to ['pydantic']",
            id="pydantic two imports away",
        ),
        pytest.param(
            "a no-op loads no pydantic",
            {"mlenv.uptodate": "import mlenv.spec.a", "mlenv.spec": "import pydantic_core"},
            "mlenv.uptodate leads to ['pydantic_core']",
            id="pydantic in the package around",
        ),
        pytest.param(
            "one code, one place", {"mlenv.a": RAISE, "mlenv.b": RAISE}, "2 places", id="two places"
        ),
        pytest.param(
            "one code, one place", {"mlenv.a": 'Reason(code="oops")'}, "not in", id="unknown code"
        ),
        pytest.param(
            "one code, one place", {"mlenv.a": "Reason(code=x)"}, "no literal", id="no literal"
        ),
        pytest.param(
            "one code, one place", {"mlenv.a": "replace(r, code=x)"}, "no literal", id="replaced"
        ),
        pytest.param("sizes", {"mlenv.a": "x = 1\n" * 301}, "mlenv.a has 301", id="long module"),
        pytest.param("sizes", {"mlenv.a": LONG}, "mlenv.a.f has 51 lines", id="long function"),
        pytest.param("docstrings", {"mlenv.a": "x = 1"}, "mlenv.a", id="no docstring"),
        pytest.param("docstrings", {"mlenv.a": '"""  """'}, "mlenv.a", id="an empty docstring"),
        pytest.param("names", {"mlenv.host.utils": ""}, "utils", id="utils"),
        pytest.param("names", {"mlenv.core.x": ""}, "core", id="a folder called core"),
        pytest.param("names", {"mlenv.a": "def f(cuda_version): ..."}, "owner", id="an argument"),
        pytest.param("names", {"mlenv.a": "x.cuda_version"}, "owner", id="an attribute"),
        *(
            pytest.param(
                "nothing is caught blindly",
                {"mlenv.a": f"try: x\n{handler}: y" if "with" not in handler else handler},
                "catches everything",
                id=handler,
            )
            for handler in (
                "except",
                "except Exception",
                "except (OSError, BaseException)",
                "except builtins.Exception as error",
                "with contextlib.suppress(Exception): x",
            )
        ),
    ],
)
def test_a_broken_rule_is_seen(rule: str, modules: dict[str, str], complaint: str) -> None:
    found = list(RULES[rule]([module(name, text) for name, text in modules.items()]))
    assert len(found) == 1
    assert complaint in found[0]


def test_floors_and_sideways_arrows_are_of_the_house() -> None:
    assert {FLOORS[one] - FLOORS[other] for one, other in SIDEWAYS} <= {0}
    fine = {"mlenv.cli.a": "from mlenv.host import disk", "mlenv.lock": "import mlenv.model"}
    assert list(floors([module(name, text) for name, text in fine.items()])) == []


def test_a_no_op_loads_no_pydantic_when_it_runs() -> None:
    there = sorted(NO_OP & {each.name for each in source()})
    code = f"import sys, {', '.join(there)}; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_codes_are_a_public_list() -> None:
    listed = (ROOT / "tests" / "codes.txt").read_text(encoding="utf-8")
    assert listed == "".join(
        f"{code} {int(status)}\n" for code, (status, _) in sorted(CODES.items())
    )


@pytest.mark.parametrize("code", CODES)
def test_code_is_kebab_case_and_has_a_meaning(code: str) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code)
    assert CODES[code][1]


def test_codes_that_nothing_raises_are_listed_as_such() -> None:
    raised = {value.value for _, value in reasons(source()) if isinstance(value, ast.Constant)}
    assert not CODES.keys() - raised - NOT_RAISED_YET
    assert CODES.keys() >= NOT_RAISED_YET


def families() -> list[type[MlenvError]]:
    names = [each.name for each in source() if each.room != "__main__"]
    found = {
        each
        for name in names
        for each in vars(importlib.import_module(name)).values()
        if isinstance(each, type) and issubclass(each, MlenvError)
    }
    return sorted(found, key=lambda family: family.__name__)


def test_errors_survive_pickling() -> None:
    one = Reason(code="usage", what="w", cause="c", fix="f", where=("a:1: b",), nearest=("n",))
    two = Reason(code="network-failed", what="w", cause="c", fix="f", source="s")
    assert len(families()) >= 4
    for family in families():
        error = pickle.loads(pickle.dumps(family(one, two)))  # noqa: S301 (our own bytes)
        assert type(error) is family
        assert error.reasons == (one, two)
        assert str(error) == str(family(one, two))
        assert error.exit_status == 2


CATALOG = sorted((SOURCE / "mlenv" / "catalog" / "data").glob("*.toml"))
SOURCES = {"source", "confidence", "checked"}


def unsound(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    keys = [{key: value for key, value in row.items() if key not in SOURCES} for row in rows]
    for index, (row, key) in enumerate(zip(rows, keys, strict=True)):
        if not row.get("source") or "checked" not in row:
            yield f"{key} has no source, or no date"
        if key in keys[:index]:
            yield f"{key} is there twice"
    for word in ("first", "toolkit"):
        versions = [[int(each) for each in row[word].split(".")] for row in rows if word in row]
        if versions != sorted(versions):
            yield f"not sorted by {word}"


@pytest.mark.parametrize("path", CATALOG, ids=lambda path: path.name)
def test_facts_are_sorted_and_each_has_a_source(path: Path) -> None:
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    found = {name: list(unsound(rows)) for name, rows in tables.items() if isinstance(rows, list)}
    assert found
    assert not any(found.values()), found


def test_an_unsound_fact_is_seen() -> None:
    rows = [{"first": "12.10", "source": "s", "checked": "d"}, {"first": "12.9"}, {"first": "12.9"}]
    assert [each.split()[-3:] for each in unsound(rows)] == [
        *(["or", "no", "date"], ["or", "no", "date"], ["is", "there", "twice"]),
        ["sorted", "by", "first"],
    ]


def test_readme_shows_the_help() -> None:
    env = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}
    argv = [sys.executable, "-m", "mlenv", "--help"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=True)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```\w*\n(Usage: mlenv .*?)^```$", readme, re.DOTALL | re.MULTILINE)
    assert [block.strip() for block in blocks] == [done.stdout.strip()]


# The words are joined from pieces so that this file may be read by its own rule.
HOSTS = ["pypi" + ".org", "files.pythonhosted" + ".org", "registry.npmjs" + ".org"]
HOSTS += ["deb.debian" + ".org"]
HOMES = ["/wo" + "rk/", ".py" + "env/"]
MAKING = ["this sess" + "ion", "earlier sess" + "ion", "work" + "place", "sub" + "agent"]
MAKING += ["the br" + "ief", "as an " + "AI", "language model " + "wrote"]


def tracked() -> list[Path]:
    argv = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for each in done.stdout.split("\0") if each and (path := ROOT / each).is_file()]


def written(text: str, words: Sequence[str]) -> list[str]:
    pattern = "|".join(rf"(?<![\w.-]){re.escape(each)}" for each in words)
    return re.findall(pattern, text, re.IGNORECASE)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(HOSTS, id="the host of a package registry"),
        pytest.param(HOMES, id="a path of somebody's machine"),
        pytest.param(MAKING, id="how the project was made"),
    ],
)
def test_no_file_names(words: list[str]) -> None:
    found = {}
    for path in tracked():
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode(errors="replace")
        if bad := written(text, words):
            found[str(path.relative_to(ROOT))] = bad
    assert found == {}


def test_a_forbidden_word_is_seen() -> None:
    assert written(f"see https://{HOSTS[0]}/simple and {HOMES[0]}x", [*HOSTS, *HOMES]) == [
        HOSTS[0],
        HOMES[0],
    ]
    assert written(f"a network/ of my-{HOSTS[0]}ans", [*HOSTS, *HOMES]) == []


def test_changelog_is_there() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## [Unreleased]" in text


DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*"))


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.name)
def test_decision_is_short_and_numbered(path: Path) -> None:
    assert re.fullmatch(r"\d{4}(-[a-z0-9.]+)+\.md", path.name)
    assert path.read_text(encoding="utf-8").count("\n") <= 25
    assert [each for each in DECISIONS if each.name[:4] == path.name[:4]] == [path]
