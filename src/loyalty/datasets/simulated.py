"""Seeded simulators: a log of transactions, what its customers spend elsewhere, what they answer in a survey."""

from __future__ import annotations

from datetime import date
from numbers import Real
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from loyalty import checks
from loyalty.errors import ColumnError, InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Stream = np.random.Generator

__all__ = ["simulate", "simulate_scores", "simulate_wallet"]

_DAY: Final = 86_400  # seconds
# Published CDNOW estimates, but for alpha (there 10.58, 4.414, 12.07), lowered for 6.6 rows in two years.
_MODELS: Final[Mapping[str, Mapping[str, float]]] = {
    "pareto/nbd": {"r": 0.5533, "alpha": 2.6, "s": 0.6062, "beta": 11.67},
    "bg/nbd": {"r": 0.2426, "alpha": 0.28, "a": 0.7929, "b": 2.4259},
    "nbd": {"r": 0.3848, "alpha": 3.6},
}
# Probability of each score inside its group; invented, mild scores being commoner than extreme ones.
_SCORES: Final = ((0.07, 0.05, 0.06, 0.10, 0.12, 0.28, 0.32), (0.40, 0.60), (0.45, 0.55))  # 0-6, 7-8, 9-10


def simulate(
    customers: int = 1000,
    *,
    seed: int,
    start: str | date = "2022-01-01",
    end: str | date = "2023-12-31",
    acquired_until: str | date | None = None,
    model: str = "pareto/nbd",
    r: float | None = None,
    alpha: float | None = None,
    s: float | None = None,
    beta: float | None = None,
    a: float | None = None,
    b: float | None = None,
    p: float = 6.25,
    q: float = 3.74,
    gamma: float = 15.44,
    products: int = 5,
    margin: float = 0.4,
    returns: float = 0.0,
    guests: float = 0.0,
    times: bool = False,
) -> pd.DataFrame:
    """A transaction log drawn from a lifetime model and the gamma-gamma model of spend.

    A customer first buys at a uniform moment from `start` to `acquired_until`, then as a Poisson process at a
    rate of their own until they drop out or the log ends. Each purchase is an order of one row; two can fall
    on one day, so a log merged to days has slightly fewer. `returns`, `guests` and `times` move no purchase.

    Args:
        customers: How many customers, at least 1. A million take a few seconds.
        seed: Whole number, 0 or above.
        start: First day of the log: a date, or ISO text.
        end: Last day of the log, inclusive.
        acquired_until: Last day on which a customer can first buy, inclusive; by default `end`.
        model: "pareto/nbd" (exponential lifetimes, gamma-mixed), "bg/nbd" (each repeat purchase is the last
            with a beta-distributed probability) or "nbd" (nobody drops out).
        r: Shape of the gamma distribution of purchase rates.
        alpha: Its inverse scale, weeks: the mean rate is r / alpha purchases a week.
        s: Shape of the gamma distribution of dropout rates ("pareto/nbd" only).
        beta: Its inverse scale, weeks ("pareto/nbd" only).
        a: First parameter of the beta distribution of dropout probabilities ("bg/nbd" only).
        b: Its second parameter ("bg/nbd" only).
        p: Shape of the gamma distribution of a customer's amounts.
        q: Shape of the gamma distribution of customers' inverse spend scales; above 1.
        gamma: Its inverse scale, currency: the mean amount is p * gamma / (q - 1).
        products: Number of product types; the k-th is bought in proportion to 1 / k (Zipf).
        margin: Share of the amount that is not cost, 0 to 1.
        returns: Share of purchases, 0 to 1, refunded in full within 30 days and before the log ends: one more
            row of the same order, customer and product, with amount and cost negated.
        guests: Share of orders, 0 to 1, without customer id (their refunds too), be it a first or only order.
        times: Give each row its time of day, to the second, instead of midnight.

    Returns:
        A frame in time order, refunds after their purchases: `customer_id` (int64, 1 to `customers`; Int64,
        null for guests, if `guests` is positive), `date` (datetime64[us]), `amount` (float64, currency, whole
        cents, never zero), `order_id` (int64: 1, 2, … in time order), `product` (text), `cost` (float64,
        currency, whole cents). With the defaults about 6.6 rows per customer.

    Raises:
        InvalidArgument: A value outside its range, a parameter of another model, or dates out of order.

    References:
        Pareto/NBD: Schmittlein, Morrison & Colombo (1987), Management Science 33(1). BG/NBD: Fader, Hardie &
        Lee (2005), Marketing Science 24(2). Spend: Fader & Hardie, note 025. The defaults are their CDNOW
        estimates, but for a lower alpha: 2.6, 0.28 ("bg/nbd") and 3.6 ("nbd").

    Examples:
        >>> list(simulate(500, seed=7, guests=0.1))
        ['customer_id', 'date', 'amount', 'order_id', 'product', 'cost']
    """
    import pandas as pd

    customers, products = checks.count("customers", customers), checks.count("products", products)
    for name, value in {"margin": margin, "returns": returns, "guests": guests}.items():
        checks.number(name, value, low=0, high=1)
    _above(0, p=p, gamma=gamma)
    _above(1, q=q)
    parameters = _parameters(model, {"r": r, "alpha": alpha, "s": s, "beta": beta, "a": a, "b": b})
    first, days, days_acquiring = _window(start, end, acquired_until)
    # A stream for each part, so that switching one part on does not move the others.
    timing, spending, choice, refunds, identity = _generator(seed).spawn(5)
    births = timing.random(customers) * (days_acquiring / 7)
    who, seconds = _purchases(timing, births, days, model, parameters)
    scale = gamma / spending.standard_gamma(q, customers)
    amount = np.maximum(np.round(spending.standard_gamma(p, who.size) * scale[who], 2), 0.01)
    product = _pick(choice, 1 / np.arange(1, products + 1), who.size)
    row, sign, seconds = _with_refunds(refunds, seconds, returns, days * _DAY)
    ids = pd.arrays.IntegerArray(who[row] + 1, identity.random(who.size)[row] < guests)
    columns = {
        "customer_id": ids if guests else ids.to_numpy("int64"),
        "date": np.datetime64(first, "us") + (seconds if times else seconds // _DAY * _DAY).astype("m8[s]"),
        "amount": sign * amount[row],
        "order_id": row + 1,
        "product": pd.Index([f"product {k + 1}" for k in range(products)]).take(product[row]),
        "cost": sign * np.round(amount * (1 - margin), 2)[row],
    }
    return pd.DataFrame(columns)


def simulate_wallet(log: pd.DataFrame, *, seed: int, share: float = 0.4, concentration: float = 5.0) -> pd.DataFrame:
    """What each customer of a log spent in the category altogether, here and elsewhere, over the log's span.

    Own spend (net of negative rows) is divided by a beta-distributed share of wallet. Customers without
    positive own spend get a wallet as if they had spent what spenders do on average, all of it elsewhere.

    Args:
        log: A frame with `customer_id` and `amount` (currency); rows with a null id are passed over.
        seed: Whole number, 0 or above.
        share: Mean of the customers' shares, between 0 and 1. The ratio of sums is lower: as share and spend
            are unrelated here, it tends to (share * concentration - 1) / (concentration - 1).
        concentration: How alike the shares are, the sum of the two beta parameters: above 1 / share.

    Returns:
        A frame with a row per customer, by id: `customer_id` (as in the log), `category_spend` (float64,
        currency, whole cents, above own spend). No nulls.

    Raises:
        InvalidArgument: A value outside its range, or nobody with positive spend.
        ColumnError: The log has no such column.

    Examples:
        >>> simulate_wallet(simulate(100, seed=1), seed=2).shape
        (100, 2)
    """
    import pandas as pd

    for column in ("customer_id", "amount"):
        if column not in log.columns:
            raise ColumnError(f"The log has no {column!r} but {list(log.columns)}: rename the column meant.")
    _above(0, share=share, concentration=concentration)
    alpha, beta = share * concentration, (1 - share) * concentration
    if alpha <= 1 or beta <= 0:
        raise InvalidArgument(f"{share=}, {concentration=}: give share < 1 < share * concentration.")
    own = log.groupby("customer_id")["amount"].sum()
    spent = own.to_numpy("float64")
    if not (spent > 0).any():
        raise InvalidArgument("The log has no customer of positive spend: a wallet needs at least one.")
    drawn = _generator(seed).beta(alpha, beta, spent.size)
    basis = np.where(spent > 0, spent, spent[spent > 0].mean())
    elsewhere = np.maximum(basis * (1 / drawn - 1), 0.01)
    spend = np.round(np.maximum(spent, 0.0) + elsewhere, 2)
    return pd.DataFrame({"customer_id": own.index, "category_spend": spend})


def simulate_scores(
    customers: int | Iterable[Any], *, seed: int, promoters: float = 0.4, passives: float = 0.35
) -> pd.DataFrame:
    """Answers, 0 to 10, to "how likely are you to recommend us": one per customer, unrelated to purchases.

    Args:
        customers: How many (their ids are then 1, 2, …), or the ids, such as `log["customer_id"]`: nulls are
            left out and an id given more than once answers once.
        seed: Whole number, 0 or above.
        promoters: Probability of a 9 or 10.
        passives: Probability of a 7 or 8; the two add to at most 1. The rest, detractors, give 0 to 6.

    Returns:
        A frame with a row per customer, in the order given: `customer_id` and `score` (int64). No nulls.

    Raises:
        InvalidArgument: A value outside its range, or no ids.

    Examples:
        >>> bool(simulate_scores(1000, seed=3)["score"].between(0, 10).all())
        True
    """
    import pandas as pd

    rest = 1 - checks.number("promoters", promoters, low=0) - checks.number("passives", passives, low=0)
    if rest < -1e-9:
        raise InvalidArgument(f"promoters={promoters!r}, passives={passives!r} exceed 1 together: lower one.")
    if isinstance(customers, int | Real):
        ids = pd.Series(np.arange(1, checks.count("customers", customers) + 1))
    elif isinstance(customers, str | pd.DataFrame) or not hasattr(customers, "__iter__"):
        raise InvalidArgument(f'{type(customers)} for customers: give a number, or ids as log["customer_id"].')
    else:
        listed = customers if hasattr(customers, "dtype") else list(customers)
        ids = pd.Series(listed).dropna().drop_duplicates()
    if ids.empty:
        raise InvalidArgument("customers holds no id that is not null: give at least one.")
    groups = zip(_SCORES, (max(rest, 0.0), passives, promoters), strict=True)
    weights = np.concatenate([np.multiply(within, chance) for within, chance in groups])
    return pd.DataFrame({"customer_id": ids.array, "score": _pick(_generator(seed), weights, len(ids))})


def _purchases(
    stream: Stream, births: Floats, days: int, model: str, parameters: Mapping[str, float]
) -> tuple[Ints, Ints]:
    """Who bought (0, 1, …) and at which second, in time order; `births` are first purchases, in weeks."""
    n = births.size
    rate = stream.gamma(parameters["r"], 1 / parameters["alpha"], n)
    alive = days / 7 - births
    if model == "pareto/nbd":
        with np.errstate(all="ignore"):  # a dropout rate can underflow to zero: never dropped out
            lifetime = stream.exponential(parameters["beta"], n) / stream.standard_gamma(parameters["s"], n)
        alive = np.fmin(alive, lifetime)
    repeats = stream.poisson(rate * alive)
    last = np.empty(0, np.int64)
    if model == "bg/nbd":
        # Of the repeats, at uniform moments, the first `allowed` happen: the moment of the last of these is a
        # beta order statistic, and those before it are uniform up to it.
        allowed = stream.geometric(np.maximum(stream.beta(parameters["a"], parameters["b"], n), 1e-12))
        gone = repeats >= allowed
        alive[gone] *= stream.beta(allowed[gone], repeats[gone] - allowed[gone] + 1)
        repeats = np.minimum(repeats, allowed)
        last = np.cumsum(repeats)[gone] - 1
    who = np.repeat(np.arange(n), repeats)
    moment = stream.random(who.size)
    moment[last] = 1.0
    weeks = np.concatenate([births, births[who] + moment * alive[who]])
    seconds = np.minimum((weeks * (7 * _DAY)).astype(np.int64), days * _DAY - 1)
    order = np.argsort(seconds, kind="stable")
    return np.concatenate([np.arange(n), who])[order], seconds[order]


def _with_refunds(stream: Stream, seconds: Ints, share: float, end: int) -> tuple[Ints, Ints, Ints]:
    """The purchase each row is about, its sign (-1: refund) and its second, in time order."""
    bought = np.arange(seconds.size)
    back = bought[stream.random(seconds.size) < share]
    room = np.minimum(end - seconds[back], 30 * _DAY)
    when = np.concatenate([seconds, seconds[back] + (stream.random(back.size) * room).astype(np.int64)])
    order = np.argsort(when, kind="stable")
    return np.concatenate([bought, back])[order], np.where(order < seconds.size, 1, -1), when[order]


def _pick(stream: Stream, weights: Floats, size: int) -> Ints:
    """Numbers 0, 1, … drawn in proportion to their weights."""
    reached = np.cumsum(weights)
    drawn: Ints = np.searchsorted(reached[:-1], stream.random(size) * reached[-1], side="right")
    return drawn


def _generator(seed: int) -> Stream:
    return np.random.default_rng(checks.count("seed", seed, low=0))


def _parameters(model: str, given: Mapping[str, float | None]) -> dict[str, float]:
    """The model's parameters: those given, else its defaults."""
    defaults = _MODELS[checks.choice("model", model, list(_MODELS))]
    passed = {name: value for name, value in given.items() if value is not None}
    for name, value in passed.items():
        if name not in defaults:
            raise InvalidArgument(f"{name}={value!r}: leave it out, {model!r} has {', '.join(defaults)}.")
        _above(0, **{name: value})
    return {**defaults, **passed}


def _window(start: str | date, end: str | date, acquired_until: str | date | None) -> tuple[date, int, int]:
    """First day, days in the log, days on which customers are acquired."""
    first, last = _day("start", start), _day("end", end)
    until = last if acquired_until is None else _day("acquired_until", acquired_until)
    if not first <= until <= last:
        raise InvalidArgument(f"{start=}, {acquired_until=}, {end=}: give days in this order, or equal ones.")
    return first, (last - first).days + 1, (until - first).days + 1


def _day(name: str, value: str | date) -> date:
    try:
        day = date.fromisoformat(value) if isinstance(value, str) else value
        return date(day.year, day.month, day.day)
    except (AttributeError, TypeError, ValueError):
        raise InvalidArgument(f"{name}={value!r} is not a date: give ISO text or a datetime.date.") from None


def _above(bound: int, **values: float) -> None:
    for name, value in values.items():
        if checks.number(name, value) <= bound:
            raise InvalidArgument(f"{name}={value!r} is too small: give a number above {bound}.")
