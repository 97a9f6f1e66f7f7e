"""Settings: composed once, checked for production."""

import json
import multiprocessing
import stat

import pytest
from cryptography.fernet import Fernet

from server.cli.connection import Connection
from server.errors import ConfigurationError
from server.installation import load_secrets
from server.settings import Settings, load_settings

STRONG = "Zq3v9-Lw7x_Tb5n2Kd8rYc6mHf4gJs1pQ"
COMPLETE = {
    "APP_ENV": "production",
    "SECURITY__ROOT_API_KEY": STRONG,
    "SECURITY__JWT_SECRET": STRONG[::-1],
    "SECURITY__CHAT_MESSAGE_ENCRYPTION_SECRET": Fernet.generate_key().decode(),
    "DATABASE__URL": "postgresql://u:p@db/youworker",
    "LLM__OLLAMA_BASE_URL": "http://ollama:11434",
    "LLM__QDRANT_URL": "http://qdrant:6333",
}

STARTING_AT_ONCE = 3
STARTED_SECONDS = 60


@pytest.fixture
def environment(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def set_all(values):
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return set_all


def test_each_folders_slice_is_read_from_the_environment(environment):
    environment(
        {
            "API__PORT": "9000",
            "LLM__CHAT_MODEL": "openai:gpt",
            "LLM__EMBED_MODEL": "nomic",
            "AGENT__MAX_ITERATIONS": "3",
            "INGEST__PARALLEL_FILES": "3",
            "MCP__SERVERS_FILE": "servers.json",
            "DATABASE__POOL_SIZE": "7",
        }
    )
    settings = load_settings()
    assert settings.api.port == 9000
    assert settings.llm.chat_model == "openai:gpt"
    assert settings.llm.embed_model == "nomic"
    assert settings.agent.max_iterations == 3
    assert settings.ingest.parallel_files == 3
    assert str(settings.mcp.servers_file) == "servers.json"
    assert settings.database.pool_size == 7


def test_a_dotenv_file_is_read_too(environment, tmp_path):
    (tmp_path / ".env").write_text("API__PORT=9001\nUNKNOWN=1\n")
    assert load_settings().api.port == 9001


def test_an_empty_value_counts_as_unset(environment):
    environment({"DATABASE__URL": "", "LLM__OLLAMA_BASE_URL": ""})
    settings = load_settings()
    assert settings.database.url is None
    assert settings.llm.ollama_base_url is None


@pytest.mark.parametrize(
    ("name", "entries"),
    [
        ("INGEST__ROOTS", ("/srv/x", "/srv/y")),
        ("API__CORS_ORIGINS", ("https://a.example", "https://b.example:8443")),
        ("SECURITY__ALLOWED_IPS", ("10.0.0.0/8", "2001:db8::/32")),
        ("SECURITY__TRUSTED_PROXIES", ("10.0.0.1/32", "10.0.0.2/32")),
        ("LLM__ALLOWED_MODELS", ("one:1b", "openai:two")),
        ("LLM__VISION_MODELS", ("one:1b", "openai:two")),
        ("OUTBOUND__ALLOW_HOSTS", ("example.org", "*.example.org")),
        ("OUTBOUND__DENY_HOSTS", ("example.org", "*.example.org")),
        ("OUTBOUND__ALLOW_PRIVATE", ("10.0.0.0/8", "fd00::/8")),
        ("OUTBOUND__DENY_ADDRESSES", ("10.0.0.0/8", "fd00::/8")),
        ("OUTBOUND__PORTS", ("80", "8080")),
    ],
)
def test_every_list_is_taken_with_commas_and_as_json(environment, name, entries):
    section, setting = name.lower().split("__")
    for written, expected in [
        (", ".join(entries), entries),
        (json.dumps(entries), entries),
        (entries[0], entries[:1]),
        ("[]", ()),
    ]:
        environment({name: written})
        taken = getattr(getattr(load_settings(), section), setting)
        assert tuple(map(str, taken)) == expected


def test_a_broken_list_is_told_by_the_name_of_its_setting(environment):
    environment({"INGEST__ROOTS": '["/srv/x"'})
    with pytest.raises(ConfigurationError, match=r"INGEST__ROOTS is not usable: .*JSON"):
        load_settings()
    environment({"INGEST__ROOTS": "/srv/x,srv/y"})
    with pytest.raises(ConfigurationError, match=r"INGEST__ROOTS is not usable: .*must begin"):
        load_settings()


def test_a_malformed_value_is_one_sentence_without_the_value(environment):
    environment({"API__PORT": "secret-looking-value"})
    with pytest.raises(ConfigurationError, match="API__PORT") as caught:
        load_settings()
    assert "secret-looking-value" not in str(caught.value)


def test_production_with_everything_set_starts(environment):
    environment(COMPLETE)
    assert load_settings().production


@pytest.mark.parametrize("name", [name for name in COMPLETE if name != "APP_ENV"])
def test_production_without_a_secret_or_a_server_names_it(environment, name):
    environment({key: value for key, value in COMPLETE.items() if key != name})
    with pytest.raises(ConfigurationError, match=name):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECURITY__ROOT_API_KEY", "short"),
        ("SECURITY__ROOT_API_KEY", "a" * 64),
        ("SECURITY__JWT_SECRET", "change-me"),
        ("SECURITY__CHAT_MESSAGE_ENCRYPTION_SECRET", "not a key"),
        ("SECURITY__CHAT_MESSAGE_ENCRYPTION_SECRET", f"{'A' * 43}=,x"),
    ],
)
def test_production_refuses_weak_secrets_and_says_how_to_make_a_good_one(environment, name, value):
    environment(COMPLETE | {name: value})
    with pytest.raises(ConfigurationError, match=name) as caught:
        load_settings()
    assert "python3 -c" in str(caught.value)
    assert value not in str(caught.value) or len(value) < 2


def test_production_may_be_allowed_to_use_embedded_parts(environment):
    without_servers = {k: v for k, v in COMPLETE.items() if not k.endswith("URL")}
    environment(without_servers | {"ALLOW_EMBEDDED": "true"})
    assert load_settings().database.url is None


def test_secrets_do_not_show_in_the_settings_text(environment):
    environment(COMPLETE)
    shown = repr(load_settings())
    for value in COMPLETE.values():
        if value in (STRONG, STRONG[::-1]) or "u:p@db" in value:
            assert value not in shown


def test_missing_secrets_are_made_once_and_kept_private(tmp_path):
    settings = Settings(data_dir=tmp_path / "data")
    first, second = load_secrets(settings), load_secrets(settings)
    file = tmp_path / "data" / "secrets.json"
    assert first == second
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["root_api_key"] == first.root_api_key
    assert first.root_api_key not in repr(first)


def test_a_secrets_file_that_cannot_be_read_stops_the_start(tmp_path):
    (tmp_path / "secrets.json").write_text("{")
    with pytest.raises(ConfigurationError, match=r"secrets\.json"):
        load_secrets(Settings(data_dir=tmp_path))


def test_processes_that_start_at_once_on_an_empty_folder_have_the_same_secrets(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(STARTING_AT_ONCE)
    answers = context.Queue()
    processes = [
        context.Process(target=load_with_the_others, args=(tmp_path / "data", ready, answers))
        for _ in range(STARTING_AT_ONCE)
    ]
    for process in processes:
        process.start()
    seen = [answers.get(timeout=STARTED_SECONDS) for _ in processes]
    for process in processes:
        process.join(STARTED_SECONDS)

    assert len(set(seen)) == 1
    left = sorted(path.name for path in (tmp_path / "data").iterdir())
    assert left == ["secrets.json", "secrets.lock"]
    assert stat.S_IMODE((tmp_path / "data" / "secrets.json").stat().st_mode) == 0o600


def load_with_the_others(data_dir, ready, answers):
    settings = Settings(data_dir=data_dir)
    ready.wait(STARTED_SECONDS)
    secrets = load_secrets(settings)
    answers.put((secrets.root_api_key, secrets.jwt_secret, secrets.encryption_keys))


def test_a_client_makes_no_secrets_but_says_what_to_do(tmp_path):
    settings = Settings(data_dir=tmp_path / "data")
    with pytest.raises(ConfigurationError, match="start the server first, or give one with --key"):
        Connection.choose(settings, None, None, create=False)
    assert not (tmp_path / "data").exists()
    assert Connection.choose(settings, None, "given").key == "given"

    made = load_secrets(settings)
    assert Connection.choose(settings, None, None, create=False).key == made.root_api_key


def test_a_configured_root_key_is_enough_for_a_client(environment, tmp_path):
    environment({"SECURITY__ROOT_API_KEY": STRONG})
    assert Connection.choose(load_settings(), None, None, create=False).key == STRONG
    assert list(tmp_path.iterdir()) == []


def test_without_a_worker_in_the_server_another_process_must_be_able_to_work(environment):
    environment(COMPLETE | {"JOBS__IN_API": "false"})
    assert load_settings().jobs.in_api is False
    environment({"LLM__QDRANT_URL": "", "ALLOW_EMBEDDED": "true"})
    with pytest.raises(ConfigurationError, match="JOBS__IN_API is false"):
        load_settings()


@pytest.mark.parametrize(
    ("app_env", "outbound", "web", "offered"),
    [
        ("development", False, None, False),
        ("development", True, None, True),
        ("development", True, False, False),
        ("development", False, True, False),
        ("production", True, None, False),
        ("production", True, True, True),
    ],
)
def test_the_web_is_looked_into_where_it_may_and_not_in_production_by_itself(
    app_env, outbound, web, offered
):
    settings = Settings.model_validate(
        {"app_env": app_env, "outbound": {"enabled": outbound}, "web": {"enabled": web}}
    )
    assert settings.offers_web is offered
