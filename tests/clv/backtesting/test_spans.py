"""Where outcomes lie in predicted distributions, against distributions worked out another way."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats
from scipy.special import gammainc

import fitted
import loyalty as ly
from loyalty.clv.backtesting import measures, spans
from loyalty.clv.backtesting.holdout import hold_out
from loyalty.clv.backtesting.spans import outcome_spans

NBD = (0.55, 3.0)
PARETO = (0.55, 10.6, 0.6, 11.7)
SPEND = (6.25, 3.74, 15.44)


@pytest.fixture(scope="module")
def held():
    with ly.transactions(ly.datasets.cdnow_sample()) as tx:
        return hold_out(tx, "1997-09-30")


def of_counts(held, model, *values):
    fit = fitted.lifetime(model, *values)
    return outcome_spans(fit, None, held, fit.kernel.p_alive(fit.values, held.cells.x, held.cells.t_x, held.cells.T))


def test_counts_of_the_nbd_are_negative_binomial(held):
    span, revenue = of_counts(held, "NBD", *NBD)
    assert revenue is None
    r, alpha = NBD
    x, age = held.cells.x[held.cell], held.cells.T[held.cell]
    law = stats.nbinom(r + x, (alpha + age) / (alpha + age + held.horizon))
    assert span.exactly == pytest.approx(law.pmf(held.purchases), rel=1e-9)
    assert span.upto == pytest.approx(law.cdf(held.purchases), rel=1e-9)
    assert span.below == pytest.approx(law.cdf(held.purchases - 1), abs=1e-9)
    assert span.customers.tolist() == held.customers.tolist()


def test_who_may_be_dead_buys_nothing(held):
    """Every count by itself: what a customer alive does, times P(alive), and nothing for sure otherwise."""
    span, _ = of_counts(held, "ParetoNBD", *PARETO)
    fit = fitted.lifetime("ParetoNBD", *PARETO)
    for row in range(0, len(held.cell), 60):
        x, t_x, age = (getattr(held.cells, name)[held.cell[row]] for name in ("x", "t_x", "T"))
        alive = float(fit.kernel.p_alive(fit.values, x, t_x, age))
        mass = [alive * float(fit.kernel.probability(fit.values, x, age, held.horizon, count))
                for count in range(int(held.purchases[row]) + 1)]  # fmt: skip
        mass[0] += 1.0 - alive
        assert span.exactly[row] == pytest.approx(mass[-1], rel=1e-9)
        assert span.upto[row] == pytest.approx(sum(mass), rel=1e-9)
        assert span.below[row] == pytest.approx(sum(mass[:-1]), abs=1e-9)


def revenue_at_most(revenue, law, p, shape, scale):
    """Return P(R ≤ revenue) by quadrature over the customer's own rate of spend ν."""
    counts = np.arange(1, 120)
    mass = law.pmf(counts)

    def given(rate):
        return stats.gamma.pdf(rate, shape, scale=1.0 / scale) * (mass @ gammainc(p * counts, rate * revenue))

    typical = shape / scale
    parts = [0.0, 0.3 * typical, typical, 2.0 * typical, 6.0 * typical, 40.0 * typical]
    return law.pmf(0) + sum(integrate.quad(given, *ends)[0] for ends in itertools.pairwise(parts))


def test_revenue_is_a_sum_of_so_many_purchases(held):
    r, alpha = NBD
    fit, spend_fit = fitted.lifetime("NBD", *NBD), fitted.spend(*SPEND)
    _, span = outcome_spans(fit, spend_fit, held, np.ones(len(held.cells)))
    paying, rest = np.flatnonzero(held.revenue > 0.0), np.flatnonzero(held.revenue <= 0.0)
    assert len(span.upto) == len(paying) + len(rest)
    assert span.customers.sum() == pytest.approx(2357.0)
    p, q, gamma = SPEND
    for place in range(0, len(paying), 25):
        row = paying[place]
        x, age = held.cells.x[held.cell[row]], held.cells.T[held.cell[row]]
        law = stats.nbinom(r + x, (alpha + age) / (alpha + age + held.horizon))
        expected = revenue_at_most(held.revenue[row], law, p, p * x + q, gamma + x * held.mean_spend[row])
        assert span.upto[place] == pytest.approx(expected, abs=2e-5)  # the tail that is left out
        assert span.below[place] == span.upto[place]
    x, age = held.cells.x[held.cell[rest]], held.cells.T[held.cell[rest]]
    nothing = stats.nbinom.pmf(0, r + x, (alpha + age) / (alpha + age + held.horizon))
    assert span.upto[len(paying) :] == pytest.approx(nothing, rel=1e-9)
    assert not span.below[len(paying) :].any()


def test_revenue_below_nothing_was_impossible(held):
    lost = replace(held, revenue=np.full(len(held.cell), -5.0))
    _, span = outcome_spans(fitted.lifetime("NBD", *NBD), fitted.spend(*SPEND), lost, np.ones(len(held.cells)))
    assert not span.upto.any()
    assert measures.coverage(span.below, span.upto, span.customers, 0.9) == 0.0


def test_of_many_histories_one_stands_for_its_neighbours(held, monkeypatch):
    fit, spend_fit = fitted.lifetime("ParetoNBD", *PARETO), fitted.spend(*SPEND)
    alive = fit.kernel.p_alive(fit.values, held.cells.x, held.cells.t_x, held.cells.T)
    whole = outcome_spans(fit, spend_fit, held, alive)
    monkeypatch.setattr(spans, "_MOST_PAIRS", 200)
    monkeypatch.setattr(spans, "_MOST_ROWS", 100)
    few = outcome_spans(fit, spend_fit, held, alive)
    for one, two in zip(whole, few, strict=True):
        assert len(two.upto) < len(one.upto)
        assert two.customers.sum() == pytest.approx(2357.0)
        found = [measures.pit_coverage(span.below, span.upto, span.customers, 0.9) for span in (one, two)]
        assert found[0] == pytest.approx(found[1], abs=0.05)


def test_a_customer_of_hundreds_of_purchases():
    days = pd.date_range("2023-01-01", "2024-12-31")
    log = pd.DataFrame({"date": days, "amount": 3.0, "customer_id": "daily"})
    rare = pd.DataFrame({"date": days[::90], "amount": 7.0, "customer_id": "rare"})
    with ly.transactions(pd.concat([log, rare])) as tx:
        held = hold_out(tx, "2023-12-31")
    span, _ = of_counts(held, "NBD", 2.0, 3.0)
    x, age = held.cells.x[held.cell], held.cells.T[held.cell]
    law = stats.nbinom(2.0 + x, (3.0 + age) / (3.0 + age + held.horizon))
    assert held.purchases.max() == 366
    assert span.upto == pytest.approx(law.cdf(held.purchases), rel=1e-9)
    assert span.exactly == pytest.approx(law.pmf(held.purchases), rel=1e-9)
