"""From canonical rows to purchases and customers: counted, refused or left out, and kept in an engine."""

from __future__ import annotations

from loyalty import engines, ledger, periods
from loyalty.errors import EmptyData, InvalidRows
from loyalty.exclusions import in_words

__all__ = ["book"]

Exclusions = dict[str, tuple[int, float]]  # reason → rows and amount

_WAYS_OUT = {
    "date": "mend them (ISO text is YYYY-MM-DD; for another spelling name its format, for example "
    'pandas.to_datetime(..., format="%d/%m/%Y"))',
    "amount": "mend them (in text: a decimal point, no thousands separators)",
    "cost": "mend them or leave cost= out",
    "discount": "mend them or leave discount= out",
}


def book(
    engine: engines.Engine,
    spec: engines.RowSpec,
    ends: tuple[int | None, int | None],
    *,
    occasion: str,
    returns: str,
    invalid: str,
) -> tuple[ledger.Rules, int, Exclusions]:
    """Count the rows of each kind, refuse what cannot be measured, and keep the tables `purchases` and `customers`.

    Args:
        engine: Where the rows are, and where the tables are kept.
        spec: The caller's columns by role.
        ends: First and last day of the window, None where it is that of the data.
        occasion: As in `loyalty.transactions`.
        returns: Likewise.
        invalid: Likewise.

    Returns:
        The rules that the tables follow, the number of rows that came in, and which of them are left out.

    Raises:
        InvalidRows: Rows cannot be used, or are returns, and the caller wanted to know.
        EmptyData: No row is left.
    """
    roles = frozenset(spec.columns)
    # Products are many texts that only the upsell ratio asks for: they are read when it does.
    measured = {role: label for role, label in spec.columns.items() if role != "product"}
    kept = engine.persist(engine.rows(engines.RowSpec(measured, spec.timezone)), "rows")
    census = ledger.Census(engine.collect(ledger.Census.query(engine.table(kept), roles, *ends)))
    _refuse_invalid(engine, spec, census, invalid)
    if returns == "error" and census.rows(ledger.RETURN):
        raise InvalidRows(
            f'{census.rows(ledger.RETURN):,} rows have a negative amount and returns="error": use "net" or "drop".',
            column=str(spec.columns["amount"]),
            count=census.rows(ledger.RETURN),
        )
    rules = ledger.Rules(
        roles=roles,
        occasion=occasion,
        returns=returns,
        window=_window(census, ends),
        data_from=(census.days() or (0, 0))[0],
        history=census.sales_before() > 0,
        booked=returns == "net" and census.returns_to_book() > 0,
    )
    exclusions = census.exclusions(returns)
    _keep_purchases(engine, rules, kept, exclusions)
    engine.drop(kept)
    return rules, census.rows(), exclusions


def _refuse_invalid(engine: engines.Engine, spec: engines.RowSpec, census: ledger.Census, invalid: str) -> None:
    """Raise where rows cannot be used and the caller did not ask to leave them out."""
    if not census.rows():
        raise EmptyData("the table has no rows.")
    for role, kind in ledger.INVALID.items():
        count = census.rows(kind)
        if count and invalid == "raise":
            label = spec.columns[role]
            examples = engine.offenders(spec, role)
            raise InvalidRows(
                f"{count:,} of {census.rows():,} rows have no usable {role} in column {label!r} "
                f"(null, unparseable, not finite or out of range; first: {', '.join(examples)}): {_WAYS_OUT[role]}, "
                'or pass invalid="exclude" to leave them out and count them.',
                column=str(label),
                count=count,
                examples=examples,
            )
    if not census.rows(ledger.SALE, ledger.RETURN):
        raise EmptyData(f"no row can be used: {in_words(census.exclusions('net'))}.")


def _window(census: ledger.Census, ends: tuple[int | None, int | None]) -> periods.Window:
    """Return the observed window: the ends given, else the first and last date in the data."""
    days = census.days()
    if days is None or not census.sales_inside():
        wanted = [periods.to_date(end).isoformat() if end is not None else "…" for end in ends]
        if census.rows(ledger.SALE):
            raise EmptyData(f"no purchase lies in the observed window {wanted[0]} to {wanted[1]}: widen it.")
        raise EmptyData(
            "there is no purchase: every amount is negative. If sales are booked as negative sums, flip their sign."
        )
    first, last = ends
    return periods.Window(days[0] if first is None else first, days[1] if last is None else last)


def _keep_purchases(
    engine: engines.Engine,
    rules: ledger.Rules,
    kept: str,
    exclusions: Exclusions,
) -> None:
    """Keep the tables `purchases` and `customers`, completing the exclusions with what booking returns shows."""
    if rules.booked:
        before = engine.persist(ledger.purchases(engine.table(kept), rules), "sales")
        booked = engine.persist(ledger.book_returns(engine.table(kept), engine.table(before), rules), "booked")
        engine.once("purchases", lambda: ledger.net_of_returns(engine.table(before), engine.table(booked), rules))
        outside = engine.collect(ledger.booked_outside(engine.table(booked), rules)).to_pylist()
        for line in sorted(outside, key=lambda line: line["reason"]):
            reason = (ledger.WITHOUT_PURCHASE, ledger.OF_EARLIER_PURCHASE)[line["reason"]]
            exclusions[reason] = (int(line["rows"]), float(line["amount"]))
        engine.drop(booked)
    else:
        before = "purchases"
        engine.once(before, lambda: ledger.purchases(engine.table(kept), rules))
    if rules.occasion == "order" and rules.history:
        # A row may lie in the window while its order, one purchase on its first day, does not.
        query = ledger.straddling(engine.table(kept), engine.table("purchases"), rules)
        line = engine.collect(query).to_pylist()[0]
        rows, amount = exclusions[ledger.BEFORE]
        exclusions[ledger.BEFORE] = rows + int(line["rows"]), amount + float(line["amount"] or 0.0)
    if before != "purchases":
        engine.drop(before)
    engine.once("customers", lambda: ledger.customers(engine.table("purchases"), rules))
