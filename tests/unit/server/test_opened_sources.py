"""Where an opened citation stands."""

import pytest

from persistence.passages import Passage
from persistence.vectors.port import passage_id
from server.documents.sources import OpenedSource


def opened(*, position=1, chunks=3, page=None, start_seconds=None):
    passage = Passage(
        id=str(passage_id(7, position)),
        document_id=7,
        title="t",
        page=page,
        heading=None,
        start_seconds=start_seconds,
        text="a",
        score=1.0,
        url="",
        citation_key="key",
        position=position,
        digest="abc",
    )
    return OpenedSource(passage=passage, chunks=chunks)


@pytest.mark.parametrize(
    ("stands", "place", "fragment"),
    [
        ({"page": 4}, "page 4", "#page=4"),
        ({"start_seconds": 3725.4}, "1:02:05", "#t=3725"),
        ({"start_seconds": 0.0}, "0:00:00", "#t=0"),
        ({}, None, ""),
    ],
)
def test_a_place_is_named_for_people_and_for_viewers(stands, place, fragment):
    source = opened(**stands)
    assert source.place == place
    assert source.document_url == f"/v1/documents/7/content{fragment}"


@pytest.mark.parametrize(
    ("position", "before", "after"), [(0, None, 1), (1, 0, 2), (2, 1, None), (5, None, None)]
)
def test_neighbours_are_those_that_there_are(position, before, after):
    source = opened(position=position)
    assert source.before == (None if before is None else str(passage_id(7, before)))
    assert source.after == (None if after is None else str(passage_id(7, after)))


@pytest.mark.parametrize(("digest", "differs"), [("abc", False), ("abd", True), ("é", True)])
def test_another_text_has_another_digest(digest, differs):
    assert opened().differs_from(digest) is differs
