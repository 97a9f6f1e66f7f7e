"""Names that servers give to what is fetched from them."""

import pytest
from yarl import URL

from tools.outbound.filename import name_file

FROM_URL = URL("https://files.example/a/plan.txt")


@pytest.mark.parametrize(
    "disposition",
    [
        "attachment; filename*=a; filename*0=b",
        f"attachment; filename*{'9' * 5_000}=x",
        "attachment; filename*=idna''a",
        "attachment; filename*=undefined''a",
        "attachment; filename*0*=''a; filename*x=b",
    ],
)
def test_a_header_that_makes_no_sense_leaves_a_harmless_name(disposition: str) -> None:
    assert name_file(disposition, FROM_URL) in {"plan.txt", "a", "ab"}
