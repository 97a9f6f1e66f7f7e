import re

import pytest

from tools.names import make_safe, qualify, server_of


def test_people_see_a_dot_and_models_two_underscores() -> None:
    assert qualify("datetime", "now") == "datetime.now"
    assert make_safe("datetime", "now") == "datetime__now"


@pytest.mark.parametrize("tool", ["a.b/c d", "naïve", "日本", "x" * 200, "", "a\nb"])
def test_every_name_is_one_that_model_apis_accept(tool: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", make_safe("server", tool))


def test_the_server_is_found_in_a_name() -> None:
    assert server_of(qualify("mail", "send.all")) == "mail"


def test_long_names_with_the_same_beginning_differ() -> None:
    assert make_safe("s", "x" * 100 + "1") != make_safe("s", "x" * 100 + "2")
