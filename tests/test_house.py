"""The one-way rule of the house: a room or module imports only what stands above it."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import tellvision

HOUSE = Path(tellvision.__file__).parent
TOP_TO_BOTTOM = [
    "records",
    "store",
    "progress",
    "runners",
    "media",
    "metrics",
    "localise",
    "corpus",
    "vision",
    "embedding",
    "howto100m",
    "evaluation",
    "search",
    "report",
    "draw",
    "recipes",
    "stages",
    "plan",
    "pipeline",
    "doctor",
    "commands",
    "cli",
    "__main__",
]
STRANGERS = [("corpus", "vision"), ("evaluation", "search")]  # stand side by side and know nothing of each other


def modules():
    """Every module of the house by its dotted name below tellvision, and its syntax tree."""
    for path in sorted(HOUSE.rglob("*.py")):
        parts = path.relative_to(HOUSE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        yield name, path, ast.parse(path.read_text(encoding="utf-8"), str(path))


TREES = {name: (path, tree) for name, path, tree in modules()}


def imported(name, path, tree):
    """The modules of the house that a module imports, anywhere in it; not what is for type checkers only."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    typing_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (a.name.partition(".")[2] for a in node.names if a.name.split(".")[0] == "tellvision")
        elif isinstance(node, ast.ImportFrom):
            where = (node.module or "").split(".") if node.module else []
            if node.level:
                where = ["tellvision", *package[: len(package) - node.level + 1], *where]
            if where[:1] != ["tellvision"]:
                continue
            for alias in node.names:
                whole = ".".join([*where[1:], alias.name])
                yield whole if whole in TREES else ".".join(where[1:])


IMPORTS = {name: set(imported(name, *found)) - {name} for name, found in TREES.items()}


def room(name):
    return name.split(".")[0]


def test_every_room_has_its_place():
    rooms = {room(name) for name in TREES} - {""}
    assert rooms <= set(TOP_TO_BOTTOM)


@pytest.mark.parametrize("name", sorted(set(TREES) - {""}))
def test_imports_run_one_way(name):
    place = TOP_TO_BOTTOM.index(room(name))
    for other in sorted(IMPORTS[name] - {""}):
        if room(other) != room(name):
            assert TOP_TO_BOTTOM.index(room(other)) < place, f"{name} imports {other}, which stands below it"


@pytest.mark.parametrize(("one", "other"), STRANGERS)
def test_neighbours_do_not_know_each_other(one, other):
    meetings = [
        (name, found) for name in IMPORTS for found in IMPORTS[name] if {room(name), room(found)} == {one, other}
    ]
    assert meetings == []


def test_the_store_rests_on_records_alone():
    seen = {room(found) for name in IMPORTS if room(name) == "store" for found in IMPORTS[name]}
    assert seen == {"records", "store"}


def test_nothing_goes_in_a_circle():
    # A package's __init__ re-exports its modules and stands for none of its own: inside the room it is left out.
    packages = {name for name, (path, _) in TREES.items() if path.name == "__init__.py"}
    known = {
        name: {found for found in IMPORTS[name] if not (found in packages and name.startswith(f"{found}."))}
        for name in IMPORTS
    }
    try:
        TopologicalSorter(known).prepare()
    except CycleError as error:
        pytest.fail("imports go in a circle: " + " -> ".join(error.args[1]))


def test_the_package_itself_is_light():
    """`import tellvision` brings nothing: what it offers is imported when it is asked for."""
    _, tree = TREES[""]
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert {node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in top} == {"typing"}


@pytest.mark.parametrize("name", sorted(TREES))
def test_modules_are_short_and_say_what_they_are(name):
    path, tree = TREES[name]
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(tree), f"{path} does not say what it is"
    assert len(text.splitlines()) <= 400, f"{path} has a second noun in it"
    assert path.stem not in {"utils", "util", "common", "base", "helpers", "misc"}


def test_nothing_is_swallowed_and_nothing_is_left_to_do():
    for name, (path, tree) in TREES.items():
        for node in ast.walk(tree):
            assert not (isinstance(node, ast.ExceptHandler) and node.type is None), f"a bare except in {name}"
        text = path.read_text(encoding="utf-8")
        for word in ("TODO", "FIXME", "NotImplementedError", "pragma: no cover"):
            assert word not in text, f"{word} in {name}"
