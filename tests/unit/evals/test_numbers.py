"""Figures, held to what is known of them."""

import math
from collections import Counter

import pytest

from evals.numbers.estimates import clustered_stderr, estimate, wilson
from evals.numbers.pairing import compare_pairs, sign_flip
from evals.numbers.passes import pass_all, pass_at, state_of


def test_with_one_epoch_the_error_is_that_of_independent_answers():
    values = [0.0, 1.0, 1.0, 1.0]
    mean = sum(values) / 4
    deviation = math.sqrt(sum((each - mean) ** 2 for each in values) / 3)
    assert clustered_stderr([[each] for each in values], mean) == pytest.approx(deviation / 2)


def test_the_error_is_the_one_that_inspect_gives():
    from inspect_ai.scorer import SampleScore, Score, stderr

    clusters = [[0, 1, 1], [1, 1, 1], [0, 0, 1], [0, 0, 0]]
    scores = [
        SampleScore(score=Score(value=value), sample_metadata={"sample": name})
        for name, cluster in enumerate(clusters)
        for value in cluster
    ]
    theirs = stderr(cluster="sample")(scores)
    assert clustered_stderr(clusters, 0.5) == pytest.approx(theirs)


def test_epochs_that_agree_tell_nothing_new():
    once = estimate([[1.0], [0.0], [1.0]], is_share=True)
    often = estimate([[1.0] * 9, [0.0] * 9, [1.0] * 9], is_share=True)
    assert often.stderr == pytest.approx(once.stderr)
    assert (often.samples, often.values) == (3, 27)


def test_what_is_unscored_counts_nowhere():
    assert estimate([[1.0], [], [0.0]], is_share=True).mean == 0.5
    assert estimate([[], []], is_share=True) is None


def test_one_sample_says_nothing_of_its_error():
    only = estimate([[1.0, 0.0]], is_share=True)
    assert (only.mean, only.stderr, only.interval) == (0.5, None, None)


def test_ten_right_of_ten_is_not_certainty():
    interval = estimate([[1.0]] * 10, is_share=True).interval
    assert interval.high == 1.0
    assert interval.low == pytest.approx(0.722, abs=0.001)


def test_wilsons_interval_is_the_one_of_the_textbook():
    interval = wilson(0.5, math.sqrt(0.25 / 100), samples=100)
    assert (interval.low, interval.high) == pytest.approx((0.404, 0.596), abs=0.001)


def test_right_and_wrong_speak_of_no_more_answers_than_there_are():
    # The samples are more alike than chance would have them: that is chance too.
    alike = estimate([[1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 1, 0]], is_share=True)
    known = wilson(7 / 12, math.sqrt(7 / 12 * 5 / 12 / 12), samples=12)
    assert (alike.interval.low, alike.interval.high) == pytest.approx((known.low, known.high))


def test_equal_shares_have_the_same_interval_whatever_adding_them_up_leaves():
    odd = estimate([[0.1], [0.1], [0.1]], is_share=True)
    assert odd.interval == wilson(odd.mean, 0.0, samples=3)
    noisy = wilson(0.1, 1e-17, samples=3)
    assert noisy == wilson(0.1, 0.0, samples=3)


def test_what_a_foreign_scorer_gives_may_lie_outside_of_shares():
    grades = estimate([[7.0], [9.0], [8.0]], is_share=True)
    assert grades.mean == 8
    assert 7 <= grades.interval.low < 8 < grades.interval.high <= 9


def test_the_interval_of_a_measure_is_the_same_each_time():
    values = [[float(each)] for each in range(20)]
    first, second = (estimate(values, is_share=False, seed=3) for _ in range(2))
    assert first == second
    assert first.interval.low < first.mean < first.interval.high


@pytest.mark.parametrize(
    ("right", "count", "k", "one", "every"),
    [(1, 2, 1, 0.5, 0.5), (1, 2, 2, 1.0, 0.0), (3, 4, 2, 1.0, 0.5), (0, 3, 2, 0.0, 0.0)],
)
def test_passes_of_k_tries(right, count, k, one, every):
    passes = [True] * right + [False] * (count - right)
    assert pass_at(passes, k) == pytest.approx(one)
    assert pass_all(passes, k) == pytest.approx(every)


def test_too_few_tries_say_nothing_of_k():
    assert pass_at([True], 2) is None
    assert pass_all([True], 2) is None


def test_a_sample_that_passes_now_and_then_is_flaky():
    states = [state_of(each) for each in ([True, True], [False], [True, False], [])]
    assert states == ["passed", "failed", "flaky", "unscored"]


def test_the_test_of_right_and_wrong_is_mcnemars():
    # 1 sample got better, 8 got worse: 2 * P(at most 1 of 9) = 20/512
    assert sign_flip([1] + [-1] * 8) == pytest.approx(20 / 512)


def test_of_many_samples_that_flipped_the_test_is_exact_as_well():
    # As scipy's binomtest has it for 30 of 100.
    assert sign_flip([1] * 30 + [-1] * 70) == pytest.approx(7.85e-05, rel=1e-3)
    assert sign_flip([0.5] * 10 + [-0.5] * 10) == 1.0


def test_signs_that_are_drawn_come_near_to_all_of_them():
    differences = [1, -2, 3, 4, -1, 6, 2, 5, -3, 7, 1, 2, -4, 3, 2, 1, -5, 2]
    sums = Counter({0: 1})
    for each in differences:
        moved = (
            Counter({total + each: n}) + Counter({total - each: n}) for total, n in sums.items()
        )
        sums = sum(moved, Counter())
    reached = abs(sum(differences))
    exact = sum(n for total, n in sums.items() if abs(total) >= reached) / 2 ** len(differences)
    assert sign_flip(differences) == pytest.approx(exact, abs=0.005)


def test_small_differences_are_judged_as_great_ones_are():
    differences = [3.0, 2.0, -1.0, 4.0, 2.5, 1.5, 3.5, -0.5]
    assert sign_flip([each * 1e-12 for each in differences]) == sign_flip(differences)


def test_runs_that_do_not_differ_are_not_told_apart():
    same = compare_pairs({"a": 1.0, "b": 0.0}, {"a": 1.0, "b": 0.0, "c": 1.0})
    assert (same.difference, same.p_value, same.samples) == (0.0, 1.0, 2)
    assert compare_pairs({"a": 1.0}, {"b": 1.0}) is None


def test_many_differences_are_judged_the_same_each_time():
    first = {str(each): 0.0 for each in range(40)}
    second = {str(each): float(each % 4 > 0) for each in range(40)}
    one, other = (compare_pairs(first, second, seed=1) for _ in range(2))
    assert one == other
    assert one.is_significant
