"""Who may see a row is decided in `persistence/{access,vectors/filters}.py` and nowhere else."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PERSISTENCE = ROOT / "persistence"
DECIDERS = {PERSISTENCE / "access.py", PERSISTENCE / "vectors" / "filters.py"}
OWNER_COLUMNS = {"user_id", "owner_id", "actor_id"}
SCOPE_VALUES = {"scope_user_id", "scope_group_ids"}


def modules() -> list[Path]:
    return sorted(
        path
        for folder in ("persistence", "server", "tools", "loaders", "graph")
        for path in (ROOT / folder).rglob("*.py")
        if path not in DECIDERS
    )


def faults(tree: ast.AST) -> Iterator[str]:
    """What decides about access in a module: each as a sentence with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in SCOPE_VALUES:
            yield f"line {node.lineno}: uses the scope's value {node.value!r}"
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(_is_owner_column(side) for side in sides) and _compares_with_scope(sides):
                yield f"line {node.lineno}: compares an owner with a scope"
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in {"in_", "any_", "is_not_distinct_from"}
            and _is_owner_column(node.func.value)
        ):
            yield f"line {node.lineno}: picks owners by itself"


def _is_owner_column(node: ast.AST) -> bool:
    """Whether it reads `table.c.user_id` and the like."""
    return (
        isinstance(node, ast.Attribute)
        and node.attr in OWNER_COLUMNS
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "c"
    )


def _compares_with_scope(sides: list[ast.expr]) -> bool:
    """A column that is compared with another column is a join; with anything else a decision.

    A user's own id may be a plain argument, as when an administrator names a user.
    """
    for side in sides:
        for node in ast.walk(side):
            if isinstance(node, ast.Attribute) and node.attr in {"_scope", "scope"}:
                return True
            if isinstance(node, ast.Constant) and str(node.value).startswith("scope"):
                return True
    return False


def unguarded(tree: ast.AST, owned: set[str]) -> Iterator[str]:
    """Statements on tables with owners that are rendered without a guard."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        calls = {
            n.func.id
            for n in ast.walk(node)
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
        }
        if node.func.id == "Statement" and names & owned and not calls & {"insert", "upsert"}:
            yield f"line {node.lineno}: a statement on {sorted(names & owned)} without a guard"
        if node.func.id == "ScopedStatement" and names & owned and "guard" not in names:
            yield f"line {node.lineno}: a scoped statement that asks no guard"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_else_decides_who_may_see_a_row(path: Path) -> None:
    assert list(faults(ast.parse(path.read_text("utf-8")))) == []


OWNED = {
    "api_keys",
    "approvals",
    "chat_sessions",
    "documents",
    "group_members",
    "groups",
    "identities",
    "ingest_files",
    "ingest_runs",
    "login_sessions",
    "mcp_authorization_attempts",
    "mcp_authorizations",
    "message_images",
    "messages",
    "model_calls",
    "questions",
    "run_events",
    "runs",
    "tool_limits",
    "tool_policies",
    "tool_runs",
}


@pytest.mark.parametrize(
    "path", sorted((PERSISTENCE / "repositories").glob("*.py")), ids=lambda path: path.name
)
def test_every_statement_on_a_row_with_an_owner_is_guarded(path: Path) -> None:
    assert list(unguarded(ast.parse(path.read_text("utf-8")), OWNED)) == []


@pytest.mark.parametrize(
    "line",
    [
        "x = documents.c.owner_id == bindparam('scope_user_id')",
        "x = documents.c.owner_id == self._scope.user_id",
        "x = runs.c.user_id.in_(mine)",
    ],
)
def test_the_check_notices_a_decision_elsewhere(line: str) -> None:
    assert list(faults(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    [
        "_GET = Statement(select(documents).where(documents.c.id == bindparam('id')))",
        "_GET = ScopedStatement(lambda guard: select(runs))".replace("guard:", "_:"),
    ],
)
def test_the_check_notices_a_statement_without_a_guard(line: str) -> None:
    assert list(unguarded(ast.parse(line), OWNED))
