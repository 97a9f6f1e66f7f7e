"""Images for a model that takes none."""

from base64 import b64encode

from tests.fixtures.images import make_png


async def test_a_model_without_eyes_names_those_that_have_them(product):
    picture = {"mime": "image/png", "data_b64": b64encode(make_png(2, 2)).decode()}
    answer = await product.client.post("/v1/chat", json={"text_input": "?", "images": [picture]})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "IMAGES_UNSUPPORTED")
    assert error["details"] == {"available": []}
    assert product.model.requests == []
