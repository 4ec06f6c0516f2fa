"""Survival of cohorts and of all together, from every way of giving the counts."""

import numpy as np
import pandas as pd
import pytest

from loyalty.clv.summaries.counts import survival_counts

SURVIVORS = {"2021": [1000, 631, 468], "2022": [800, 520], "2023": [50]}


def by_cohort(table):
    found = {}
    for row in table:
        found.setdefault(row["cohort"], []).append((row["renewal"], row["customers"], row["survival"]))
    return found


def test_each_cohort_keeps_its_own_curve():
    counts = survival_counts(survivors=SURVIVORS, period="year")
    found = by_cohort(counts.curves())
    assert list(found) == ["2021", "2022", "2023", None]
    for name, curve in SURVIVORS.items():
        assert found[name] == [(k, float(n), n / curve[0]) for k, n in enumerate(curve)]
    renewals, customers, survival = zip(*found[None], strict=True)
    assert (renewals, customers) == ((0, 1, 2), (1800.0, 1151.0, 468.0))
    assert survival[1:] == pytest.approx(counts.table["survival"])
    assert counts.curves().units["renewal"] == "renewals, one every year"
    assert survival_counts(survivors=SURVIVORS, period="30d").curves().units["renewal"] == "renewals"


def test_losses_are_survivors_told_otherwise():
    kept = survival_counts(survivors=[[1000, 631, 468], [800, 520]])
    lost = survival_counts(losses=[[369, 163], [280]], customers=[1000, 800])
    assert list(kept.curves()) == list(lost.curves())
    assert kept.curves()["cohort"][0] == "0"


def test_dated_contracts_have_the_curve_of_all():
    contracts = pd.DataFrame({"start": ["2024-01-15", "2024-01-31", "2024-02-10"], "end": ["2024-03-15", None, None]})
    counts = survival_counts(contracts, observed_until="2024-04-12", period="month")
    assert by_cohort(counts.curves()) == {None: [(0, 3.0, 1.0), (1, 3.0, 1.0), (2, 2.0, pytest.approx(2 / 3))]}


def test_a_cohort_of_nobody_is_left_out():
    counts = survival_counts(survivors={"empty": [0, 0], "full": [10, 5]})
    assert list(by_cohort(counts.curves())) == ["full", None]


def test_pictures():
    ax = survival_counts(survivors=SURVIVORS).plot()
    assert [line.get_label() for line in ax.lines] == ["2021", "2022", "2023", "all"]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), np.array(SURVIVORS["2021"]) / 1000)
    alone = survival_counts(survivors=[1000, 631]).plot()
    assert [line.get_label() for line in alone.lines] == ["all"]
