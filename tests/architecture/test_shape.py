"""The shape of the house: sizes, names, and one place for each concept."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("evals", "graph", "loaders", "migrations", "persistence", "server", "tools")
MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
BANNED_MODULES = {"utils", "util", "helpers", "common", "misc", "logging", "types", "datetime"}
BANNED_CLASS_ENDINGS = ("Manager", "Handler", "Helper")
ENVIRONMENT_READERS = {"os.environ", "os.getenv"}


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in sources():
        yield path.relative_to(ROOT), ast.parse(path.read_text("utf-8"))


def functions() -> Iterator[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path, tree in trees():
        if path.parts[:2] == ("migrations", "versions"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, node


def test_no_module_is_longer_than_a_reader_can_hold():
    long = {
        str(path.relative_to(ROOT)): count
        for path in sources()
        if (count := len(path.read_text("utf-8").splitlines())) > MODULE_LINES_MAX
    }
    assert long == {}


def test_no_function_is_longer_than_a_screen():
    long = [
        f"{path}:{node.name}"
        for path, node in functions()
        if (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES_MAX
    ]
    # The composition root is one list of what there is; cutting it up would hide the order.
    assert [name for name in long if name != "server/bootstrap.py:open_resources"] == []


def test_no_module_has_a_name_that_says_nothing():
    assert [str(p.relative_to(ROOT)) for p in sources() if p.stem in BANNED_MODULES] == []


def test_no_class_has_a_name_that_says_nothing():
    found = [
        f"{path}:{node.name}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name.endswith(BANNED_CLASS_ENDINGS)
    ]
    assert found == []


def test_the_environment_is_read_by_settings_alone():
    found = [
        f"{path}:{node.lineno}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ENVIRONMENT_READERS
    ]
    allowed = {"loaders/worker", "graph/llm/embedded", "persistence/embedded", "tools/transports"}
    outside = [f for f in found if not any(f.startswith(prefix) for prefix in allowed)]
    assert outside == []


def test_nothing_touches_the_import_path():
    found = [
        str(path)
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.path"
    ]
    assert found == []


@pytest.mark.parametrize(
    "folder",
    [
        "account",
        "audit",
        "auth",
        "chat",
        "documents",
        "groups",
        "health",
        "prompts",
        "sso",
        "users",
    ],
)
def test_a_feature_of_the_server_is_a_folder_with_routes_and_a_service(folder):
    names = {path.name for path in (ROOT / "server" / folder).glob("*.py")}
    assert {"__init__.py", "routes.py", "service.py"} <= names


def test_nobody_swallows_errors_without_saying_why():
    found = []
    for path, tree in trees():
        lines = (ROOT / path).read_text("utf-8").splitlines()
        for node in ast.walk(tree):
            if not isinstance(node, ast.ExceptHandler) or node.type is None:
                continue
            broad = ast.unparse(node.type) in {"Exception", "BaseException"}
            passed_on = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
            explained = "noqa: BLE001 - " in lines[node.lineno - 1]
            if broad and not passed_on and not explained:
                found.append(f"{path}:{node.lineno}")
    assert found == []
