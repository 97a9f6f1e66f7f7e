"""Encryption keys are exchanged under a running product, and the old ones dropped."""

import asyncio
import io
import zipfile
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from persistence.encryption import KeyRing
from persistence.errors import EncryptionKeyError
from persistence.vectors.errors import IndexInUse
from server.cli.audit_trail import verify
from server.cli.rotate_keys import EXIT_UNREADABLE, rotate_keys
from server.installation import InstallationSecrets
from server.settings import Settings
from tests.fakes.ollama_server import ScriptedOllama
from tests.fixtures.images import make_png
from tests.fixtures.product import Product, new_secrets, open_product, settings_for

MESSAGES_MEANWHILE = 12
PICTURE = make_png(2, 2)


class Installation:
    """One product's data, under keys that change."""

    def __init__(self, folder: Path, database_url: str, model: ScriptedOllama) -> None:
        self.database_url = database_url
        self.model = model
        model.capabilities = ["completion", "tools", "vision"]
        self.first, self.second = KeyRing.generate_key(), KeyRing.generate_key()
        self._settings = settings_for(folder, database_url, model)
        self._secrets = new_secrets()

    def settings(self, *keys: str) -> Settings:
        secret = SecretStr(",".join(keys))
        security = self._settings.security.model_copy(
            update={"chat_message_encryption_secret": secret}
        )
        return self._settings.model_copy(update={"security": security})

    def secrets(self, *keys: str) -> InstallationSecrets:
        return replace(self._secrets, encryption_keys=",".join(keys))

    def open(self, *keys: str):  # type: ignore[no-untyped-def]  # as `open_product`
        return open_product(self.settings(*keys), self.secrets(*keys), self.model)

    async def rotate(self, *keys: str) -> int:
        """Rotate as the command line does, in a loop of its own."""
        return await asyncio.to_thread(rotate_keys, self.settings(*keys))


@pytest.fixture
def installation(tmp_path: Path, database_url: str, scripted_model: ScriptedOllama) -> Installation:
    return Installation(tmp_path, database_url, scripted_model)


async def fill(product: Product) -> None:
    """Leave something in every part of the product that keeps something."""
    await product.stream("Where is the lilac elephant?", session_id="first")
    shown = {"mime": "image/png", "data_b64": b64encode(PICTURE).decode()}
    await product.stream("What is this?", session_id="shown", images=[shown])
    await product.upload("elephant.md", b"# Elephants\n\nThe lilac elephant lives in Turin.\n")
    await product.client.post("/v1/groups", json={"name": "Keepers", "description": "of animals"})
    user = await product.new_user("anna")
    await user.aclose()


async def require_whole(product: Product) -> None:
    """Everything that was left is there, and can be found and gone on with."""
    history = (await product.client.get("/v1/chat/sessions/first")).json()
    assert history["messages"][0]["content"] == "Where is the lilac elephant?"
    [asked, _] = (await product.client.get("/v1/chat/sessions/shown")).json()["messages"]
    image = f"/v1/chat/sessions/shown/messages/{asked['id']}/images/1"
    assert (await product.client.get(image)).content == PICTURE
    await product.stream("And now?", session_id="first")
    asked = product.model.requests[-1].messages
    assert "Where is the lilac elephant?" in str(asked)  # the agent remembers
    found = (await product.client.post("/v1/search", json={"query": "lilac elephant"})).json()
    assert "Turin" in str(found)
    export = await product.client.get("/v1/account/export")
    with zipfile.ZipFile(io.BytesIO(export.content)) as archive:
        assert any(b"# Elephants" in archive.read(name) for name in archive.namelist())
    taken = await product.client.post("/v1/groups", json={"name": "keepers"})
    assert taken.json()["error"]["code"] == "GROUP_NAME_EXISTS"
    trail = (await product.client.get("/v1/audit")).json()
    assert "keys.rotate" in str(trail)


async def test_keys_are_exchanged_while_messages_are_sent(
    installation: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = installation.first, installation.second
    async with installation.open(first) as product:
        await fill(product)
    async with installation.open(second, first) as product:

        async def talk() -> None:
            for number in range(MESSAGES_MEANWHILE):
                await product.stream(f"Meanwhile {number}", session_id=f"other-{number % 3}")

        talking = asyncio.create_task(talk())
        assert await installation.rotate(second, first) == 0
        await talking
        capsys.readouterr()
        assert await installation.rotate(second, first) == 0
        again = [line for line in capsys.readouterr().out.splitlines() if "values" in line]
        assert again
        assert all(line.split()[-3] == "0" for line in again), again
    async with installation.open(second) as product:
        await require_whole(product)
        for number in range(3):
            answer = await product.client.get(f"/v1/chat/sessions/other-{number}")
            assert len(answer.json()["messages"]) == 2 * MESSAGES_MEANWHILE // 3
    report = await verify(installation.settings(second), None)
    assert report.is_whole
    with pytest.raises(EncryptionKeyError, match="other keys"):
        async with installation.open(first):
            pass


async def test_keys_are_exchanged_while_no_server_runs(installation: Installation) -> None:
    first, second = installation.first, installation.second
    async with installation.open(first) as product:
        await fill(product)
    assert await installation.rotate(second, first) == 0
    async with installation.open(second) as product:
        await require_whole(product)


async def test_a_server_without_the_new_key_is_not_rotated_under(
    installation: Installation,
) -> None:
    async with installation.open(installation.first) as product:
        await fill(product)
        with pytest.raises(IndexInUse, match="its first key is another one"):
            await installation.rotate(installation.second, installation.first)


async def test_what_no_key_opens_is_named_and_the_rest_is_rotated(
    installation: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = installation.first, installation.second
    async with installation.open(first) as product:
        await fill(product)
    connection = await asyncpg.connect(installation.database_url)
    await connection.execute("UPDATE groups SET body = 'damaged'")
    await connection.close()
    assert await installation.rotate(second, first) == EXIT_UNREADABLE
    shown = capsys.readouterr()
    assert "no key opens groups.body: " in shown.err
    assert "Keepers" not in shown.out + shown.err
    async with installation.open(second) as product:
        history = (await product.client.get("/v1/chat/sessions/first")).json()
        assert len(history["messages"]) == 2


async def test_wrong_keys_stop_the_start_before_anything_is_written(
    installation: Installation,
) -> None:
    async with installation.open(installation.first) as product:
        await fill(product)
    with pytest.raises(EncryptionKeyError, match="other keys"):
        async with installation.open(installation.second):
            pass


async def test_an_original_that_waits_is_taken_in_with_the_new_key_alone(
    installation: Installation,
) -> None:
    jobs = installation._settings.jobs
    installation._settings = installation._settings.model_copy(
        update={"jobs": jobs.model_copy(update={"in_api": False})}
    )
    first, second = installation.first, installation.second
    async with installation.open(first) as product:
        given = await product.client.post(
            "/v1/ingest/upload",
            files={"files": ("elephant.md", b"The lilac elephant lives in Turin.")},
            headers={"Prefer": "wait=0"},
        )
    assert await installation.rotate(second, first) == 0
    installation._settings = installation._settings.model_copy(update={"jobs": jobs})
    async with installation.open(second) as product:
        await product.client.get(f"{given.headers['Location']}/events")
        report = (await product.client.get(given.headers["Location"])).json()
    assert [(file["path"], file["status"]) for file in report["files"]] == [
        ("elephant.md", "indexed")
    ]
