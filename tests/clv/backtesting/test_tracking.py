"""Repeat purchases week by week, against loops over customers and published tables."""

import datetime as dt
import math

import numpy as np
import pytest

import fitted
import logs
import loyalty as ly
from customers import bought
from loyalty.clv.backtesting.holdout import hold_out
from loyalty.clv.backtesting.tracking import expected_repeats, tracking
from loyalty.clv.models.lifetime import BGNBD, ParetoNBD
from loyalty.errors import InvalidArgument
from naive_rows import EPOCH

SPLIT = "1997-09-30"


@pytest.mark.parametrize("seed", [1, 3, 4, 5, 9, 11, 60, 70])
def test_weeks_of_any_log(seed):
    case = logs.case(seed)
    first, last = case.naive.first, case.naive.last
    split = first + (last - first) // 2
    people = [[day for day, _ in mine] for mine in bought(case).values() if mine[0][0] <= split]
    fit = fitted.lifetime("ParetoNBD", 0.6, 20.0, 0.5, 90.0, unit="day")
    with case.opened() as tx:
        weeks = list(tracking(tx, {"mine": fit}, split=EPOCH + dt.timedelta(days=split)))
    assert len(weeks) == math.ceil((last - first + 1) / 7)
    running = 0
    for place, week in enumerate(weeks):
        start = first + 7 * place
        end = min(start + 6, last)
        days = EPOCH + dt.timedelta(days=start), EPOCH + dt.timedelta(days=end)
        assert (week["week"], week["start"], week["end"], week["days"]) == (place + 1, *days, end - start + 1)
        assert week["complete"] == (end - start == 6)
        assert week["part"] == ("calibration" if end <= split else "holdout" if start > split else "both")
        actual = sum(start <= day <= end for days in people for day in days[1:])
        running += actual
        assert (week["actual"], week["cumulative_actual"]) == (actual, running)
        # E[X(t)] at the end of the day before and of the week's last, of those who were customers by then.
        reached = [sum(float(fit.expected_purchases(frequency=0, recency=0, age=0, horizon=f"{day - days[0]}d"))
                       for days in people if days[0] < day) for day in (first - 1, end)]  # fmt: skip
        assert week["cumulative_mine"] == pytest.approx(reached[1] - reached[0], rel=1e-9, abs=1e-9)
    assert sum(week["mine"] for week in weeks) == pytest.approx(weeks[-1]["cumulative_mine"])


@pytest.fixture(scope="module")
def cdnow():
    with ly.transactions(ly.datasets.cdnow_sample()) as tx:
        yield tx


def test_published_weeks_of_cdnow(cdnow):
    """Weeks 20 to 25 as in the walkthrough of the R package BTYD (2.4.3), section 3.4: whole numbers, so exactly."""
    weeks = tracking(cdnow, fitted.lifetime("NBD", 0.384766, 12.07202), split=SPLIT)
    assert weeks["actual"][19:25] == [73, 55, 70, 33, 56, 99]
    assert weeks["cumulative_actual"][19:25] == [1359, 1414, 1484, 1517, 1573, 1672]
    assert (weeks["cumulative_actual"][38], weeks["cumulative_actual"][77]) == (2457, 2457 + 1882)
    assert weeks["part"] == ["calibration"] * 39 + ["holdout"] * 39
    assert all(weeks["complete"])


@pytest.mark.parametrize(
    ("model", "cumulative"),
    [
        (ParetoNBD, [1308.856, 1385.275, 1459.923, 1532.906, 1604.32, 1674.253]),
        (BGNBD, [1312.458, 1387.346, 1460.392, 1531.713, 1601.418, 1669.6]),
    ],
)
def test_published_expectations_of_cdnow(cdnow, model, cumulative):
    """The same walkthrough, sections 3.4 and 4.4.

    It counts a day more since the first purchase than the T that its models are fitted on, so its week ends on the
    first day of ours; 1e-4, for its parameters are not quite the best (its log-likelihoods are lower).
    """
    held = hold_out(cdnow, SPLIT)
    expected = expected_repeats(model().fit(held.summary), held.daily.acquired)
    assert expected[7 * np.arange(20, 26)] == pytest.approx(cumulative, rel=1e-4)


def test_no_split_is_all_calibration(cdnow):
    weeks = tracking(cdnow, fitted.lifetime("NBD", 0.4, 12.0), acquired_from="1997-02-01", acquired_until="1997-02-28")
    assert set(weeks["part"]) == {"calibration"}
    summary = ly.summarize(cdnow, acquired_from="1997-02-01", acquired_until="1997-02-28")
    assert weeks["cumulative_actual"][-1] == summary.to_dict()["repeat_purchases"]
    assert weeks["cumulative_NBD"][3] == 0.0 < weeks["cumulative_NBD"][4]


def test_an_incomplete_week_is_marked():
    with ly.transactions(ly.datasets.cdnow_sample(), observed_until="1997-12-29") as tx:
        weeks = tracking(tx, fitted.lifetime("NBD", 0.4, 12.0), split="1997-10-02")
    assert weeks["days"][-1] == 6
    assert weeks["complete"] == [True] * 51 + [False]
    assert weeks.note == "the last week is incomplete"
    assert weeks["part"][38:41] == ["calibration", "both", "holdout"]
    drawn = {cumulative: weeks.plot(cumulative=cumulative).lines[0].get_ydata() for cumulative in (True, False)}
    assert list(drawn[True]) == weeks["cumulative_actual"]
    assert list(drawn[False]) == weeks["actual"][:-1]


def test_the_unit_of_a_model_changes_nothing(cdnow):
    week = fitted.lifetime("ParetoNBD", 0.55, 10.6, 0.6, 11.7)
    year = fitted.lifetime("ParetoNBD", 0.55, 10.6 * 7 / 365.25, 0.6, 11.7 * 7 / 365.25, unit="year")
    found = tracking(cdnow, {"week": week, "year": year}, split=SPLIT)
    assert found["cumulative_week"] == pytest.approx(found["cumulative_year"], rel=1e-9)


def test_the_sentence(cdnow):
    weeks = tracking(cdnow, fitted.lifetime("NBD", 0.384766, 12.07202), split=SPLIT)
    assert str(weeks) == (
        "4,339 repeat purchases in 78 weeks; expected: NBD 5,388. 1,882 of them lie in the weeks after 1997-09-30."
    )


@pytest.mark.parametrize("fits", [None, "BGNBD", {}, {"a": 3}, BGNBD()])
def test_what_is_no_fit_is_refused(cdnow, fits):
    with pytest.raises(InvalidArgument, match=r"give a fitted lifetime model, such as ly.BGNBD\(\).fit"):
        tracking(cdnow, fits, split=SPLIT)
