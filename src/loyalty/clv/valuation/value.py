"""Customer lifetime value: the models of purchases and of spend as one, fitted, saved, and scored with."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack

from loyalty import wording
from loyalty.clv.models.lifetime import LifetimeFit
from loyalty.clv.models.mean_spend import MeanSpend
from loyalty.clv.models.spend import SpendFit
from loyalty.clv.summaries.summary import CustomerSummary, summarize
from loyalty.clv.valuation import choosing, many_customers, one_customer
from loyalty.clv.valuation.choosing import Candidate
from loyalty.clv.valuation.customer_value import CustomerValue, value_of
from loyalty.clv.valuation.margins import margins
from loyalty.clv.valuation.scoring import Valuation
from loyalty.clv.valuation.standing import standing
from loyalty.clv.valuation.terms import Changes, Terms
from loyalty.errors import InvalidArgument
from loyalty.transactions import Transactions

if TYPE_CHECKING:
    from loyalty.clv.models.independence import Independence
    from loyalty.clv.valuation.many_customers import CustomerScores
    from loyalty.clv.valuation.one_customer import CustomerScore
    from loyalty.tables import Table

__all__ = ["CLVModel", "CustomerValue", "clv", "fit_clv"]


def clv(
    tx: Transactions | CustomerSummary,
    horizon: str | dt.timedelta | None = "365d",
    margin: Any = 1.0,
    annual_discount_rate: float = 0.10,
    model: Any = "auto",
    spend_model: Any = None,
    acquisition_cost: float = 0.0,
    service_cost: float = 0.0,
    interval: str = "confidence",
    confidence: float = 0.95,
    *,
    unit: str | None = None,
    acquired_from: Any = None,
    acquired_until: Any = None,
) -> CustomerValue:
    """Say what every customer is expected to bring, and all together: `fit_clv(tx, ...).score(tx)`.

    The value of a customer is margin × expected spend of a purchase × expected purchases within the horizon, each
    purchase discounted to the end of the observed window by δ = ln(1 + annual rate) per 365.25 days (exactly, along the
    curve of expected purchases), less the service cost for the discounted time that they are expected to stay.

    Args:
        tx: The transactions, or a customer summary with spend.
        horizon: How far ahead: "365d", "52w" or a `timedelta`; None or "inf" for all that is to come, which needs a
            positive rate.
        margin: Share of spend that is earned: a number; a numeric column of the transactions, of which each customer's
            value at the first purchase counts; or a table with a row per customer, with the columns `margin` and the
            customers' (under the name that it has in the data).
        annual_discount_rate: 0.10 for 10 % a year; at least 0.
        model: "auto" fits the Pareto/NBD, the MBG/NBD and the BG/NBD: of those within 2 of the lowest AIC it takes the
            first in this order, which is the order of how sensibly P(alive) of single purchases behaves (a fit on a
            ridge or boundary comes last). Or a name ("BG/NBD", "MBGNBD", …), a model such as `ParetoNBD(l2=0.1)`,
            or its fit.
        spend_model: None: the gamma-gamma model or, where it is not defined, the mean of spend, and a note why. Or
            "GammaGamma", "mean", a model such as `GammaGamma(l2=0.1)`, or its fit.
        acquisition_cost: Money spent to win a customer. For those who are there it is spent already: it is taken from
            `new_customer` only.
        service_cost: Money per year (365.25 days) that a customer costs while being one, bought or not. (That of
            `loyalty.historical_value` is money per purchase: the two are not the same number.)
        interval: "confidence": of a customer's expected value, for the errors of the parameters (delta method).
            "predictive": of what the customer will really bring; not with a service cost. The total has both.
        confidence: Level of all intervals.
        unit: Unit of the models' times: "day", "week" (where None), "month" or "year"; that of a summary or of a fitted
            model where there is one.
        acquired_from: Fit on customers only whose first purchase was on this day or later; all are scored.
        acquired_until: Fit on customers only whose first purchase was on this day or earlier; all are scored.

    Returns:
        The value: `.total`, `.customers` (a row each, computed in the engine when read), `.going_quiet()`, `.model`.

    Raises:
        InvalidArgument: An argument is not allowed, or the summary holds no spend.
        EmptyData: Nobody bought again: nothing can be learned about purchases to come.
        ConvergenceError: No model could be fitted.
        ColumnError: The margin's column is missing or holds no numbers.
        InvalidRows: A customer has no finite margin.

    Ties and nulls: a null margin is an error. Customers without a repeat purchase have the mean spend of all.

    Source: Fader, Hardie & Lee (2005), Journal of Marketing Research 42, 415-430, "RFM and CLV".

    Examples:
        >>> import loyalty as ly
        >>> tx = ly.transactions(ly.datasets.cdnow_sample(), observed_until="1997-09-30")
        >>> value = ly.clv(tx, margin=0.3, model="BG/NBD")
        >>> round(value.total.value, -2), len(value.customers)
        (21800.0, 2357)
    """
    acquired = acquired_from, acquired_until
    summary, log = _opened("clv", tx, unit, model)
    some = summary if acquired == (None, None) else _opened("clv", tx, unit, model, acquired)[0]
    fitted = _fitted(
        some, log, model, spend_model,
        Terms(
            horizon=horizon, margin=margin, annual_discount_rate=annual_discount_rate,
            acquisition_cost=acquisition_cost, service_cost=service_cost, interval=interval, confidence=confidence,
        ),
    )  # fmt: skip
    return _scored(fitted, summary, log, fitted.terms)


def fit_clv(
    tx: Transactions | CustomerSummary,
    model: Any = "auto",
    spend_model: Any = None,
    *,
    horizon: str | dt.timedelta | None = "365d",
    margin: Any = 1.0,
    annual_discount_rate: float = 0.10,
    acquisition_cost: float = 0.0,
    service_cost: float = 0.0,
    interval: str = "confidence",
    confidence: float = 0.95,
    unit: str | None = None,
    acquired_from: Any = None,
    acquired_until: Any = None,
) -> CLVModel:
    """Fit the models of purchases and of spend, to be saved and scored with again and again.

    Args:
        tx: The transactions, or a customer summary with spend.
        model: As in `clv`.
        spend_model: As in `clv`.
        horizon: As in `clv`; this and what follows are the terms of `CLVModel.score` where it is given no others.
        margin: As in `clv`; a table is not saved with the model.
        annual_discount_rate: As in `clv`.
        acquisition_cost: As in `clv`.
        service_cost: As in `clv`.
        interval: As in `clv`.
        confidence: As in `clv`.
        unit: As in `clv`.
        acquired_from: As in `clv`.
        acquired_until: As in `clv`.

    Returns:
        The model.

    Raises:
        InvalidArgument: An argument is not allowed, or the summary holds no spend.
        EmptyData: Nobody bought again.
        ConvergenceError: No model could be fitted.

    Examples:
        >>> import loyalty as ly
        >>> tx = ly.transactions(ly.datasets.cdnow_sample(), observed_until="1997-09-30")
        >>> model = ly.fit_clv(tx, "BG/NBD", margin=0.3)
        >>> one = model.score_customer(frequency=2, recency=30.43, age=38.86, monetary_value=22.35)
        >>> round(one.p_alive, 3), round(one.expected_spend, 2)
        (0.727, 24.66)
    """
    summary, log = _opened("fit_clv", tx, unit, model, (acquired_from, acquired_until))
    terms = Terms(
        horizon=horizon, margin=margin, annual_discount_rate=annual_discount_rate, acquisition_cost=acquisition_cost,
        service_cost=service_cost, interval=interval, confidence=confidence,
    )  # fmt: skip
    return _fitted(summary, log, model, spend_model, terms)


def _opened(
    caller: str, data: Any, unit: str | None, model: Any = None, acquired: tuple[Any, Any] = (None, None)
) -> tuple[CustomerSummary, Transactions | None]:
    """Return the summary of customers acquired in a span, and the transactions they come from where there are any."""
    if isinstance(data, CustomerSummary):
        if unit is not None and unit != data.unit:
            raise InvalidArgument(f"unit={unit!r}, but the summary counts time in {data.unit}s: leave unit= out.")
        if acquired != (None, None):
            raise InvalidArgument(
                "acquired_from= and acquired_until= need transactions: a summary is restricted when it is made, by "
                "summarize(tx, acquired_from=...)."
            )
        return data, None
    if not isinstance(data, Transactions):
        raise InvalidArgument(
            f"{caller} takes transactions, not a {type(data).__name__}: open the table first, "
            f"{caller}(ly.transactions(table, customer=..., date=..., amount=...)), or hand over a customer summary."
        )
    own = model.unit if isinstance(model, LifetimeFit) else "week"
    unit = own if unit is None else unit
    return summarize(data, unit, acquired_from=acquired[0], acquired_until=acquired[1]), data


def _fitted(summary: CustomerSummary, tx: Transactions | None, model: Any, spend_model: Any, terms: Terms) -> CLVModel:
    """Return the models fitted on the customers of a summary."""
    purchases, tried = choosing.choose_purchases(model, summary)
    purchases.check_summary(summary)
    spend = choosing.choose_spend(spend_model, summary, tx)
    return CLVModel(purchases=purchases, spend=spend, terms=terms, tried=tried, kind=summary.kind)


def _scored(model: CLVModel, summary: CustomerSummary, tx: Transactions | None, terms: Terms) -> CustomerValue:
    """Return what the customers of a summary are worth."""
    model.purchases.check_summary(summary)
    if not summary.has_spend and not isinstance(model.spend, MeanSpend):
        raise InvalidArgument(
            "this summary holds no spend: pass monetary_value=<column> to CustomerSummary.of, or fit with "
            'spend_model="mean".'
        )
    valuation = Valuation(summary, model.purchases, model.spend, terms, margins(terms.margin, summary, tx))
    return value_of(valuation, model)


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class CLVModel:
    """Models of purchases and of spend with the terms on which they value customers; made by `fit_clv`.

    Attributes:
        purchases: The fitted model of purchases.
        spend: The fitted model of spend.
        terms: Horizon, margin, rate, costs, interval and level that `score` takes where it is given no others.
        tried: The models of purchases that were tried.
        kind: The kind of frame that tables come back as.
    """

    purchases: LifetimeFit
    spend: SpendFit | MeanSpend
    terms: Terms = dataclasses.field(default_factory=Terms)
    tried: tuple[Candidate, ...] = ()
    kind: str = "pandas"

    def __post_init__(self) -> None:
        if isinstance(self.spend, SpendFit) and self.spend.values[1] <= 1.0:
            raise InvalidArgument(
                f"the gamma-gamma model has no finite mean spend here (q = {self.spend.values[1]:.3g} is not above 1), "
                'so a customer without a repeat purchase has no value: pass spend_model="mean", or None, which takes '
                "the mean of spend in such a case."
            )

    @property
    def unit(self) -> str:
        """Unit of the models' times."""
        return self.purchases.unit

    @property
    def compared(self) -> Table:
        """The models of purchases that were tried, with their AIC."""
        return choosing.comparison(self.tried or (Candidate.of(self.purchases, chosen=True),), self.kind)

    @property
    def independence(self) -> Independence | None:
        """How frequency and mean spend go together, which the gamma-gamma model takes to be not at all."""
        return self.spend.independence

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know about the models, a sentence each."""
        notes = [str(self.compared)] if len(self.tried) > 1 else []
        for fit in (self.purchases, self.spend):
            said = standing(fit)
            notes += [said, *fit.notes] if said else fit.notes
        independence = self.independence
        if independence is not None:
            notes.append(independence.sentence)
        return tuple(dict.fromkeys(notes))

    def score(self, tx: Transactions | CustomerSummary, **changes: Unpack[Changes]) -> CustomerValue:
        """Return what customers are worth: those the model was fitted on, or any others.

        Args:
            tx: The transactions, or a customer summary in the model's unit.
            **changes: Terms other than the model's own: `horizon`, `margin`, `annual_discount_rate`,
                `acquisition_cost`, `service_cost`, `interval`, `confidence`; see `clv`.

        Raises:
            InvalidArgument: A term is not allowed, or the summary has another unit or no spend.
            ColumnError: The margin's column is missing or holds no numbers.
            InvalidRows: A customer has no finite margin.
        """
        terms = self.terms.changed(changes)
        summary, log = _opened("score", tx, None, self.purchases)
        return _scored(self, summary, log, terms)

    def score_customer(
        self,
        *,
        frequency: float,
        recency: float,
        age: float,
        monetary_value: float | None = None,
        **changes: Unpack[Changes],
    ) -> CustomerScore:
        """Return what one customer is worth: what a service asks for, in a fraction of a millisecond.

        Args:
            frequency: Number of repeat purchases.
            recency: Time from the first to the last purchase, in the model's unit.
            age: Time observed since the first purchase, in the model's unit.
            monetary_value: Mean spend of the repeat purchases; needed where there are any.
            **changes: Terms other than the model's own, as in `score`; the margin is a number here.

        Raises:
            InvalidArgument: The history cannot be, or a term is not allowed.
        """
        terms = self.terms.changed(changes) if changes else self.terms
        return one_customer.score(self._scorer(terms), frequency, recency, age, monetary_value)

    def score_customers(
        self,
        *,
        frequency: Any,
        recency: Any,
        age: Any,
        monetary_value: Any = None,
        **changes: Unpack[Changes],
    ) -> CustomerScores:
        """Return what many customers are worth, from numbers alone: a thousand of them in some milliseconds.

        Nothing is opened or kept: these are the numbers of `score_customer`, computed for all customers at once. Where
        customers come as a table, or should come back as one, `score` takes a summary.

        Args:
            frequency: Number of repeat purchases of each customer; shape (n,), or one number for all, like all that
                follow.
            recency: Time from the first to the last purchase, in the model's unit.
            age: Time observed since the first purchase, in the model's unit.
            monetary_value: Mean spend of the repeat purchases; needed where there are any, and not read elsewhere
                (None and NaN will do).
            **changes: Terms other than the model's own, as in `score`; the margin is a number here.

        Returns:
            Arrays of shape (n,), in the order in which the customers were given; `.rows()` is JSON-ready.

        Raises:
            InvalidArgument: A history cannot be, the arrays do not fit together, or a term is not allowed.

        Examples:
            >>> import loyalty as ly
            >>> tx = ly.transactions(ly.datasets.cdnow_sample(), observed_until="1997-09-30")
            >>> model = ly.fit_clv(tx, "BG/NBD", margin=0.3)
            >>> found = model.score_customers(frequency=[2, 0], recency=[30.43, 0], age=[38.86, 12.0],
            ...                               monetary_value=[22.35, None])
            >>> found.clv.round(2).tolist(), found.rows()[1]["p_alive"]
            ([11.06, 5.73], 1.0)
        """
        terms = self.terms.changed(changes) if changes else self.terms
        return many_customers.score(self._scorer(terms), frequency, recency, age, monetary_value)

    def _scorer(self, terms: Terms) -> one_customer.Scorer:
        """Return what is prepared for customers on some terms; those of the model are prepared once."""
        return self._own_scorer if terms is self.terms else one_customer.Scorer.of(self.purchases, self.spend, terms)

    @cached_property
    def _own_scorer(self) -> one_customer.Scorer:
        return one_customer.Scorer.of(self.purchases, self.spend, self.terms)

    def notes_on(self, valuation: Valuation) -> tuple[str, ...]:
        """Return what a reader must know about a value, a sentence each."""
        notes = [*valuation.margins.notes, *self.notes, *valuation.summary.notes]
        if valuation.terms.horizon is None:
            notes.append("There is no horizon: expected_purchases is missing, only their discounted sum is finite.")
        return tuple(dict.fromkeys(notes))

    def independence_dict(self) -> dict[str, Any] | None:
        """Return the measured independence as JSON-ready values; None where nothing is assumed."""
        return None if self.independence is None else self.independence.to_dict()

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready values; `loyalty.load` reads them back.

        Raises:
            InvalidArgument: The margin is a table, which is not saved.
        """
        return {
            "model": "CLVModel",
            "purchases": self.purchases.to_dict(),
            "spend": self.spend.to_dict(),
            "terms": self.terms.to_dict(),
            "tried": [wording.jsonable(dataclasses.asdict(one)) for one in self.tried],
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> CLVModel:
        """Return the model that `to_dict` made. Nothing that it holds is run.

        Raises:
            InvalidArgument: Something is missing, of a wrong kind or not allowed.
        """
        given = saved if isinstance(saved, Mapping) else {}
        parts: dict[str, Any] = {name: given.get(name) for name in ("purchases", "spend", "terms")}
        tried: Any = given.get("tried")
        lists = isinstance(tried, Sequence) and not isinstance(tried, str)
        if not all(isinstance(part, Mapping) for part in [*parts.values(), *(tried if lists else [None])]):
            raise InvalidArgument("this is no saved CLVModel: it lacks purchases, spend, terms or what was tried.")
        spend_kind: Any = MeanSpend if parts["spend"].get("model") == "MeanSpend" else SpendFit
        return cls(
            purchases=LifetimeFit.from_dict(parts["purchases"]),
            spend=spend_kind.from_dict(parts["spend"]),
            terms=Terms.from_dict(parts["terms"]),
            tried=tuple(Candidate.from_dict(one) for one in tried),
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a JSON file, which `loyalty.load` reads back.

        Raises:
            InvalidArgument: The margin is a table, which is not saved.
        """
        from loyalty.clv import saving

        saving.save(self, path)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return f"Customer value over {self.terms}. Purchases: {self.purchases} Spend: {self.spend}"

    def _repr_html_(self) -> str:
        rows = [("purchases", str(self.purchases)), ("spend", str(self.spend)), ("terms", str(self.terms))]
        rows += [("note", note) for note in self.notes]
        return wording.html_table(("customer value model", ""), rows)
