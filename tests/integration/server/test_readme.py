"""What the README tells people to type works."""

import asyncio
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from fpdf import FPDF
from typer.testing import CliRunner

from server.cli.main import app
from tests.fixtures.product import Product

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
CURLS = [block for block in BLOCKS if block.startswith("curl")]
COMMANDS = re.findall(r"^\.venv/bin/youworker ([^#\n]*)", README, re.MULTILINE)
DEFAULT_ADDRESS = "http://127.0.0.1:8001"
ENDS_SECONDS = 60


async def test_the_curl_lines_ask_upload_and_ask_again(product: Product, tmp_path):
    document = FPDF()
    document.set_font("Helvetica", size=12)
    document.add_page()
    document.multi_cell(0, 8, "Everybody has 31 vacation days.")
    (tmp_path / "handbook.pdf").write_bytes(bytes(document.output()))
    product.model.reply("It is late.", when="Tokyo")
    product.model.reply("31 days.", when="vacation")

    shown = ""
    for block in CURLS:
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-ec",
            block.replace(DEFAULT_ADDRESS, product.url),
            cwd=tmp_path,
            env=os.environ | {"KEY": product.secrets.root_api_key},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        async with asyncio.timeout(ENDS_SECONDS):
            shown += (await process.communicate())[0].decode()
        assert process.returncode == 0

    assert len(CURLS) == 3
    assert "It is late." in shown
    assert '"success":true' in shown
    assert '"content":"31 days."' in shown
    assert '"username":"ada"' in shown
    assert '"name":"Legal"' in shown
    assert '"csrf_token":' in shown
    assert '"documents":1' in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_readme_exists(command: str):
    words = shlex.split(command)
    depth = 2 if words[0] in {"users", "keys", "audit"} else 1
    ended = CliRunner().invoke(app, [*words[:depth], "--help"])
    assert ended.exit_code == 0


def test_the_readme_shows_each_command():
    shown = {shlex.split(command)[0] for command in COMMANDS}
    assert {"chat", "ingest", "users", "keys", "audit", "migrate", "doctor"} <= shown
