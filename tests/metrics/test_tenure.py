import datetime as dt
import itertools
import math
import warnings

import numpy as np
import pytest
from scipy import stats

import logs
import loyalty as ly
from loyalty.errors import InvalidArgument
from loyalty.metrics.tenure import kaplan_meier

GOLDEN = [
    (1, "2024-01-01", 5.0),  # gone after 0 days
    (2, "2024-01-01", 5.0),
    (2, "2024-01-11", 5.0),  # gone after 10
    (3, "2024-01-01", 5.0),
    (3, "2024-02-05", 5.0),  # still there on 30 January: censored at 29
    (4, "2024-01-21", 5.0),
    (4, "2024-01-30", 5.0),  # gone after 9, on the very last day that can be known
    (5, "2024-02-01", 5.0),  # first seen after it
    (5, "2024-02-09", 5.0),
]


def test_by_hand():
    with logs.opened(GOLDEN) as tx:
        found = ly.tenure(tx, inactive_after="10d")
    assert (found.mean.value, found.mean.numerator, found.mean.n) == (62 / 5, 62, 5)
    assert found.median.value == 9
    curve = found.survival
    assert curve["day"] == [0, 9, 10, 29]
    assert curve["survival"] == pytest.approx([3 / 4, 2 / 4, 1 / 4, 1 / 4])
    assert curve["at_risk"] == [4, 3, 2, 1]
    assert curve["ended"] == [1, 1, 1, 0]
    median = found.survival_median
    assert (median.value, median.n, median.excluded) == (9, 4, 1)
    assert median.low == 0
    assert median.high == math.inf
    assert median.note == (
        "customers left out (first seen in the window less than 10 days before the end): 1; "
        "its upper limit lies beyond the observed window"
    )


def test_customers_acquired_before_the_window_are_at_risk_from_its_beginning_on():
    rows = [(1, "2023-12-22", 5.0), (1, "2024-01-01", 5.0),  # 10 days old when the window begins, gone on that day
            (2, "2023-12-27", 5.0), (2, "2024-01-11", 5.0),  # 5 days old, gone after 15
            (3, "2024-01-01", 5.0), (4, "2024-01-01", 5.0), (4, "2024-01-13", 5.0),  # new, gone after 0 and 12
            (5, "2023-12-01", 5.0), (5, "2024-02-09", 5.0),  # 31 days old, and still there at 60
            (6, "2023-12-01", 5.0)]  # fmt: skip
    with logs.opened(rows, observed_from="2024-01-01") as tx:
        found = ly.tenure(tx, inactive_after="10d")
    curve = found.survival
    assert curve["day"] == [0, 10, 12, 15, 60]
    assert curve["at_risk"] == [2, 3, 2, 1, 1]
    assert curve["survival"] == pytest.approx([1 / 2, 1 / 3, 1 / 6, 0, 0])
    assert found.mean.value == (10 + 15 + 0 + 12 + 70) / 5
    for estimate in (found.mean, found.median):
        assert "acquired before the window: 3; those who left before it are not among the customers" in estimate.note


@logs.every
def test_against_scipy(seed):
    case = logs.case(seed)
    lengths = sorted((mine[-1][0] - case.debut[customer]).days for customer, mine in case.bought.items())
    n = len(lengths)
    with case.opened() as tx:
        for days in (1, 21, 180):
            found = ly.tenure(tx, inactive_after=f"{days}d")
            assert logs.close(logs.limits(found.mean), logs.ratio([(length, 1) for length in lengths]))
            assert found.median.value == np.median(lengths)
            same_survival(case, found, days)
    assert (found.median.n, found.mean.n) == (n, n)


def same_survival(case, found, days):
    cutoff = case.last - dt.timedelta(days=days)
    lives = []  # (age when the window began, age when last seen, whether that was the end)
    for customer, mine in case.bought.items():
        first, last = case.debut[customer], mine[-1][0]
        entry, age = max((case.first - first).days, 0), (min(last, cutoff) - first).days
        if age >= entry:
            lives.append((entry, age, last <= cutoff))
    assert found.survival_median.excluded == len(case.bought) - len(lives)
    assert found.survival_median.n == len(lives)
    if not lives:
        assert len(found.survival) == 0
        assert "no customer was first seen" in found.survival.note
        assert "undefined: nobody was observed long enough" in found.survival_median.note
        return
    ages = sorted({age for _, age, _ in lives})
    assert found.survival["day"] == ages
    assert found.survival["ended"] == [sum(at == age and ended for _, at, ended in lives) for age in ages]
    assert found.survival["at_risk"] == [sum(entry <= age <= at for entry, at, _ in lives) for age in ages]
    steps = zip(found.survival["ended"], found.survival["at_risk"], strict=True)
    shares = list(itertools.accumulate((1 - ended / at_risk for ended, at_risk in steps), lambda one, two: one * two))
    assert logs.close(found.survival["survival"], tuple(shares))
    below = [age for age, share in zip(ages, shares, strict=True) if share <= 0.5 + 1e-12]
    assert found.survival_median.value == (below[0] if below else pytest.approx(math.nan, nan_ok=True))
    assert math.isnan(found.survival_median.value) == ("undefined" in found.survival_median.note)
    if not any(entry for entry, _, _ in lives):  # SciPy knows no late entries
        ends = {flag: [age for _, age, ended in lives if ended == flag] for flag in (True, False)}
        curve = stats.ecdf(stats.CensoredData(uncensored=ends[True], right=ends[False])).sf
        assert logs.close(found.survival["survival"], tuple(curve.probabilities))
        same_band(found.survival, curve)


def same_band(table, curve):
    """SciPy leaves the band undefined where nobody has gone yet (here 1) and where all have (here from 0)."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        band = curve.confidence_interval(0.95, method="log-log")
    gone = np.cumsum(table["ended"])
    for place, survival in enumerate(table["survival"]):
        low, high = table["low"][place], table["high"][place]
        if gone[place] == 0:
            assert (low, high) == (1.0, 1.0)
        elif survival == 0:
            assert low == 0.0
            assert math.isnan(high)
        else:
            assert logs.close((low, high), (band.low.probabilities[place], band.high.probabilities[place]))


def test_kaplan_meier_of_counts_is_that_of_customers():
    rng = np.random.default_rng(2)
    time, ended, count = rng.integers(0, 40, 60), rng.integers(0, 2, 60), rng.integers(1, 9, 60)
    found = kaplan_meier(time, ended, count, 0.9)
    each, dead = np.repeat(time, count), np.repeat(ended, count).astype(bool)
    curve = stats.ecdf(stats.CensoredData(uncensored=each[dead], right=each[~dead])).sf
    assert found["day"].tolist() == curve.quantiles.tolist()
    assert found["survival"] == pytest.approx(curve.probabilities, rel=1e-12)
    band = curve.confidence_interval(0.9, method="log-log")
    inside = (found["survival"] > 0) & (found["survival"] < 1)
    assert inside.sum() > 30
    assert found["low"][inside] == pytest.approx(band.low.probabilities[inside], rel=1e-9)
    assert found["high"][inside] == pytest.approx(band.high.probabilities[inside], rel=1e-9)


@pytest.mark.parametrize("n", [10, 14, 22, 30, 98])
def test_half_of_the_customers_is_half_in_spite_of_rounding(n):
    """(1 − 1/n)(1 − 1/(n − 1)) … is exactly one half after n/2 ends, whatever floats make of it."""
    rows = [(customer, "2024-01-01", 1.0) for customer in range(n)]
    rows += [(customer, f"{dt.date(2024, 1, 1) + dt.timedelta(days=customer)}", 1.0) for customer in range(1, n)]
    with logs.opened(rows, observed_until="2025-01-01") as tx:
        found = ly.tenure(tx, inactive_after="1d")
    assert found.survival_median.value == n // 2 - 1
    assert found.median.value == (n - 1) / 2


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("n", [2, 5, 6, 7, 10, 25, 100, 1001])
def test_ranks_of_the_median_cover_it_as_often_as_promised(n, confidence):
    rows = [(customer, "2000-01-01", 1.0) for customer in range(n)]
    rows += [(customer, f"{dt.date(2000, 1, 1) + dt.timedelta(days=customer)}", 1.0) for customer in range(1, n)]
    with logs.opened(rows) as tx:
        found = ly.tenure(tx, confidence=confidence).median
    assert found.value == (n - 1) / 2
    most = stats.binom(n, 0.5)
    if math.isnan(found.low):
        assert found.note == "no interval: it needs more customers"
        assert 1 - 2 * most.cdf(0) < confidence + 0.005  # the extremes themselves would not do
    else:
        rank = int(found.low) + 1  # the lengths are 0, 1, …, n − 1
        assert found.high == n - rank
        exact = max(at for at in range(1, n) if 1 - 2 * most.cdf(at - 1) >= confidence)
        assert abs(rank - exact) <= 1
        assert 1 - 2 * most.cdf(rank - 1) > confidence - 0.01


def test_the_median_interval_is_that_of_customers_drawn_again():
    frame = ly.datasets.cdnow_sample()
    twice = frame[frame.groupby("customer_id")["date"].transform("nunique") > 1]
    with ly.transactions(twice) as tx:
        found = ly.tenure(tx)
    days = twice.groupby("customer_id")["date"].agg(lambda mine: (mine.max() - mine.min()).days).to_numpy()
    for estimate, statistic in ((found.mean, np.mean), (found.median, np.median)):
        low, high = logs.bootstrap(lambda drawn, of=statistic: of(days[drawn]), len(days))
        assert estimate.high - estimate.low == pytest.approx(high - low, rel=0.1)


def test_nobody_followed_long_enough():
    with logs.opened([(1, "2024-01-01", 5.0), (2, "2024-01-09", 5.0)]) as tx:
        found = ly.tenure(tx)
    assert math.isnan(found.survival_median.value)
    assert found.survival_median.note == (
        "customers left out (first seen in the window less than 180 days before the end): 2; "
        "undefined: nobody was observed long enough"
    )
    assert len(found.survival) == 0
    assert found.survival.note == "no customer was first seen 180 days before the end of the window"
    assert found.median.note == "no interval: it needs more customers"


def test_most_outlast_the_window():
    rows = [(customer, "2024-01-01", 5.0) for customer in range(4)]
    rows += [(customer, "2024-03-01", 5.0) for customer in range(3)]
    with logs.opened(rows) as tx:
        found = ly.tenure(tx, inactive_after="30d").survival_median
    assert math.isnan(found.value)
    assert found.note == "undefined: more than half of the customers outlast the observed window"


def test_one_customer():
    with logs.opened([(1, "2024-01-01", 5.0)]) as tx:
        found = ly.tenure(tx)
    assert (found.mean.value, found.median.value) == (0.0, 0.0)
    assert found.mean.note == "no interval: it needs two customers or more"
    assert math.isnan(found.median.low)


def test_result_protocol():
    with logs.opened(GOLDEN) as tx:
        found = ly.tenure(tx, inactive_after=dt.timedelta(weeks=1))
    assert str(found).splitlines()[0].startswith("Mean tenure: 12.4 days (95 % interval ")
    assert list(found.to_dict()) == ["mean", "median", "survival_median", "survival"]
    assert found.to_native()["estimate"].tolist() == ["mean", "median", "survival_median"]
    assert found.plot().has_data()
    assert "7 days of silence" in found.survival.definition


@pytest.mark.parametrize("arguments", [{"inactive_after": 180}, {"inactive_after": "-5d"}, {"confidence": 1.5}])
def test_bad_arguments(arguments):
    with logs.opened(GOLDEN) as tx, pytest.raises(InvalidArgument):
        ly.tenure(tx, **arguments)
