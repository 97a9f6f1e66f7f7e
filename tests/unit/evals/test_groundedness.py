"""Whether an answer says what the passages say that were found."""

import pytest

from evals.errors import GraderFailed
from evals.scorers.catalogue import JUDGES
from evals.scorers.claims import claims_in, missing_in
from evals.scorers.model_graded import UNREADABLE
from evals.scorers.verdict import Expectation, ask_judge
from evals.target.answer import Answer, FoundSource
from tests.fakes.scripted_grader import ScriptedGrader

CANTEEN = "The canteen opens at 12:30 and closes at 14:15. On Fridays, Mario Rossi serves fish."
PARKING = "Parking badges are issued by the reception. A badge costs 1,250 points."


async def judged(content, *passages, grader=None, relevant=None, **options):
    sources = tuple(
        FoundSource(filename=f"{n}.md", title=f"{n}", label=f"s{n}", text=text)
        for n, text in enumerate(passages, start=1)
    )
    judge = JUDGES["groundedness"].judge(options, grader)
    more = {"relevant": relevant} if relevant else {}
    return await ask_judge(judge, Answer(content=content, sources=sources), Expectation(more=more))


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ("The canteen opens at 12:30 [s1].", 1),
        ("The canteen is open from 12.30 to 14.15.", 1),
        ("The canteen is open 12:30-14:15.", 1),
        ("The canteen opens at 11:30.", 0),
        ("Fish is served on Fridays by Mario Rossi.", 1),
        ("Fish is served on Fridays by Luigi Verdi.", 0),
        ("It says: \u201ccloses at 14:15\u201d.", 1),
        ("It says: \u201cnever closes at all\u201d.", 0),
        ("A badge costs 1250 points. The canteen opens at 12:30.", 1),
        ("The canteen opens at 12:30. It has a terrace with a view of the lake.", 0.5),
        ("- Opens at 12:30\n- Closes at 14:15\n- Costs 9.50", 2 / 3),
        ("The badge of the canteen opens at 12:30 for 1250 points.", 0),
    ],
)
async def test_the_share_of_claims_that_a_passage_bears_out(content, value):
    said = await judged(content, CANTEEN, PARKING)
    assert said.value == pytest.approx(value)


async def test_passages_that_a_sentence_cites_together_count_as_one():
    content = "The canteen opens at 12:30, and badges are issued by the reception"
    assert (await judged(f"{content}.", CANTEEN, PARKING)).value == 0
    assert (await judged(f"{content} [s1][s2].", CANTEEN, PARKING)).value == 1


async def test_what_no_passage_has_is_told():
    said = await judged("The canteen opens at 11:30.", CANTEEN)
    assert said.explanation == "unsupported: 'The canteen opens at 11:30.' (no passage has 11.30)"


async def test_the_beginning_of_a_passage_has_to_do_where_there_is_no_more():
    source = FoundSource(filename="a.md", title="A", snippet=CANTEEN)
    judge = JUDGES["groundedness"].judge({})
    answer = Answer(content="It opens at 12:30.", sources=(source,))
    assert (await ask_judge(judge, answer, Expectation())).value == 1


async def test_where_nothing_was_found_and_nothing_had_to_be_it_says_nothing():
    assert await judged("The canteen opens at 12:30.") is None


async def test_claims_about_documents_of_which_none_was_found_are_made_up():
    assert (await judged("The canteen opens at 12:30.", relevant=["canteen.md"])).value == 0


@pytest.mark.parametrize(
    "content",
    [
        "",
        "Hello! Let me know if you need anything else.",
        "Which canteen do you mean?",
        "I could not find the opening hours in the documents.",
    ],
)
async def test_an_answer_without_claims_is_unscored(content):
    said = await judged(content, CANTEEN, relevant=["canteen.md"])
    assert (said.is_scored, said.reason) == (False, "no_claims")


async def test_a_stricter_share_of_words_may_be_asked_for():
    content = "The canteen opens punctually at 12:30."
    assert (await judged(content, CANTEEN)).value == 1
    assert (await judged(content, CANTEEN, overlap=1)).value == 0


def test_claims_are_sentences_with_what_they_cite():
    claims = claims_in(
        "Hello Anna! The canteen opens at 12:30 [s1]. Badges cost 5 points. [s2] Is that all?"
    )
    assert [(each.text, each.labels) for each in claims] == [
        ("The canteen opens at 12:30.", ("s1",)),
        ("Badges cost 5 points.", ("s2",)),
    ]


def test_words_may_end_otherwise_but_names_and_numbers_may_not_be_others():
    [claim] = claims_in("Parking badges were issued to Anna in 2024.")
    assert missing_in(claim, "In 2024 a badge for parkings was issuing Anna") == []
    assert missing_in(claim, "In 2025 a badge for parking was issued to Anna") == ["2024"]
    [claim] = claims_in("Badges were issued to Maria.")
    assert missing_in(claim, "Marias badge was issued") == []
    assert missing_in(claim, "A badge was issued to Marie") == ["maria"]


async def test_a_model_judges_claim_by_claim():
    grader = ScriptedGrader("SUPPORTED", "UNSUPPORTED")
    said = await judged(
        "The canteen opens at noon. It closes early [s2].",
        CANTEEN,
        PARKING,
        by="model",
        grader=grader,
    )
    assert said.value == 0.5
    assert said.explanation == "unsupported: 'It closes early.' (There are reasons.)"
    first, second = grader.prompts
    assert "CLAIM\nThe canteen opens at noon." in first
    assert first.index("The canteen opens at 12:30") < first.index("Parking badges")
    assert second.index("The canteen opens at 12:30") > second.index("Parking badges")


async def test_a_claim_whose_verdict_cannot_be_read_is_left_out():
    grader = ScriptedGrader("SUPPORTED", "?", "?")
    said = await judged(
        "It opens at 12:30. It closes at 14:15.", CANTEEN, by="model", grader=grader
    )
    assert said.value == 1
    said = await judged("It opens at 12:30.", CANTEEN, by="model", grader=ScriptedGrader())
    assert (said.is_scored, said.reason) == (False, UNREADABLE)


async def test_a_grader_that_is_away_says_nothing_of_the_claims():
    with pytest.raises(GraderFailed):
        await judged("It opens at 1.", CANTEEN, by="model", grader=ScriptedGrader("BREAK"))
