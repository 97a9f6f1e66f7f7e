"""Groups over real HTTP: who sees them, who changes them, and who cannot leave."""

import asyncio

import asyncpg
import pytest
import pytest_asyncio

from tests.fixtures.product import Product
from tests.integration.server.people import Person, make_group, new_group_name, told

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def product(shared_product: Product) -> Product:
    return shared_product


async def make_address(admin: Person, *members: Person, name: str | None = None) -> str:
    return f"/v1/groups/{await make_group(admin, *members, name=name)}"


async def test_who_makes_a_group_is_its_admin(ada: Person):
    name = new_group_name()
    answer = await ada.client.post(
        "/v1/groups", json={"name": f"  {name} ", "description": "What we do"}
    )
    made = answer.json()
    assert answer.status_code == 201
    assert (made["name"], made["description"], made["member_count"]) == (name, "What we do", 1)
    [member] = made["members"]
    assert (member["user_id"], member["username"], member["role"]) == (ada.id, ada.name, "admin")
    assert made["created_at"] == made["updated_at"] == member["joined_at"]
    listed = (await ada.client.get("/v1/groups")).json()
    assert listed["total"] == 1
    assert (listed["groups"][0]["role"], listed["groups"][0]["member_count"]) == ("admin", 1)
    assert (await ada.client.get(f"/v1/groups/{made['id']}")).json() == made


async def test_a_group_name_is_taken_once_whoever_asks_and_however_it_is_written(
    ada: Person, eve: Person
):
    name = new_group_name()
    await make_group(ada, name=name)
    theirs = await make_address(eve)
    for taken in (name, name.upper(), f" {name}\t", name.replace("C", "\uff23")):
        answer = await eve.client.post("/v1/groups", json={"name": taken})
        assert told(answer) == (400, "GROUP_NAME_EXISTS")
    assert told(await eve.client.patch(theirs, json={"name": name})) == (400, "GROUP_NAME_EXISTS")


async def test_of_two_who_take_a_name_at_once_one_gets_it(ada: Person, eve: Person):
    for _ in range(5):
        name = new_group_name()
        answers = await asyncio.gather(
            *(each.client.post("/v1/groups", json={"name": name}) for each in (ada, eve))
        )
        assert sorted(answer.status_code for answer in answers) == [201, 400]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "   "},
        {"name": "x" * 101},
        {"name": None},
        {"name": "x", "description": "y" * 1001},
        {"name": "x", "id": 7},
    ],
)
async def test_a_malformed_group_is_refused(ada: Person, body: dict[str, object]):
    assert told(await ada.client.post("/v1/groups", json=body)) == (400, "VALIDATION_ERROR")


async def test_a_group_is_renamed_and_described_by_its_admin(ada: Person, bob: Person):
    address = await make_address(ada, bob)
    name = new_group_name()
    renamed = (await ada.client.patch(address, json={"name": name})).json()
    described = (await ada.client.patch(address, json={"description": "Ours"})).json()
    assert renamed["name"] == described["name"] == name
    assert described["description"] == "Ours"
    assert len(described["members"]) == 2
    assert told(await ada.client.patch(address, json={})) == (400, "VALIDATION_ERROR")


def changes(address: str, somebody: int) -> list[tuple[str, str, dict[str, object] | None]]:
    return [
        ("PATCH", address, {"name": new_group_name()}),
        ("DELETE", address, None),
        ("POST", f"{address}/members", {"user_id": somebody}),
        ("PATCH", f"{address}/members/{somebody}", {"role": "member"}),
        ("DELETE", f"{address}/members/{somebody}", None),
    ]


async def test_a_group_of_others_does_not_exist(product: Product, ada: Person, eve: Person):
    address = await make_address(ada)
    before = (await ada.client.get(address)).json()
    for stranger in (eve.client, product.client):
        for method, path, body in [("GET", address, None), *changes(address, ada.id)]:
            theirs = await stranger.request(method, path, json=body)
            nobodys = path.replace(address, "/v1/groups/999999999")
            missing = await stranger.request(method, nobodys, json=body)
            assert told(theirs) == (404, "GROUP_NOT_FOUND"), (method, path)
            assert theirs.json() == missing.json()
    assert (await eve.client.get("/v1/groups")).json()["total"] == 0
    assert (await ada.client.get(address)).json() == before


async def test_a_member_sees_the_group_but_does_not_change_it(ada: Person, bob: Person):
    address = await make_address(ada, bob)
    before = (await bob.client.get(address)).json()
    assert (before["role"], before["member_count"]) == ("member", 2)
    for method, path, body in changes(address, ada.id):
        answer = await bob.client.request(method, path, json=body)
        assert told(answer) == (403, "NOT_GROUP_ADMIN"), (method, path)
    own = f"{address}/members/{bob.id}"
    assert told(await bob.client.patch(own, json={"role": "admin"})) == (403, "NOT_GROUP_ADMIN")
    assert (await bob.client.get(address)).json() == before


async def test_a_user_is_taken_in_once_and_only_if_there_is_one(
    product: Product, ada: Person, bob: Person, eve: Person
):
    address = await make_address(ada, bob)
    members = f"{address}/members"
    again = await ada.client.post(members, json={"user_id": bob.id})
    assert told(again) == (400, "MEMBERSHIP_EXISTS")
    await product.client.patch(f"/v1/users/{eve.id}", json={"is_active": False})
    gone = await ada.client.post(members, json={"user_id": eve.id})
    missing = await ada.client.post(members, json={"user_id": 999_999_999})
    assert told(gone) == (404, "USER_NOT_FOUND")
    assert gone.json() == missing.json()
    for body in ({"user_id": bob.id, "role": "root"}, {"user_id": 0}, {"role": "member"}):
        assert told(await ada.client.post(members, json=body)) == (400, "VALIDATION_ERROR")
    for method, body in (("PATCH", {"role": "admin"}), ("DELETE", None)):
        answer = await ada.client.request(method, f"{members}/{eve.id}", json=body)
        assert told(answer) == (404, "USER_NOT_FOUND")


async def test_a_member_leaves_and_an_admin_puts_members_out(ada: Person, bob: Person, eve: Person):
    address = await make_address(ada, bob, eve)
    assert (await bob.client.delete(f"{address}/members/{bob.id}")).status_code == 204
    assert (await ada.client.delete(f"{address}/members/{eve.id}")).status_code == 204
    for gone in (bob, eve):
        assert told(await gone.client.get(address)) == (404, "GROUP_NOT_FOUND")
    assert (await ada.client.get(address)).json()["member_count"] == 1


async def test_the_last_admin_neither_leaves_nor_is_demoted(ada: Person, bob: Person):
    address = await make_address(ada, bob)
    own = f"{address}/members/{ada.id}"
    assert told(await ada.client.delete(own)) == (409, "LAST_GROUP_ADMIN")
    assert told(await ada.client.patch(own, json={"role": "member"})) == (409, "LAST_GROUP_ADMIN")
    promoted = await ada.client.patch(f"{address}/members/{bob.id}", json={"role": "admin"})
    assert promoted.json()["role"] == "admin"
    assert (await ada.client.patch(own, json={"role": "member"})).status_code == 200
    assert told(await ada.client.delete(address)) == (403, "NOT_GROUP_ADMIN")
    assert (await bob.client.delete(own)).status_code == 204


async def test_of_two_admins_who_leave_at_once_one_stays(ada: Person, bob: Person):
    for _ in range(5):
        address = await make_address(ada, bob)
        await ada.client.patch(f"{address}/members/{bob.id}", json={"role": "admin"})
        answers = await asyncio.gather(
            *(each.client.delete(f"{address}/members/{each.id}") for each in (ada, bob))
        )
        assert sorted(answer.status_code for answer in answers) == [204, 409]


async def test_a_deleted_group_is_gone_for_everybody(ada: Person, bob: Person):
    name = new_group_name()
    address = await make_address(ada, bob, name=name)
    assert (await ada.client.delete(address)).status_code == 204
    for each in (ada, bob):
        assert told(await each.client.get(address)) == (404, "GROUP_NOT_FOUND")
    await make_group(bob, name=name)


async def test_what_happens_to_a_group_is_in_the_audit_trail(product: Product, ada, bob):
    address = await make_address(ada, bob)
    group_id = int(address.rpartition("/")[2])
    member = f"{address}/members/{bob.id}"
    await ada.client.patch(address, json={"description": "Ours"})
    await ada.client.patch(member, json={"role": "admin"})
    await ada.client.delete(member)
    await ada.client.delete(address)

    assert product.settings.database.url is not None
    connection = await asyncpg.connect(product.settings.database.url.get_secret_value())
    rows = await connection.fetch(
        "SELECT action, actor_id FROM audit_log WHERE group_id = $1 ORDER BY id", group_id
    )
    await connection.close()
    assert {row["actor_id"] for row in rows} == {ada.id}
    assert [row["action"] for row in rows] == [
        "group.create",
        "membership.create",
        "group.update",
        "membership.change",
        "membership.delete",
        "group.delete",
    ]
