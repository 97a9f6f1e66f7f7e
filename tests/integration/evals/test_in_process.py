"""The product, started for an eval."""

from evals.target.answer import Question
from evals.target.opening import Target, open_target
from server.settings import Settings


async def test_the_product_is_started_here_on_a_folder_that_is_thrown_away(
    scripted_model, tmp_path
):
    settings = Settings.model_validate(
        {
            "data_dir": tmp_path / "own",
            "llm": {"ollama_base_url": scripted_model.base_url, "chat_model": "scripted"},
        }
    )
    scripted_model.reply("Here.")
    async with open_target(Target(), settings) as product:
        answer = await product.ask(Question(text="Where?", session_id="s"))
    assert answer.content == "Here."
    assert scripted_model.requests[-1].body["options"]["temperature"] == 0.0
    assert not (tmp_path / "own").exists()
