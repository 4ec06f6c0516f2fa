"""Everything that can be asked of a log: name → what it is asked, whatever engine holds the rows.

A name begins with the public function it is about: "pareto(profit)" is about `loyalty.pareto`. An answer is anything
that `answers.canonical` can take apart. To add a public function is to add a line here; a test holds that none is
missing.
"""

from dataclasses import dataclass, field

import loyalty as ly
import sources
from conformance import awkward
from conformance.answers import Ranked

GAMMA_GAMMA = "GammaGamma"
WALLET = "wallet"


@dataclass
class Case:
    """A log as some kind of source, and what goes with it.

    Attributes:
        tx: The opened log.
        log: The log, with its wallets; see `awkward.Log`.
        native: Turns a pandas frame into a table of the same kind, under a name.
        made: What several questions ask about, made once: fits, summaries.
    """

    tx: ly.Transactions
    log: object
    native: object
    made: dict = field(default_factory=dict)

    def once(self, name, make):
        if name not in self.made:
            self.made[name] = make()
        return self.made[name]

    def summary(self):
        return self.once("summary", lambda: ly.summarize(self.tx, until=self.log.split))

    def fit(self, model):
        return self.once(model, lambda: getattr(ly, model)().fit(self.summary()))

    def clv_model(self):
        return self.once("fit_clv", lambda: ly.fit_clv(self.tx, "BG/NBD", "mean", margin=0.3))

    def wallet(self):
        return self.once(WALLET, lambda: self.native(self.log.wallet, WALLET))

    def contracts(self):
        return self.once("contracts", lambda: ly.survival_counts(
            self.native(self.log.contracts, "contracts"), observed_until="2024-06-30", period="month"
        ))  # fmt: skip

    def histories(self):
        return self.once("histories", lambda: self.native(self.log.histories, "histories"))

    def someone(self):
        """Return the id, as this source spells it, of the customer whose text comes first."""
        column = self.tx.customer
        ids = sources.as_pandas(self.tx.hand_back(self.tx.customers.select("customer")))[column].tolist()
        return min(ids, key=sources.text)


def question(ask, *, needs=(), only=None):
    """Return a line of the table: what is asked, the roles it needs, the logs it is for where these are few."""
    return ask, frozenset(needs), only


FITTED = awkward.CDNOW  # models are fitted where there is something to fit
_by, _cohort = {"by": "shop"}, {"cohort": "month"}

QUESTIONS = {
    "transactions": question(lambda case: [case.tx, case.tx.exclusions]),
    "transactions(customers)": question(
        lambda case: case.tx.hand_back(case.tx.customers, days=("first_day", "first_inside", "last_day"))
    ),
    "repurchase_rate": question(lambda case: ly.repurchase_rate(case.tx)),
    "repurchase_rate(within)": question(lambda case: ly.repurchase_rate(case.tx, within="30d")),
    "repurchase_rate(by)": question(lambda case: ly.repurchase_rate(case.tx, **_by), needs=["shop"]),
    "repurchase_rate(cohort)": question(lambda case: ly.repurchase_rate(case.tx, within="10d", **_cohort)),
    "retention": question(lambda case: ly.retention(case.tx)),
    "retention(week)": question(lambda case: ly.retention(case.tx, "week")),
    "retention(by)": question(lambda case: ly.retention(case.tx, "quarter", **_by), needs=["shop"]),
    "retention_rate": question(lambda case: ly.retention_rate(case.tx)),
    "retention_rate(bootstrap)": question(lambda case: ly.retention_rate(case.tx, "week", method="bootstrap")),
    "retention_rate(by)": question(lambda case: ly.retention_rate(case.tx, **_by), needs=["shop"]),
    "churn_rate": question(lambda case: ly.churn_rate(case.tx)),
    "churn_rate(inactive_after)": question(lambda case: ly.churn_rate(case.tx, inactive_after="30d")),
    "churn_rate(cohort)": question(lambda case: ly.churn_rate(case.tx, inactive_after="20d", cohort="quarter")),
    "revenue_retention": question(lambda case: ly.revenue_retention(case.tx)),
    "revenue_retention(bootstrap)": question(lambda case: ly.revenue_retention(case.tx, method="bootstrap")),
    "revenue_retention(by)": question(lambda case: ly.revenue_retention(case.tx, "quarter", **_by), needs=["shop"]),
    "cohorts": question(lambda case: ly.cohorts(case.tx)),
    "cohorts(since)": question(lambda case: ly.cohorts(case.tx, mode="since", follow_up=1)),
    "cohorts(revenue)": question(lambda case: ly.cohorts(case.tx, "quarter", value="revenue")),
    "cohorts(by)": question(lambda case: ly.cohorts(case.tx, mode="since", value="revenue", **_by), needs=["shop"]),
    "tenure": question(lambda case: ly.tenure(case.tx, inactive_after="30d")),
    "tenure(by)": question(lambda case: ly.tenure(case.tx, inactive_after="30d", **_by), needs=["shop"]),
    "spending": question(lambda case: ly.spending(case.tx)),
    "spending(by)": question(lambda case: ly.spending(case.tx, **_by), needs=["shop"]),
    "purchase_gaps": question(lambda case: ly.purchase_gaps(case.tx)),
    "purchase_gaps(cohort)": question(lambda case: ly.purchase_gaps(case.tx, **_cohort)),
    "spend_distribution": question(lambda case: ly.spend_distribution(case.tx)),
    "spend_distribution(by)": question(lambda case: ly.spend_distribution(case.tx, **_by), needs=["shop"]),
    "upsell_ratio": question(lambda case: ly.upsell_ratio(case.tx), needs=["product"]),
    "upsell_ratio(by)": question(lambda case: ly.upsell_ratio(case.tx, **_by), needs=["product", "shop"]),
    "historical_value": question(lambda case: _ranked(ly.historical_value(case.tx, 0.3), "value")),
    "historical_value(columns)": question(
        lambda case: _ranked(
            ly.historical_value(case.tx, "margin", service_cost="service", acquisition_cost="won"), "value"
        ),
        needs=["margin", "service", "won"],
    ),
    "historical_value(cost)": question(lambda case: ly.historical_value(case.tx, **_cohort), needs=["cost"]),
    "share_of_wallet": question(
        lambda case: _with_customers(ly.share_of_wallet(case.tx, case.wallet())), needs=[WALLET]
    ),
    "share_of_wallet(bootstrap)": question(
        lambda case: ly.share_of_wallet(case.tx, case.log.wallet, method="bootstrap"), needs=[WALLET]
    ),
    "share_of_wallet(by)": question(
        lambda case: ly.share_of_wallet(case.tx, case.wallet(), **_by), needs=[WALLET, "shop"]
    ),
    "share_of_wallet(panel)": question(
        lambda case: ly.share_of_wallet(case.tx, case.native(case.log.panel, "panel"), seller="seller", own="us"),
        needs=[WALLET],
    ),
    "pareto": question(lambda case: _ranked(ly.pareto(case.tx), "value")),
    "pareto(profit)": question(
        lambda case: _ranked(ly.pareto(case.tx, 0.2, 0.8, value="profit"), "value"), needs=["cost"]
    ),
    "pareto(by)": question(lambda case: ly.pareto(case.tx, **_by), needs=["shop"]),
    "rfm": question(lambda case: _ranked(ly.rfm(case.tx), "rfm_score")),
    "rfm(bins)": question(lambda case: _ranked(ly.rfm(case.tx, 12), "r")),
    "rfm(by)": question(lambda case: ly.rfm(case.tx, 3, **_by), needs=["shop"]),
    "overview": question(lambda case: ly.overview(case.tx)),
    "summarize": question(lambda case: [ly.summarize(case.tx), ly.summarize(case.tx).to_native()]),
    "summarize(day)": question(lambda case: ly.summarize(case.tx, "day", until=case.log.split).to_native()),
    "summarize(month)": question(lambda case: ly.summarize(case.tx, "month").cells),
    "summarize(acquired)": question(
        lambda case: ly.summarize(case.tx, "year", acquired_until=case.log.split).to_native()
    ),
    "opportunities": question(
        lambda case: [found := ly.opportunities(case.tx, "month"), found.to_native(), found.by_history()]
    ),
    "opportunities(week)": question(lambda case: ly.opportunities(case.tx, "week", until=case.log.split).cells),
    "survival_counts": question(
        lambda case: case.contracts(),
        only=("shop",),
    ),
    "SBG": question(lambda case: ly.SBG().fit(case.contracts()), only=("shop",)),
    "BDW": question(lambda case: ly.BDW().fit(case.contracts()), only=("shop",)),
    "CustomerSummary.of": question(
        lambda case: [
            found := ly.CustomerSummary.of(case.histories(), unit="week", customer="id", monetary_value="spend"),
            found.to_native(),
            found.cells,
        ],
        only=("shop",),
    ),
    "Opportunities.of": question(
        lambda case: [
            found := ly.Opportunities.of(case.histories(), period="week", customer="id", opportunities="seen"),
            found.to_native(),
            found.by_history(),
        ],
        only=("shop",),
    ),
    "NBD": question(lambda case: case.fit("NBD"), only=FITTED),
    "BGNBD": question(lambda case: case.fit("BGNBD"), only=FITTED),
    "MBGNBD": question(lambda case: case.fit("MBGNBD"), only=FITTED),
    "ParetoNBD": question(lambda case: case.fit("ParetoNBD"), only=FITTED),
    "GGomNBD": question(lambda case: case.fit("GGomNBD"), only=FITTED),
    "BGBB": question(lambda case: ly.BGBB().fit(ly.opportunities(case.tx, "month")), only=FITTED),
    "GammaGamma": question(lambda case: case.fit("GammaGamma"), only=FITTED),
    "BGNBD(p_alive)": question(lambda case: case.fit("BGNBD").p_alive(case.summary()), only=FITTED),
    "ParetoNBD(expected_purchases)": question(
        lambda case: case.fit("ParetoNBD").expected_purchases(case.summary(), horizon="365d"), only=FITTED
    ),
    "fit_clv": question(lambda case: case.clv_model(), only=FITTED),
    "fit_clv(score)": question(lambda case: _ranked(case.clv_model().score(case.tx), "clv"), only=FITTED),
    "clv": question(
        lambda case: _valued(ly.clv(case.tx, margin=0.3, model=case.fit("BGNBD"), spend_model=case.fit(GAMMA_GAMMA))),
        only=FITTED,
    ),
    "clv(predictive)": question(
        lambda case: ly.clv(
            case.tx, "52w", model=case.fit("ParetoNBD"), spend_model=case.fit(GAMMA_GAMMA), interval="predictive"
        ).top(50),
        only=FITTED,
    ),
    "clv(service_cost)": question(
        lambda case: ly.clv(case.tx, model=case.fit("BGNBD"), spend_model="mean", service_cost=5.0).going_quiet(),
        only=FITTED,
    ),
    "backtest": question(lambda case: ly.backtest(case.tx, case.log.split, ("BGNBD",)), only=FITTED),
    "tracking": question(lambda case: ly.tracking(case.tx, case.fit("BGNBD"), split=case.log.split), only=FITTED),
    "customer_history": question(
        lambda case: _history(ly.customer_history(case.tx, case.someone(), case.fit("BGNBD"))), only=FITTED
    ),
    "report": question(
        lambda case: ly.report(case.tx, wallet=case.log.wallet, margin="margin", model="BG/NBD", listed=5),
        only=("shop",),
    ),
}


def function_of(name):
    """Return the public function that a question is about, or the method of a class that makes one."""
    return name.partition("(")[0]


def on_money(name):
    """Return whether an answer rests on a model that was fitted to sums of money."""
    return function_of(name) in {"GammaGamma", "clv", "backtest", "report"}


def asked_of(log):
    """Return the questions that a log can be asked."""
    return [
        name
        for name, (_, needs, only) in QUESTIONS.items()
        if needs <= log.has and (not only or log.name in only) and (not log.few or name in log.few)
    ]


def ask(name, case):
    """Return the answer to a question."""
    return QUESTIONS[name][0](case)


def _with_customers(result):
    return [result, result.customers]


def _ranked(result, column):
    """Return a result, and its customers, who come with the highest of a column first."""
    return [result, Ranked(result.customers, column)]


def _history(found):
    """Return a customer's history with the id as text, as CSV files have it."""
    return {**found.to_dict(), "customer": sources.text(found.customer)}


def _valued(value):
    """Return what a customer value tells, its tables among it."""
    tables = [value.concentration(), value.alive_by_recency(), value.top_share(0.2)]
    return [value, Ranked(value.customers, "clv"), *tables]
