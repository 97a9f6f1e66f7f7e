import pytest
from pydantic import ValidationError

from graph.settings import AgentSettings, GraphSettings


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_defaults_need_no_environment(folder):
    settings = GraphSettings()

    assert settings.llm.ollama_base_url is None
    assert settings.llm.chat_model == "qwen2.5-coder:0.5b"
    assert settings.agent.max_iterations == 10


def test_the_environment_and_a_file_are_read(folder, monkeypatch):
    (folder / ".env").write_text("LLM__CHAT_MODEL=from-file\nAGENT__MAX_ITERATIONS=3\n")
    monkeypatch.setenv("LLM__OLLAMA_BASE_URL", "http://ollama:11434")
    monkeypatch.setenv("LLM__ALLOWED_MODELS", '["a", "b"]')
    monkeypatch.setenv("LLM__OLLAMA_API_KEY", "hidden")

    settings = GraphSettings()

    assert settings.llm.chat_model == "from-file"
    assert settings.agent.max_iterations == 3
    assert settings.llm.ollama_base_url == "http://ollama:11434"
    assert settings.llm.allowed_models == ("a", "b")
    assert "hidden" not in repr(settings)


def test_the_system_prompt_may_be_a_file(folder):
    (folder / "prompt.txt").write_text("Sei un assistente. È tutto.\n", encoding="utf-8")

    settings = AgentSettings(system_prompt_file=folder / "prompt.txt")

    assert settings.system_prompt == "Sei un assistente. È tutto."


def test_a_budget_of_nothing_is_refused():
    with pytest.raises(ValidationError):
        AgentSettings(max_iterations=0)
