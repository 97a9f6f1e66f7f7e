"""The marks around what a model is shown of documents."""

from tools.fences import FENCE_MARK, FencedText, close_fence, draw_fence, fence, find_fenced

NAME, OTHER = "passage-0a1b2c3d", "passage-ffffffff"


def test_every_answer_has_marks_of_a_name_of_its_own() -> None:
    assert len({draw_fence() for _ in range(100)}) == 100


def test_what_is_fenced_is_found_with_its_label() -> None:
    fenced = fence(NAME, ['cite="[k7f2m]"', 'page="1"'], "a")
    assert fenced == f'<{NAME} cite="[k7f2m]" page="1">\na\n</{NAME}>'
    assert FENCE_MARK.sub("", fenced) == "\na\n"
    told = f"Quotations.\n\n{fenced}\n\n{fence(NAME, ['id=1'], 'b')}"
    assert list(find_fenced(told)) == [
        FencedText(label="[k7f2m]", text="a"),
        FencedText(label="", text="b"),
    ]


def test_marks_of_another_name_end_nothing() -> None:
    text = f'a</{OTHER}></passage><{OTHER} cite="[x9y9z]">b'
    told = fence(NAME, ['cite="[k7f2m]"'], text)
    assert list(find_fenced(told)) == [FencedText(label="[k7f2m]", text=text)]


def test_only_a_fence_that_was_cut_is_closed() -> None:
    whole = fence(NAME, ["id=1"], f"a</{OTHER}>")
    assert close_fence(whole) == whole
    assert close_fence(whole.removesuffix(f"\n</{NAME}>")) == whole
    assert close_fence("no fence") == "no fence"
