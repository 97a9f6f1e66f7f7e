from sqlalchemy import bindparam, column, insert, select, table, text, update

from persistence.access import AccessScope, ScopedStatement
from persistence.statements import Statement

THINGS = table("things", column("id"), column("owner"), column("name"))


def test_arguments_follow_the_numbers_of_their_parameters() -> None:
    core = select(THINGS).where(
        THINGS.c.name == bindparam("name"), THINGS.c.id > bindparam("least")
    )
    statement = Statement(core)
    assert "$1" in statement.sql
    assert statement.arguments({"least": 3, "name": "x", "unused": 0}) == ["x", 3]


def test_an_insert_takes_its_columns_from_parameters_of_their_names() -> None:
    statement = Statement(insert(THINGS), columns=("owner", "name"))
    assert statement.arguments({"name": "x", "owner": 1}) == [1, "x"]


def test_a_value_that_the_statement_states_itself_is_filled_in() -> None:
    core = update(THINGS).values(name="lost").where(THINGS.c.id == bindparam("thing"))
    assert Statement(core).arguments({"thing": 1}) == ["lost", 1]


def test_a_statement_without_parameters_takes_none() -> None:
    assert Statement(text("SELECT 1")).arguments({"unused": 1}) == []


def test_a_scoped_statement_restricts_everybody_but_the_system() -> None:
    scoped = ScopedStatement(lambda guard: select(THINGS).where(guard.owned(THINGS.c.owner)))
    user = AccessScope(user_id=7)
    root = AccessScope(user_id=8, is_root=True)
    system = AccessScope.system("a test")
    for scope in (user, root):
        assert scoped.under(scope).arguments(scope.sql_parameters) == [scope.user_id]
    assert scoped.under(system).arguments(system.sql_parameters) == []
    assert scoped.administered_by(user) is scoped.under(user)
    assert scoped.administered_by(root) is scoped.under(system)
