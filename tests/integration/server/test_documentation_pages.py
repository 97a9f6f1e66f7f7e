"""The documentation's pages and the policy that browsers hold them to."""

import base64
import hashlib
import re
from urllib.parse import urlsplit

import pytest

from tests.fixtures.product import Product


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
async def test_documentation_runs_its_own_scripts_and_no_others(product: Product, path: str):
    answer = await product.client.get(path)
    policy = dict(
        directive.strip().split(" ", 1)
        for directive in answer.headers["content-security-policy"].split(";")
    )
    for kind, directive in (("script", "script-src"), ("style", "style-src")):
        inline = re.findall(rf"<{kind}>(.*?)</{kind}>", answer.text, re.DOTALL)
        assert len(inline) == len(re.findall(rf"<{kind}(?![^>]*src=)[^>]*>", answer.text))
        hashes = {
            "'sha256-" + base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() + "'"
            for one in inline
        }
        allowed = set(policy[directive].split())
        assert allowed - hashes - {"'self'"} == set(re.findall(r"'nonce-.*?'", policy[directive]))
        assert hashes <= allowed
        assert "unsafe" not in policy[directive]
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert policy.get("worker-src", "blob:") == "blob:"
    assert "http" not in answer.headers["content-security-policy"]
    for address in re.findall(r'(?:src|href)="([^"]*)"', answer.text):
        assert not urlsplit(address).netloc
        loaded = await product.client.get(address)
        assert loaded.status_code == 200, address
        assert loaded.headers.get("cache-control") != "no-store"


async def test_redoc_styles_carry_a_nonce_that_is_never_the_same(product: Product):
    nonces = set()
    for _ in range(3):
        answer = await product.client.get("/redoc")
        [nonce] = re.findall(r'<redoc nonce="([^"]+)" spec-url=', answer.text)
        assert f"'nonce-{nonce}'" in answer.headers["content-security-policy"]
        nonces.add(nonce)
    assert len(nonces) == 3
