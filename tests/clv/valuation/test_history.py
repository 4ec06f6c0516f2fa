import datetime as dt
import json
import uuid

import duckdb
import lifetimes
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from lifetimes.utils import calculate_alive_path

import fitted
import handmade
import logs
import loyalty as ly
import sources
from customers import bought
from loyalty.clv.valuation.history import customer_history
from loyalty.clv.valuation.value import CLVModel
from loyalty.errors import InvalidArgument
from naive_rows import EPOCH

THEIRS = {
    "BGNBD": (lifetimes.BetaGeoFitter, ["r", "alpha", "a", "b"]),
    "MBGNBD": (lifetimes.ModifiedBetaGeoFitter, ["r", "alpha", "a", "b"]),
    "ParetoNBD": (lifetimes.ParetoNBDFitter, ["r", "alpha", "s", "beta"]),
}


def theirs(fit):
    """Return lifetimes' model with the parameters of a fit."""
    fitter, names = THEIRS[fit.model]
    model = fitter()
    model.params_ = pd.Series({name: fit.params[name] for name in names})
    return model


def daily(model="ParetoNBD"):
    """A fit in days: lifetimes' path is by day."""
    params = dict(handmade.PARAMS[model])
    params |= {name: 7.0 * params[name] for name in ("alpha", "beta") if name in params}
    return handmade.purchases(model, unit="day", **params)


def filled(series, method):
    """lifetimes calls fillna(method="ffill"), which pandas 3 has no more."""
    assert method == "ffill"
    return series.ffill()


@pytest.mark.parametrize("model", THEIRS)
@pytest.mark.parametrize("customer", [1516, 2332, 4])
def test_lifetimes_draws_the_same_path(model, customer, monkeypatch):
    log = ly.datasets.cdnow_sample()
    fit = daily(model)
    with ly.transactions(log) as tx:
        history = customer_history(tx, customer, fit)
    plain = pd.Series.fillna
    monkeypatch.setattr(
        pd.Series,
        "fillna",
        lambda one, *args, method=None, **more: filled(one, method) if method else plain(one, *args, **more),
    )
    mine = log[log["customer_id"] == customer]
    path = calculate_alive_path(theirs(fit), mine, "date", len(history) - 1)
    path = np.array([float(np.squeeze(one)) for one in path])
    assert history["p_alive"] == pytest.approx(path, rel=1e-6, abs=1e-9)
    assert history.purchases == tuple(sorted({day.date() for day in mine["date"]}))
    days = pd.date_range(mine["date"].min(), "1998-06-30")
    assert history["date"] == [day.date() for day in days]
    assert history["purchases_so_far"] == [mine.loc[mine["date"] <= day, "date"].nunique() for day in days]


@pytest.mark.parametrize("seed", [1, 2, 5, 9, 60])
@pytest.mark.parametrize("unit", ["day", "week", "month"])
def test_random_logs_agree_with_what_was_known_day_by_day(seed, unit):
    case, fit = logs.case(seed), handmade.purchases("ParetoNBD", unit=unit)
    length = {"day": 1.0, "week": 7.0, "month": 365.25 / 12.0}[unit]
    with case.opened() as tx:
        mine = bought(case)
        for customer in sorted(mine)[:6]:
            days = [day for day, _ in mine[customer] if day <= case.naive.last]
            history = customer_history(tx, customer, fit)
            assert history.purchases == tuple(EPOCH + dt.timedelta(days=day) for day in sorted(set(days)))
            assert history["date"] == [EPOCH + dt.timedelta(days=day) for day in range(min(days), case.naive.last + 1)]
            for row in [*history][:: max(1, len(history) // 25)]:
                today = (row["date"] - EPOCH).days
                known = [day for day in days if day <= today]
                told = {"frequency": len(known) - 1, "recency": (max(known) - min(days)) / length,
                        "age": (today - min(days)) / length}  # fmt: skip
                assert row["purchases_so_far"] == len(known)
                assert row["p_alive"] == pytest.approx(fit.p_alive(**told), rel=1e-9)


def test_the_last_day_is_what_the_value_says():
    with ly.transactions(ly.datasets.cdnow_sample(), observed_until="1997-09-30") as tx:
        model = CLVModel(purchases=handmade.purchases(), spend=handmade.spend())
        people = model.score(tx).customers.set_index("customer_id")
        for customer in (4, 1516, 2332):
            history = customer_history(tx, customer, model)
            assert history["p_alive"][-1] == pytest.approx(people.loc[customer, "p_alive"], rel=1e-9)
            assert history["purchases_so_far"][-1] == people.loc[customer, "frequency"] + 1
            assert (history["date"][-1], history.model) == (tx.observed_until, "ParetoNBD")


def test_customers_of_before_the_window_have_their_whole_history():
    log = ly.datasets.cdnow_sample()
    with ly.transactions(log, observed_from="1997-07-01", observed_until="1997-12-31") as tx:
        history = customer_history(tx, 2332, handmade.purchases())
        assert history.purchases[0] == dt.date(1997, 3, 25)
        assert history["date"][-1] == dt.date(1997, 12, 31)
        assert history.note == "purchases before 1997-07-01 count too"
        early = log.groupby("customer_id")["date"].max()
        gone = int(early[early < "1997-07-01"].index[0])  # bought only before the window
        assert customer_history(tx, gone, handmade.purchases()).purchases[-1] < dt.date(1997, 7, 1)
        assert str(history).endswith("Note: purchases before 1997-07-01 count too.")


def test_a_long_history_is_shown_in_steps_with_the_days_that_matter():
    days = [0, 1, 4000, 9001, 9003]
    rows = [(1, dt.date(1990, 1, 1) + dt.timedelta(days=day), 5.0) for day in days]
    with logs.opened(rows, observed_until="2020-01-01") as tx:
        history = customer_history(tx, 1, handmade.purchases())
    found = [(one - dt.date(1990, 1, 1)).days for one in history["date"]]
    assert 1800 < len(found) < 2020
    assert {0, 1, 3999, 4000, 9000, 9001, 9002, 9003, found[-1]} <= set(found)
    assert history["date"][-1] == dt.date(2020, 1, 1)
    assert found == sorted(set(found))
    for row in history:
        assert row["purchases_so_far"] == sum((row["date"] - dt.date(1990, 1, 1)).days >= day for day in days)


def test_a_purchase_on_the_last_day_only():
    with logs.opened([(1, "2024-01-05", 5.0), (2, "2024-01-01", 5.0)]) as tx:
        history = customer_history(tx, 1, fitted.lifetime("NBD", 1, 10))
    assert history.data.to_pylist() == [{"date": dt.date(2024, 1, 5), "purchases_so_far": 1, "p_alive": 1.0}]
    assert str(history) == (
        "Customer 1: 1 purchase on 2024-01-05; still a customer on 2024-01-05 with probability 100.0 %."
    )


def test_orders_of_a_day_are_several_purchases():
    rows = [(1, "2024-01-01", 5.0, "a"), (1, "2024-01-01", 5.0, "b"), (1, "2024-01-03", 5.0, "c")]
    with logs.opened(rows, "order", order="order", occasion="order") as tx:
        history = customer_history(tx, 1, handmade.purchases(unit="day"))
    assert history["purchases_so_far"] == [2, 2, 3]
    assert len(history.purchases) == 2


@sources.every
def test_every_source_gives_the_same(source, tmp_path):
    log = ly.datasets.cdnow_sample().head(900)
    with ly.transactions(log) as tx:
        expected = customer_history(tx, 119, handmade.purchases())
    with sources.opened(source, log, tmp_path) as tx:
        found = customer_history(tx, "119" if source == "csv" else 119, handmade.purchases())
        assert sources.same(found.data.to_pydict(), expected.data.to_pydict())
        assert found.purchases == expected.purchases
        with pytest.raises(InvalidArgument, match="did not buy anything"):
            customer_history(tx, "nobody", handmade.purchases())


@pytest.mark.parametrize(
    "ids", [["ann", "bob"], [1, "1"], [2.0, 3.0], [np.int64(5), np.int64(6)], [("a", 1), ("b", 2)],
            [dt.date(2020, 1, 1), dt.date(2020, 1, 2)], [2**63 + 1, 2**63 + 2]]
)  # fmt: skip
def test_ids_of_any_type(ids):
    frame = pd.DataFrame({"customer_id": pd.Series([*ids, ids[0]], dtype=object), "amount": 5.0,
                          "date": pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"])})  # fmt: skip
    with ly.transactions(frame) as tx:
        assert len(customer_history(tx, ids[0], handmade.purchases()).purchases) == 2
        assert len(customer_history(tx, ids[1], handmade.purchases()).purchases) == 1


@pytest.mark.parametrize(
    ("ids", "asked", "words"),
    [
        (["Ann", "anna", "bob"], "ann", r"There are 3 customers. Did you mean 'Ann' or 'anna'\?"),
        (["Ann", "anna", "bob"], "bo", r"Did you mean 'bob'\?"),
        (["Ann", "anna", "bob"], "zoe", "There are 3 customers, with ids such as 'Ann', 'anna', 'bob'."),
        (["Ann", "anna", "bob"], " ", "with ids such as"),
        (
            [f"c{n:04}" for n in range(500)],
            "c01x",
            r"Did you mean 'c0001' or 'c0010' or 'c0011', of 500 that are like it\?",
        ),
        ([12, 123, 45], "12", "one has the id 12, of type int: pass that"),
        (["12", "123"], 12, "one has the id '12', of type str: pass that"),
        ([12, 123, 45], "13", "with ids such as 12, 123, 45."),
        ([12, 123, 45], None, "customer=None is no id"),
        ([12, 123, 45], float("nan"), "customer=nan is no id"),
        (
            [1, "1", "xy"],
            "x",
            r"customer='x' did not buy anything in this log. There are 3 customers, with ids such as",
        ),
        ([1, 2], [1], r"customer=\[1\] did not buy anything"),
    ],
)
def test_unknown_customers(ids, asked, words):
    frame = pd.DataFrame(
        {"customer_id": pd.Series(ids, dtype=object), "amount": 5.0, "date": pd.Timestamp("2024-01-01")}
    )
    with ly.transactions(frame) as tx, pytest.raises(InvalidArgument, match=words):
        customer_history(tx, asked, handmade.purchases())


def test_whole_numbers_are_looked_for_as_text():
    frame = pd.DataFrame({"customer_id": [1234, 1235, 88], "amount": 5.0, "date": pd.Timestamp("2024-01-01")})
    with ly.transactions(frame) as tx:
        for asked, words in ((12346, "Did you mean 1234 or 1235"), ("1234", "one has the id 1234, of type int")):
            with pytest.raises(InvalidArgument, match=words):
                customer_history(tx, asked, handmade.purchases())


@pytest.mark.parametrize("model", [None, "BGNBD", handmade.spend(), ly.BGNBD()], ids=["none", "name", "spend", "spec"])
def test_other_things_than_fits_are_refused(model):
    with logs.opened([(1, "2024-01-05", 5.0)]) as tx, pytest.raises(InvalidArgument, match="pass a fit of a lifetime"):
        customer_history(tx, 1, model)


def test_it_is_a_table_with_its_purchases():
    with ly.transactions(ly.datasets.cdnow_sample()) as tx:
        history = ly.customer_history(tx, 4, handmade.purchases())
    told = json.loads(json.dumps(history.to_dict(), allow_nan=False))
    assert told["customer"] == 4
    assert told["purchases"] == [day.isoformat() for day in history.purchases]
    assert len(told["rows"]) == len(history) == len(history.to_pandas())
    assert isinstance(history, ly.CustomerHistory)
    assert "customer 4" in history._repr_html_()
    assert history.chart == "customer_history"


def test_who_bought_only_later_is_told():
    rows = [(1, "2024-01-05", 5.0), (2, "2024-01-01", 5.0)]
    with (
        logs.opened(rows, observed_until="2024-01-03") as tx,
        pytest.raises(
            InvalidArgument, match="customer=1 bought for the first time on 2024-01-05, after observed_until=2024-01-03"
        ),
    ):
        customer_history(tx, 1, handmade.purchases())


def test_uuids_are_found_in_columns_of_uuids():
    ids = [uuid.UUID(int=3), uuid.UUID(int=4)]
    frame = pd.DataFrame({"customer_id": ids, "date": pd.to_datetime(["2024-01-01", "2024-01-03"]), "amount": 5.0})
    text = frame.assign(customer_id=frame["customer_id"].astype(str))  # noqa: F841 (read by DuckDB)
    connection = duckdb.connect()
    query = "select customer_id::UUID as customer_id, date, amount from text"
    logs_of = [frame, connection.sql(query)]
    if hasattr(pa, "uuid"):
        stored = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([one.bytes for one in ids], pa.binary(16)))
        logs_of.append(pa.table({"customer_id": stored, "date": frame["date"], "amount": frame["amount"]}))
    for log in logs_of:
        with ly.transactions(log) as tx:
            assert customer_history(tx, ids[0], handmade.purchases()).purchases == (dt.date(2024, 1, 1),)
            with pytest.raises(InvalidArgument, match="did not buy anything"):
                customer_history(tx, uuid.UUID(int=5), handmade.purchases())
