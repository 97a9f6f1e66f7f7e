import json
from pathlib import Path

import pytest

from tools.config import HttpServer, StdioServer, parse_server, read_servers
from tools.errors import McpConfigError
from tools.shown_config import describe_server

EXAMPLE = Path(__file__).parents[3] / "mcp.json.example"


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "mcp.json"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_the_example_is_a_servers_file() -> None:
    assert set(read_servers(EXAMPLE)) == {"time", "intranet"}


def test_a_missing_file_holds_no_servers(tmp_path: Path) -> None:
    assert read_servers(tmp_path / "nowhere.json") == {}


def test_both_kinds_of_server_are_read_and_foreign_keys_ignored(tmp_path: Path) -> None:
    document = {
        "mcpServers": {
            "a": {"command": "uvx", "args": ["x"], "env": {"K": "v"}, "alwaysAllow": []},
            "b": {"type": "http", "url": "https://tools.example/mcp", "headers": {"X-Key": "v"}},
        },
        "inputs": [],
    }

    servers = read_servers(write(tmp_path, "\ufeff" + json.dumps(document)))

    assert isinstance(servers["a"], StdioServer)
    assert servers["a"].env["K"].get_secret_value() == "v"
    assert isinstance(servers["b"], HttpServer)
    assert str(servers["b"].url) == "https://tools.example/mcp"


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("", "line 1, column 1"),
        ('{"mcpServers": {"a": }}', "line 1, column 22"),
        (b"\xff\xfe", "not UTF-8"),
        ("[]", '"mcpServers"'),
        ("{}", '"mcpServers"'),
        ('{"mcpServers": []}', '"mcpServers"'),
        ("[" * 100_000, "JSON"),
        ('{"mcpServers": {"a": ' + "9" * 10_000 + "}}", "JSON"),
        ('{"mcpServers": {"a": {"command": "x"}, "a": {"command": "y"}}}', "'a' is given twice"),
        ('{"mcpServers": {"a": 5}}', "mcpServers.a: must be an object"),
        ('{"mcpServers": {"a": {}}}', 'mcpServers.a: needs either "command" or "url"'),
        ('{"mcpServers": {"a": {"command": "x", "url": "http://y"}}}', "mcpServers.a"),
        ('{"mcpServers": {"a": {"command": ""}}}', "mcpServers.a.command"),
        ('{"mcpServers": {"a": {"command": "x", "session": "mine"}}}', "mcpServers.a.session"),
        ('{"mcpServers": {"a": {"command": "x", "roots": ["http://x"]}}}', "mcpServers.a.roots.0"),
        ('{"mcpServers": {"a": {"command": "x", "args": "y"}}}', "mcpServers.a.args"),
        ('{"mcpServers": {"a": {"command": "x", "args": [5]}}}', "mcpServers.a.args.0"),
        ('{"mcpServers": {"a": {"command": "x", "env": {"A=B": "c"}}}}', "mcpServers.a.env.***: "),
        ('{"mcpServers": {"a": {"command": "x", "env": {"A": "\\u0000"}}}}', "mcpServers.a.env.A"),
        ('{"mcpServers": {"a": {"url": "ftp://x"}}}', "mcpServers.a.url"),
        ('{"mcpServers": {"a": {"url": "http://x", "headers": {"A B": ""}}}}', "headers.***: "),
        ('{"mcpServers": {"a": {"url": "http://x", "headers": {"A": "\\n"}}}}', "headers.A"),
        ('{"mcpServers": {"a": {"url": "http://x", "type": "sse"}}}', "SSE is not supported"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_error_that_names_the_place(
    tmp_path: Path, content: str | bytes, place: str
) -> None:
    path = write(tmp_path, content)

    with pytest.raises(McpConfigError) as caught:
        read_servers(path)

    assert place in str(caught.value)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    "name", ["", "a b", "a.b", "a/b", "a__b", "_a", "a_", "-a", "é", "a" * 33, "a\n", "datetime"]
)
def test_names_that_cannot_stand_before_a_tools_name_are_refused(name: str) -> None:
    with pytest.raises(McpConfigError):
        parse_server(name, {"command": "x"})


@pytest.mark.parametrize("name", ["semantic", "Units", "WEB"])
def test_names_of_built_in_servers_are_reserved(name: str) -> None:
    with pytest.raises(McpConfigError, match="built-in"):
        parse_server(name, {"command": "x"})


def test_a_folder_is_an_error_and_not_an_empty_file(tmp_path: Path) -> None:
    with pytest.raises(McpConfigError, match="cannot be read"):
        read_servers(tmp_path)


def test_secrets_are_never_shown() -> None:
    secret = "sk-very-secret"
    shown = [
        repr(parse_server("a", {"command": "x", "args": [secret], "env": {"K": secret}})),
        repr(parse_server("b", {"url": f"http://x/?k={secret}", "headers": {"K": secret}})),
    ]
    for wrong in (
        {"url": secret},
        {"url": "http://x", "headers": {"K": secret + "\n"}},
        {"url": "http://x", "headers": {f"K: {secret}": ""}},
        {"command": "x", "env": {f"K={secret}": ""}},
    ):
        with pytest.raises(McpConfigError) as caught:
            parse_server("c", wrong)
        shown.append(f"{caught.value} {caught.value.__cause__} {caught.value.__context__}")

    assert not [text for text in shown if secret in text]


def test_an_entry_is_shown_without_anything_that_may_be_secret() -> None:
    secret = "s3cret-walnut"
    stdio = {
        "command": "run",
        "args": ["--key", secret],
        "env": {"KEY": secret},
        "trustAnnotations": True,
    }
    http = {"url": f"http://u:{secret}@x.example/{secret}?k={secret}", "headers": {"K": secret}}
    shown = [describe_server(parse_server("a", entry)) for entry in (stdio, http)]
    assert secret not in repr(shown)
    assert (
        shown[0].items()
        >= {"command": "run", "args": ["***", "***"], "env": {"KEY": "***"}}.items()
    )
    assert shown[0]["trustAnnotations"]
    assert shown[1].items() >= {"url": "http://x.example:80/***", "headers": {"K": "***"}}.items()


def test_names_that_differ_in_letter_case_alone_are_refused(tmp_path: Path) -> None:
    entries = {"mail": {"command": "x"}, "Mail": {"command": "x"}}
    with pytest.raises(McpConfigError, match=r"Mail: is there in other letter case"):
        read_servers(write(tmp_path, json.dumps({"mcpServers": entries})))


@pytest.mark.parametrize("more", [{"auth": {"type": "oauth"}}, {"identity": {"audience": "x"}}])
def test_nobodys_tokens_are_sent_to_another_machine_in_clear(more: dict[str, object]) -> None:
    with pytest.raises(McpConfigError, match="the url must be https"):
        parse_server("a", {"url": "http://tools.example/mcp", **more})
    for url in ("https://tools.example/mcp", "http://127.0.0.1:8000/mcp", "http://localhost/mcp"):
        parse_server("a", {"url": url, **more})
