"""What customers are worth: the total with its intervals, a table per customer, who is going quiet."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from loyalty import checks, wording
from loyalty.clv.valuation import alive, by_group, chance, concentration
from loyalty.clv.valuation.standing import WITHOUT_WIDTH
from loyalty.clv.valuation.totals import newly_won, sums_of
from loyalty.engines import CustomerRows, PerCustomer
from loyalty.errors import InvalidArgument
from loyalty.estimates import Estimate
from loyalty.tables import EstimateSet

if TYPE_CHECKING:
    from loyalty.clv.valuation.scoring import Valuation
    from loyalty.clv.valuation.totals import Worth
    from loyalty.clv.valuation.value import CLVModel
    from loyalty.tables import Table

__all__ = ["CustomerValue", "value_of"]

Frame = nw.LazyFrame[Any]

_COLUMNS = (
    "customer",
    "frequency",
    "recency",
    "age",
    "monetary_value",
    "p_alive",
    "expected_purchases",
    "expected_spend",
    "clv",
    "clv_low",
    "clv_high",
    "value_at_risk",
    "weight",
    "acquired_before",
)
_NEVER_QUIET = "BGNBD"  # in it a customer without a repeat purchase is alive for certain, however long silent


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CustomerValue(EstimateSet, PerCustomer):
    """What customers are expected to bring over a horizon, after margin, discount and service costs.

    Attributes:
        kind: The kind of frame that summaries come back as.
        total: Value of all customers together, with the confidence interval of its expectation: how well the
            parameters are known.
        total_predictive: The same value with the predictive interval: what the customers will really bring, if they go
            on buying as the model has it. It holds the confidence interval.
        mean: Value per customer, with its confidence interval.
        new_customer: Value of a customer newly won, the first purchase included, less the acquisition cost.
        break_even_cost: The same before the acquisition cost: the most that one may pay to win a customer.
        model: The models behind it.
        terms: Horizon, margin, rate, costs and level.
        notes: What a reader must know, a sentence each.
        valuation: Customers with their predictions; for authors.
    """

    total: Estimate
    total_predictive: Estimate
    mean: Estimate
    new_customer: Estimate
    break_even_cost: Estimate
    model: CLVModel = field(repr=False)
    terms: Any = field(repr=False)
    notes: tuple[str, ...] = ()
    valuation: Valuation = field(repr=False, compare=False)

    @property
    def customers(self) -> Any:
        """A row per customer, the most valuable first, in the source's kind; computed when read.

        Columns: the customer column; `frequency`, `recency`, `age` (in the model's unit), `monetary_value`; `p_alive`;
        `expected_purchases` (within the horizon, not discounted); `expected_spend` (of a purchase); `clv` with
        `clv_low` and `clv_high` (NaN where they would have no width because a fit leaves something open);
        `value_at_risk` (what the customer would be worth if certainly still one, times 1 − P(alive): what has probably
        been lost); `weight` and `acquired_before` as in the summary.

        Raises:
            ClosedError: The transactions were closed.
        """
        return self._customer_rows().handed()

    def _customer_rows(self) -> CustomerRows:
        summary = self.valuation.summary
        return CustomerRows(summary.engine, self._sorted("clv"), summary.customer)

    def top(self, n: int = 10) -> Any:
        """Return the n customers of the highest value: the columns of `customers`.

        Args:
            n: How many.
        """
        return self._handed(self._sorted("clv").head(checks.count("n", n)))

    def going_quiet(self, n: int = 20, *, p_alive: tuple[float, float] = (0.1, 0.5)) -> Any:
        """Return valuable customers who are probably leaving, by what would be lost with them.

        These are the customers to write to while some are still there: `value_at_risk` ranks them, so both what they
        are worth and how probably they have left count. Customers without a repeat purchase stay out where the model
        is the BG/NBD, which takes them to be alive for ever.

        Args:
            n: How many at most.
            p_alive: The lowest and highest P(alive) of who is listed: below are those who are gone, above those who
                are not in danger.

        Returns:
            The columns of `customers`, the highest value at risk first, in the source's kind.

        Raises:
            InvalidArgument: An argument is not allowed.
        """
        checks.count("n", n)
        if not isinstance(p_alive, (tuple, list)) or len(p_alive) != 2:
            raise InvalidArgument(f"p_alive={p_alive!r}: give the lowest and the highest P(alive), such as (0.1, 0.5).")
        low, high = (checks.number("p_alive", end, low=0.0, high=1.0) for end in p_alive)
        frame = self.valuation.rows().filter(nw.col("p_alive") >= low, nw.col("p_alive") <= high)
        if self.model.purchases.model == _NEVER_QUIET:
            frame = frame.filter(nw.col("frequency") > 0)
        return self._handed(self._sorted("value_at_risk", frame.filter(nw.col("value_at_risk") > 0)).head(n))

    def top_share(self, customers: float = 0.30) -> float:
        """Return the share of the total value that the most valuable customers are expected to bring.

        Args:
            customers: Share of customers, above 0 and at most 1: the first ⌈share·n⌉ by value.

        Returns:
            A share; NaN where the total is not above 0.

        Raises:
            InvalidArgument: The share is not allowed, or the summary is weighted.
        """
        checks.fraction("customers", customers)
        if self.valuation.summary.weighted:
            raise InvalidArgument("customers of a weighted summary cannot be ranked one by one.")
        if not self.total.value > 0.0:
            return math.nan
        first = math.ceil(customers * self.total.n - 1e-9)
        best = self.valuation.rows().select("clv").sort("clv", descending=True).head(first)
        found = self.valuation.summary.collect(best.select(nw.col("clv").sum()))["clv"][0].as_py()
        return float(found) / self.total.value

    def by(self, labels: Any, column: Any = None, *, customer: Any = None) -> Table:
        """Return what the customers of each group are worth, such as those of each segment.

        Args:
            labels: A table with a row per customer, of any kind that `transactions` opens: the customers' ids and a
                column of groups. `ly.rfm(tx).customers` is one, with column="segment".
            column: Its column of groups; may be left out where there is but one besides the customers'.
            customer: Its column of customers; by default it is called as in the data.

        Returns:
            A row per group, the highest value first, equal ones by name, the group of nulls (None) last. Columns: the
            group, under its column's name; `customers`; `value`; `share_of_value` (of what all groups are worth; NaN
            where that is not above 0); `mean_value` and `mean_p_alive` per customer; `expected_purchases` within the
            horizon. Customers without a row in the table, and rows of nobody who is valued here, are left out and
            counted in the note, and so are groups of negative value, beside which shares exceed 100 %. `.plot()` draws
            it.

        Raises:
            InvalidArgument: The column is not said, makes too many groups, or the summary does not say who is who.
            UnsupportedSource: The labels are no table.
            ColumnError: A column is missing, or no id is that of a customer.
            InvalidRows: Customers have several rows.
            EmptyData: The table holds no customer.
            ClosedError: The transactions were closed.

        Examples:
            >>> import loyalty as ly
            >>> tx = ly.transactions(ly.datasets.cdnow_sample(), observed_until="1997-09-30")
            >>> groups = ly.clv(tx, margin=0.3, model="BG/NBD").by(ly.rfm(tx).customers, "segment")
            >>> groups["segment"][0], groups["customers"][0], round(groups["share_of_value"][0], 2)
            ('Champions', 335, 0.61)
        """
        return by_group.by_group(self, labels, column, customer)

    def concentration(self) -> Table:
        """Return how unevenly value is spread: what share of it the most valuable customers are expected to bring.

        Returns:
            Under 200 points of the curve, the most valuable customers first: `customers` (number),
            `cumulative_customers` and `cumulative_value` (shares). Every point is exact; both ends and the first 30 %
            of customers, as of `top_share(0.30)`, are among them. Without rows where the total is not above 0. Negative
            values, which service costs bring about, are counted in the note: then the curve rises above 100 %.
            `.plot()` draws it.

        Raises:
            InvalidArgument: The summary is weighted.
            ClosedError: The transactions were closed.

        Examples:
            >>> import loyalty as ly
            >>> tx = ly.transactions(ly.datasets.cdnow_sample(), observed_until="1997-09-30")
            >>> curve = ly.clv(tx, margin=0.3, model="BG/NBD").concentration()
            >>> print(curve)
            The most valuable 30 % of customers (708 of 2,357) are expected to bring 78.1 % of the value.
            >>> curve["customers"][-1], curve["cumulative_value"][-1]
            (2357, 1.0)
        """
        return concentration.concentration(self)

    def alive_by_recency(self) -> Table:
        """Return how probably customers are still there, by days since their last purchase and purchases so far.

        Returns:
            A row per bar of days that holds customers: `days_from`, `days_to` (whole days, both inside), `purchases`
            (so far, the first included: "1", "2–3", "4–9" or "10+"), `customers`, `p_alive` (their mean). `.plot()`
            draws it.

        Raises:
            ClosedError: The transactions were closed.

        Examples:
            >>> import loyalty as ly
            >>> tx = ly.transactions(ly.datasets.cdnow_sample(), observed_until="1997-09-30")
            >>> table = ly.clv(tx, margin=0.3, model="Pareto/NBD").alive_by_recency()
            >>> first = next(row for row in table if row["purchases"] == "10+")
            >>> first["days_from"], first["days_to"], first["customers"], round(first["p_alive"], 2)
            (0, 13, 17, 0.99)
        """
        return alive.alive_by_recency(self)

    @property
    def compared(self) -> Table:
        """The models of purchases that were tried, with their AIC."""
        return self.model.compared

    def _sorted(self, by: str, frame: Frame | None = None) -> Frame:
        """Return customers by a column, the highest first, with the columns that are shown."""
        frame = self.valuation.rows() if frame is None else frame
        here = frame.collect_schema().names()
        last = [name for name in ("customer", "frequency", "recency", "age") if name in here]
        last = last[:1] if "customer" in last else last
        frame = frame.sort(by, *last, descending=[True, *(False for _ in last)])
        return frame.select(*(name for name in _COLUMNS if name in here))

    def _handed(self, frame: Frame) -> Any:
        return self.valuation.summary.hand_back(frame)

    def __str__(self) -> str:
        total, predicted, mean = self.total, self.total_predictive, self.mean
        level = wording.level(total.confidence)
        until = self.valuation.summary.until
        start = f" from {until}" if until else ""
        are = "is" if total.n == 1 else "are"
        head = f"{wording.counted(total.n, 'customers')} {are} worth {_money(total.value)} over {self.terms}{start}"
        known = f" ({WITHOUT_WIDTH})" if math.isnan(total.low) else f": {level} confidence interval {_span(total)}"
        cases = f"they will bring {_span(predicted)} in {level} of cases"
        real = "" if math.isnan(predicted.low) else f"; if customers go on buying as the model has it, {cases}"
        each = f"{_money(mean.value)} per customer. A new customer is worth {_money(self.new_customer.value)}"
        if self.terms.acquisition_cost:
            each += f" after an acquisition cost of {_money(self.terms.acquisition_cost)}"
        models = f"Purchases: {self.model.purchases.model}; spend: {self.model.spend.model}."
        return "\n".join([f"{head}{known}{real}. That is {each}. {models}", *(f"Note: {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        said = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        return f"{EstimateSet._repr_html_(self)}<p>{html.escape(str(self.terms))}</p><ul>{said}</ul>"

    def to_dict(self) -> dict[str, Any]:
        """Return estimates, terms, models and notes as JSON-ready values; undefined becomes None."""
        return {
            **EstimateSet.to_dict(self),
            "terms": self.terms.told(),
            "purchases": _named(self.model.purchases),
            "spend": _named(self.model.spend),
            "compared": self.compared.to_dict()["rows"],
            "independence": self.model.independence_dict(),
            "notes": list(self.notes),
        }


def _named(fit: Any) -> dict[str, Any]:
    """Return a fit's name and parameters as JSON-ready values."""
    return {"model": fit.model, "params": wording.jsonable(dict(fit.params))}


def _money(value: float) -> str:
    return wording.quantity(value, "money")


def _span(estimate: Estimate) -> str:
    return wording.span(estimate.low, estimate.high, "money")


def value_of(valuation: Valuation, model: CLVModel) -> CustomerValue:
    """Return the result for customers that were predicted."""
    sums, terms = sums_of(valuation), valuation.terms
    new, total = newly_won(valuation, sums.margin), sums.total

    def expected(name: str, worth: Worth, definition: str) -> Estimate:
        return _estimate(valuation, name, worth, worth.confidence_limits(terms.confidence), definition)

    return CustomerValue(
        kind=valuation.summary.kind,
        total=expected("value of all customers", total, "Expected value of all customers together."),
        total_predictive=_estimate(
            valuation, "value that all customers will bring", total,
            total.predictive_limits(terms.confidence, sums.chance), "Value that all customers together will bring.",
            method="lognormal" if total.positive and total.value > 0.0 else "normal", note=chance.caution(valuation),
        ),
        mean=expected("value per customer", total.scaled(1.0 / sums.customers), "Expected value of one customer."),
        new_customer=expected(
            "value of a new customer", new.shifted(-terms.acquisition_cost),
            "Expected value of a customer newly won, the first purchase included, less the acquisition cost.",
        ),
        break_even_cost=expected(
            "break-even acquisition cost", new,
            "The most that one may pay to win a customer: the expected value of a new one, first purchase included.",
        ),
        model=model,
        terms=terms,
        notes=model.notes_on(valuation),
        valuation=valuation,
    )  # fmt: skip


def _estimate(
    valuation: Valuation,
    name: str,
    worth: Worth,
    limits: tuple[float, float],
    definition: str,
    *,
    method: str = "delta",
    note: str = "",
) -> Estimate:
    """Return a number of money with an interval, or without where the fits give it none."""
    empty = bool(valuation.doubts) and worth.without_width
    if empty:
        limits, note = (math.nan, math.nan), WITHOUT_WIDTH
    return Estimate(
        name=name,
        value=worth.value,
        low=limits[0],
        high=limits[1],
        confidence=valuation.terms.confidence,
        n=valuation.summary.n_customers,  # type: ignore[arg-type]
        numerator=worth.value,
        denominator=1.0,
        method=method,
        definition=definition,
        note="; ".join(filter(None, (note, valuation.doubts))),
        unit="money",
    )
