"""The example service: its answers beside the library's in this process, and as a process how it starts and ends."""

import asyncio
import gc
import http.client
import importlib.util
import json
import logging
import math
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import httpx
import pandas as pd
import pytest

import command
import handmade
import loyalty as ly
from loyalty.clv.valuation.one_customer import NUMBERS

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "service.py"

SPEC = importlib.util.spec_from_file_location("service", SCRIPT)
service = importlib.util.module_from_spec(SPEC)
sys.modules["service"] = service  # where pydantic looks for the names in annotations
SPEC.loader.exec_module(service)

ANA = {"id": "ana", "frequency": 2, "recency": 30.43, "age": 38.86, "monetary_value": 22.35}
NEW = {"frequency": 0, "recency": 0, "age": 0}
LOG = pd.DataFrame(
    {
        "client": ["ana", "ana", "ana", "ben", "ben", None, "zoe", "ana"],
        "day": pd.to_datetime(["2024-01-05", "2024-02-01", "2024-02-01", "2024-01-20", "2024-03-02", "2024-03-03",
                               "2024-03-08", "2024-02-20"]),
        "paid": [20.0, 15.0, 5.0, 40.0, 30.0, 9.0, 12.0, -10.0],
    }
)  # fmt: skip
COLUMNS = {"customer": "client", "date": "day", "amount": "paid"}


class Client:
    """Asks an application in this process: without a server, and without Starlette's client, which changes."""

    def __init__(self, app):
        self.app = app

    def request(self, method, url, **options):
        async def ask():
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
                return await client.request(method, url, **options)

        return asyncio.run(ask())

    def get(self, url, **options):
        return self.request("GET", url, **options)

    def post(self, url, **options):
        return self.request("POST", url, **options)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("service")
    handmade.model().save(folder / "model.json")
    LOG.to_parquet(folder / "log.parquet")
    return folder


def arguments(files, *more):
    named = [f"--{name}={label}" for name, label in COLUMNS.items()]
    return [f"--model={files / 'model.json'}", f"--log={files / 'log.parquet'}", *named, *more]


@pytest.fixture(scope="module")
def served(files):
    return service.Service.prepared(service.options_of(arguments(files)))


@pytest.fixture(scope="module")
def client(served):
    return Client(service.create(served))


@pytest.fixture(scope="module")
def model(files):
    return ly.load(files / "model.json")


def problem(answer, status, error):
    """Return the problem that an answer tells, which has the documented shape."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    told = answer.json()
    assert list(told) == ["error", "message", "details", "request_id"]
    assert told["error"] == error
    assert all(list(one) == ["where", "message"] for one in told["details"])
    assert told["request_id"] == answer.headers["x-request-id"]
    return told


# ------------------------------------------------------------------------------------------------------------- answers


@pytest.mark.parametrize("many", [1, 3])
@pytest.mark.parametrize(
    "terms", [{}, {"horizon": "26w", "margin": 0.3}, {"interval": "predictive", "confidence": 0.8}]
)
def test_scores_are_those_of_the_model(client, model, terms, many):
    people = [{**ANA, "id": place, "age": 38.86 + place} for place in range(many)]
    answer = client.post("/score", json={"customers": people, "terms": terms})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert [one["id"] for one in told["customers"]] == list(range(many))
    for row, one in zip(told["customers"], people, strict=True):
        history = {name: value for name, value in one.items() if name != "id"}
        assert {name: row[name] for name in history} == history
        expected = model.score_customer(**history, **terms)
        rough = 1e-3 if terms.get("interval") else 1e-7
        assert [row[name] for name in NUMBERS] == pytest.approx([getattr(expected, n) for n in NUMBERS], rel=rough)
    assert told["terms"] == {**model.terms.told(), **terms, **({"horizon": "182d"} if "horizon" in terms else {})}
    assert told["note"] == ""
    assert told["transactions"] is None


def test_dates_are_counted_in_the_unit_of_the_model(client):
    given = {"id": 7, "first_purchase": "2024-01-05", "last_purchase": "2024-02-02", "purchases": 3, "repeat_spend": 90}
    body = {"customers": [given, {**NEW, "id": "x"}], "observed_until": "2024-03-01"}
    ben, new = client.post("/score", json=body).json()["customers"]
    assert [ben[name] for name in ("id", "frequency", "recency", "age", "monetary_value")] == [7, 2, 4, 8, 45]
    same = {"id": 7, "frequency": 2, "recency": 4, "age": 8, "monetary_value": 45}
    assert client.post("/score", json={"customers": [same]}).json()["customers"] == [ben]
    assert (new["id"], new["monetary_value"], new["p_alive"]) == ("x", None, 1)
    once = {"first_purchase": "2024-01-05", "last_purchase": "2024-01-05", "purchases": 1, "repeat_spend": 0}
    (told,) = client.post("/score", json={"customers": [once], "observed_until": "2024-01-05"}).json()["customers"]
    assert [told[name] for name in ("frequency", "recency", "age", "monetary_value")] == [0, 0, 0, None]


def test_what_is_not_defined_is_null(client):
    answer = client.post("/score", json={"customers": [ANA], "terms": {"horizon": "inf"}}).json()
    assert answer["customers"][0]["expected_purchases"] is None
    assert answer["customers"][0]["clv"] > 0
    assert answer["terms"]["horizon"] is None


def transactions(log=LOG):
    known = log.dropna()
    return [
        {"customer": row.client, "date": row.day.date().isoformat(), "amount": row.paid} for row in known.itertuples()
    ]


def test_transactions_are_scored_as_the_library_does(client, model):
    answer = client.post("/score/transactions", json={"transactions": transactions(), "observed_until": "2024-03-05"})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    with ly.transactions(LOG.dropna(), **COLUMNS, observed_until="2024-03-05") as tx:
        table, read = model.score(tx).customers.set_index("client"), tx.to_dict()
    assert told["transactions"] == json.loads(json.dumps(read))
    assert read["exclusions"]["after_observed_until"]["rows"] == 1
    assert {one["id"] for one in told["customers"]} == set(table.index) == {"ana", "ben"}
    for one in told["customers"]:
        expected = table.loc[one["id"]]
        assert [one[name] for name in NUMBERS] == pytest.approx(list(expected[list(NUMBERS)]), rel=1e-5)
        assert one["monetary_value"] == expected["monetary_value"]  # the return is taken off


def test_ids_of_two_kinds_are_two_customers(client):
    rows = [{"customer": name, "date": "2024-01-05", "amount": 1} for name in ("1", 1, 2**62)]
    answer = client.post("/score/transactions", json={"transactions": rows, "observed_until": "2024-03-05"})
    assert sorted(map(repr, (one["id"] for one in answer.json()["customers"]))) == ["'1'", "1", repr(2**62)]


@pytest.mark.parametrize("ids", [[-(2**63), 1, 2, 2**63 - 1], ["", "x", "a\0b", "a", "é", "e\u0301"]])
def test_ids_come_back_as_they_are(client, ids):
    rows = [{"customer": one, "date": "2024-01-05", "amount": 1} for one in ids]
    told = client.post("/score/transactions", json={"transactions": rows, "observed_until": "2024-03-05"}).json()
    assert {one["id"] for one in told["customers"]} == set(ids) - {""}  # a blank one is a guest's
    people = [{**NEW, "id": one} for one in ids]
    assert [one["id"] for one in client.post("/score", json={"customers": people}).json()["customers"]] == ids


def test_metrics_are_the_overview(client):
    with ly.transactions(LOG, **COLUMNS) as tx:
        expected = ly.overview(tx).to_dict()
    told = client.get("/metrics").json()
    assert told == json.loads(json.dumps({"as_of": "2024-03-08", **expected}, allow_nan=False))
    assert told["transactions"]["exclusions"]["no_customer"]["rows"] == 1


def test_health_names_the_model(client, files):
    told = client.get("/health").json()
    assert told.pop("digest") == json.loads((files / "model.json").read_text())["digest"]
    assert told == {
        "status": "ok", "purchases": "ParetoNBD", "spend": "GammaGamma", "unit": "week", "fitted_until": None,
        "metrics_as_of": "2024-03-08",
    }  # fmt: skip


def test_many_at_once_agree_with_one(client):
    bodies = [{"customers": [{**ANA, "age": 39.0 + place + seed} for place in range(30)]} for seed in range(8)]
    for seed, body in enumerate(bodies):
        body["terms"] = {"interval": "predictive" if seed % 2 else "confidence"}
    alone = [client.post("/score", json=body).json() for body in bodies]

    async def together():
        transport = httpx.ASGITransport(client.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as asking:
            return await asyncio.gather(*(asking.post("/score", json=bodies[place % 8]) for place in range(48)))

    assert [answer.json() for answer in asyncio.run(together())] == alone * 6


def test_the_description_is_right(client):
    described = client.get("/openapi.json").json()
    assert set(described["paths"]) == {"/score", "/score/transactions", "/metrics", "/health"}
    assert "HTTPValidationError" not in described["components"]["schemas"]
    for path, methods in described["paths"].items():
        for method, told in methods.items():
            for status in ("413", "422", "500"):
                assert told["responses"][status]["content"]["application/json"]["schema"]["$ref"].endswith("/Problem")
            if method == "post":
                schema = described["components"]["schemas"]["Histories" if path == "/score" else "Log"]
                body = {name: told["examples"][0] for name, told in schema["properties"].items() if "examples" in told}
                body |= {"observed_until": "1998-06-30"}
                assert client.post(path, json=body).status_code == 200


# ------------------------------------------------------------------------------------------------------------ refusals


def one(**changed):
    return {"customers": [{**ANA, **changed}]}


DATED = {"first_purchase": "2024-01-05", "last_purchase": "2024-02-02", "purchases": 3, "repeat_spend": 90}


def dated(**changed):
    return {"customers": [{**DATED, **changed}], "observed_until": "2024-03-01"}


INVALID = {
    "a negative recency": (one(recency=-1), "body.customers.0.recency"),
    "a negative count": (one(frequency=-1), "body.customers.0.frequency"),
    "half a purchase": (one(frequency=1.5), "body.customers.0.frequency"),
    "too many purchases": (one(frequency=1e9), "body.customers.0.frequency"),
    "a number too large": (one(age=1e300), "body.customers.0.age"),
    "a number as text": (one(age="38"), "body.customers.0.age"),
    "a truth value": (one(frequency=True), "body.customers.0.frequency"),
    "a long id": (one(id="x" * 201), "body.customers.0.id"),
    "an id that is none": (one(id=1.5), "body.customers.0.id"),
    "a field that is not known": (one(T=3), "body.customers.0.T"),
    "a field that is missing": ({"customers": [{"frequency": 0, "recency": 0}]}, "body.customers.0.age"),
    "a customer that is none": ({"customers": [5]}, "body.customers.0"),
    "nobody": ({"customers": []}, "body.customers"),
    "too many": ({"customers": [NEW] * 1001}, "body.customers"),
    "no customers": ({}, "body.customers"),
    "another body": ([1], "body"),
    "a term that is not known": ({**one(), "terms": {"margni": 0.3}}, "body.terms.margni"),
    "a horizon of nothing": ({**one(), "terms": {"horizon": "0d"}}, "body.terms.horizon"),
    "a level": ({**one(), "terms": {"confidence": 1}}, "body.terms.confidence"),
    "a day as a number": ({"customers": [{**DATED, "first_purchase": 0}]}, "body.customers.0.first_purchase"),
    "a day that is none": ({"customers": [{**DATED, "last_purchase": "2024-02-30"}]}, "body.customers.0.last_purchase"),
    "no last day": ({"customers": [DATED]}, "body.observed_until"),
    "a day too late": ({"customers": [NEW, DATED], "observed_until": "2024-02-01"}, "body.customers.1.last_purchase"),
    "days in no order": (dated(first_purchase="2024-02-03"), "body.customers.0.last_purchase"),
    "one purchase on two days": (dated(purchases=1, repeat_spend=0), "body.customers.0.purchases"),
    "money for nothing": (dated(purchases=1, last_purchase="2024-01-05"), "body.customers.0.repeat_spend"),
}


@pytest.mark.parametrize("case", INVALID)
def test_what_a_request_may_hold(client, case):
    body, where = INVALID[case]
    told = problem(client.post("/score", json=body), 422, "invalid")
    assert told["details"][0]["where"] == where
    for word in ("constrained", "Value error", "pattern", "^", "multiple of", "dictionary"):  # of pydantic's own
        assert word not in json.dumps(told)
    assert told["message"] == f"Mistakes in the request: {len(told['details'])}."


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"customers": [NEW, DATED]}, "Field required: customers.1 is given in dates"),
        (dated(last_purchase="2024-04-01"), "lies after observed_until"),
        (dated(first_purchase="2024-02-30"), "a day of the calendar as YYYY-MM-DD"),
        (one(id=True), "text of at most 200 characters, or a whole number"),
        (one(frequency=0.5), "Input should be a whole number"),
        ({**one(), "terms": {"horizon": "a year"}}, "365d, 52w, inf"),
    ],
)
def test_mistakes_in_words(client, body, words):
    assert words in problem(client.post("/score", json=body), 422, "invalid")["details"][0]["message"]


@pytest.mark.parametrize("changed", [{"last_purchase": "2024-01-05"}, {"purchases": 90}])
def test_many_purchases_on_a_day_can_be_orders(client, changed):
    assert client.post("/score", json=dated(**changed)).status_code == 200


def test_a_mean_of_spend_has_no_predictive_intervals(model):
    plain = ly.CLVModel(purchases=model.purchases, spend=SimpleNamespace(model="MeanSpend"), terms=model.terms)
    asked = service.Histories(**one(), terms={"interval": "predictive"})
    with pytest.raises(service.LoyaltyError, match="knows the mean of spend alone"):
        service.Service(plain, "", None).score(asked)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (one(recency=50), "recency beyond age"),
        (one(frequency=0), "recency above 0 without a repeat purchase"),
        (one(monetary_value=None), "give the mean spend of the repeat purchases"),
        ({**one(), "terms": {"interval": "predictive", "service_cost": 3}}, 'ask with "interval": "confidence"'),
        ({**one(), "terms": {"horizon": "inf", "annual_discount_rate": 0}}, "has no limit without a positive rate"),
        ({"customers": [NEW] * 101, "terms": {"interval": "predictive"}}, "101 customers with predictive intervals"),
    ],
)
def test_what_the_library_refuses(client, body, words):
    told = problem(client.post("/score", json=body), 422, "invalid")["message"]
    assert words in told
    assert "total_predictive" not in told


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"customer": "1", "date": "2024-01-05", "amount": -1}], "there is no purchase"),
        ([{"customer": "1", "date": "2025-01-05", "amount": 1}], "no purchase lies in the observed window"),
        ([{"customer": " ", "date": "2024-01-05", "amount": 1}], "no_customer"),
    ],
)
def test_logs_that_cannot_be_read(client, rows, words):
    answer = client.post("/score/transactions", json={"transactions": rows, "observed_until": "2024-03-05"})
    assert words in problem(answer, 422, "invalid")["message"]


@pytest.mark.parametrize(
    ("content", "status", "error"),
    [
        (b'{"customers": [', 400, "not_json"),
        (b"\xff\xfe", 400, "not_json"),
        (b"[" * 200_000, 400, "not_json"),
        (b'{"customers": [{"frequency": 0, "recency": 0, "age": 1' + b"0" * 5000 + b"}]}", 400, "not_json"),
        (b"", 422, "invalid"),
        (b'{"customers": [{"frequency": 0, "recency": 0, "age": NaN}]}', 422, "invalid"),
        (b'{"customers": [{"frequency": 0, "recency": 0, "age": 1e999}]}', 422, "invalid"),
        (b'{"customers": [{"frequency": NaN, "recency": 0, "age": 1}]}', 422, "invalid"),
        (b'{"customers": [{"frequency": 0, "recency": 0, "age": 1}], "terms": {"confidence": NaN}}', 422, "invalid"),
        (b'{"customers": [{"frequency": 0, "recency": 0, "age": 1}], "terms": {"margin": Infinity}}', 422, "invalid"),
        (
            b'{"customers": [{"frequency": 0, "recency": 0, "age": 1}], "terms": {"annual_discount_rate": NaN}}',
            422,
            "invalid",
        ),
        (rb'{"customers": [{"id": "\ud800", "\ud800": 1, "frequency": 0, "recency": 0, "age": 1}]}', 422, "invalid"),
        (b'{"' + b"x" * 100_000 + b'": 1}', 422, "invalid"),
        (b" " * 262_145, 413, "too_large"),
    ],
)
def test_bodies_that_are_no_request(client, content, status, error):
    answer = client.post("/score", content=content, headers={"content-type": "application/json"})
    problem(answer, status, error)
    assert len(answer.content) < 1000
    assert "retry-after" not in answer.headers


def test_mistakes_are_counted_and_the_first_are_shown(client):
    told = problem(client.post("/score", json={"customers": [{}] * 1000}), 422, "invalid")
    assert told["message"] == "Mistakes in the request: 3,000."
    assert len(told["details"]) == service.SHOWN


def test_a_body_in_chunks_is_limited_too(client):
    sent = []

    async def chunks():
        for _ in range(1000):
            sent.append(1)
            yield b" " * 10_000

    problem(client.post("/score", content=chunks()), 413, "too_large")
    most = service.MOST_BYTES + service.MOST_DRAINED
    assert most <= len(sent) * 10_000 <= most + 20_000  # what shows that it is too much, and what is thrown away


def test_routes_and_methods_that_are_not_there(client, served):
    problem(client.get("/nothing%0Ahere"), 404, "not_found")
    problem(client.get("/health/"), 404, "not_found")
    answer = client.request("DELETE", "/score")
    problem(answer, 405, "not_allowed")
    assert answer.headers["allow"] == "POST"
    bare = Client(service.create(service.Service(served.model, served.digest, None)))
    assert "without a log" in problem(bare.get("/metrics"), 404, "not_found")["message"]
    assert bare.get("/health").json()["metrics_as_of"] is None


def test_too_many_at_once(client, monkeypatch):
    monkeypatch.setattr(service, "MOST_AT_ONCE", 0)
    answer = client.get("/metrics")
    problem(answer, 503, "busy")
    assert answer.headers["retry-after"] == "1"
    assert client.get("/health").status_code == 200


def test_health_is_answered_among_as_many_as_there_may_be(served, monkeypatch):
    """Those that are being answered fill all places, those that ask for the health take none."""
    monkeypatch.setattr(service, "MOST_AT_ONCE", 2)
    app, begun, go = service.create(served), asyncio.Semaphore(0), asyncio.Event()

    async def slowly():
        begun.release()
        await go.wait()
        yield b"{}"

    async def ask():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            held = [asyncio.create_task(client.post("/score", content=slowly())) for _ in range(2)]
            for _ in held:
                await begun.acquire()
            assert (await client.get("/metrics")).status_code == 503
            found = [(await client.get("/health")).status_code for _ in range(5)]
            go.set()
            return found, [(await one_).status_code for one_ in held], (await client.get("/metrics")).status_code

    assert asyncio.run(ask()) == ([200] * 5, [422] * 2, 200)


def test_scores_take_turns_and_go_past_predictions(served, monkeypatch):
    """Quick ones are computed one at a time, in the order they came; those that may take long hold none of them up."""
    score, quick, slow = service.Service.score, [], threading.Event()

    def watched(self, asked):
        if asked.terms.interval == "predictive":
            assert slow.wait(20)
            return score(self, asked)
        quick.append(asked.customers[0].id)
        time.sleep(0.02)
        assert quick[-1] == asked.customers[0].id  # nobody began meanwhile
        return score(self, asked)

    monkeypatch.setattr(service.Service, "score", watched)
    app = service.create(served)

    async def ask():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:

            def post(one_, **terms):
                return asyncio.create_task(client.post("/score", json={"customers": [one_], "terms": terms}))

            long = [post(ANA, interval="predictive") for _ in range(service.PREDICTED_AT_ONCE + 2)]
            await asyncio.sleep(0.05)
            found = await asyncio.gather(*(post({**ANA, "id": str(number)}) for number in range(6)))
            assert not any(one_.done() for one_ in long)
            slow.set()
            return [one_.status_code for one_ in [*found, *await asyncio.gather(*long)]]

    assert asyncio.run(ask()) == [200] * (6 + service.PREDICTED_AT_ONCE + 2)
    assert sorted(quick) == [str(number) for number in range(6)]


def test_a_score_that_fails_lets_the_next_one_go(client, monkeypatch):
    monkeypatch.setattr(service.Service, "score", lambda *_: 1 / 0)
    assert client.post("/score", json={"customers": [ANA]}).status_code == 500
    monkeypatch.undo()
    assert client.post("/score", json={"customers": [ANA]}).status_code == 200


def test_what_is_there_when_serving_begins_is_kept_out_of_the_search_for_garbage(served):
    app = service.create(served)

    async def serve():
        async with app.router.lifespan_context(app):
            return gc.get_freeze_count()

    assert asyncio.run(serve()) > 0
    assert gc.get_freeze_count() == 0


def refused_while_sending(parts):
    """Return what happens, in order, when a body of such parts is too large."""
    seen, coming = [], list(parts)

    async def receive():
        seen.append("read")
        return {"type": "http.request", "body": coming.pop(0), "more_body": bool(coming)}

    async def send(message):
        seen.append("end" if message["type"].endswith("body") and not message.get("more_body") else "told")

    headers = [(b"content-length", b"%d" % sum(map(len, parts)))]
    scope = {"type": "http", "method": "POST", "path": "/score", "headers": headers}
    asyncio.run(service.Gate(None)(scope, receive, send))
    return seen


def test_a_client_that_sends_too_much_can_read_why():
    """It is told at once, and the connection is closed when it has sent all, or far too much."""
    part = b" " * 2**20
    assert refused_while_sending([part] * 3) == ["told", "told", "read", "read", "read", "end"]
    assert refused_while_sending([part] * 50) == ["told", "told", *["read"] * 4, "end"]


def test_a_body_that_does_not_come(monkeypatch):
    monkeypatch.setattr(service, "SECONDS", 0.05)
    monkeypatch.setattr(service, "LINGER", 0.05)
    sent = []

    async def never():
        await asyncio.sleep(60)

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/score", "headers": []}
    asyncio.run(service.Gate(None)(scope, never, send))
    assert sent[0]["status"] == 408
    assert json.loads(sent[1]["body"])["error"] == "too_slow"


def test_an_error_that_nobody_expected_tells_nothing_of_customers(client, monkeypatch, caplog):
    def broken(_self, people, _terms):
        raise RuntimeError(people[0]["id"])

    monkeypatch.setattr(service.Service, "_scored", broken)
    with caplog.at_level(logging.INFO):
        told = problem(client.post("/score", json=one(id="ana@example.org")), 500, "internal")
    assert "ana" not in json.dumps(told)
    assert "ana@" not in caplog.text
    assert f"{told['request_id']} RuntimeError" in caplog.text
    assert "in broken" in caplog.text


def test_requests_are_logged_without_customers(client, caplog):
    with caplog.at_level(logging.INFO, logger="loyalty.service"):
        answer = client.post("/score?who=ana%40example.org", json=one(id="bob"), headers={"x-request-id": "abc-1"})
        client.get("/ana@example.org")
    assert answer.headers["x-request-id"] == "abc-1"
    lines = [record.getMessage() for record in caplog.records if record.name == "loyalty.service"]
    assert re.fullmatch(r"abc-1 POST /score 200 \d+\.\d ms", lines[0])
    assert re.fullmatch(r"[0-9a-f]{32} GET - 404 \d+\.\d ms", lines[1])


@pytest.mark.parametrize("given", ["a b", "x" * 65, "", "é"])
def test_request_ids_that_are_not_taken_over(client, given):
    answer = client.get("/health", headers={"x-request-id": given.encode()})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])


# --------------------------------------------------------------------------------------------------------------- start


def test_options(monkeypatch):
    monkeypatch.setenv("LOYALTY_PORT", "9000")
    monkeypatch.setenv("LOYALTY_MODEL", "env.json")
    options = service.options_of(["--model=given.json"])
    assert (options.model, options.port, options.host, options.workers) == ("given.json", 9000, "127.0.0.1", 1)
    monkeypatch.setenv("LOYALTY_OBSERVED_UNTIL", "2024-03-01")
    options = service.options_of(["--timezone=Europe/Madrid", "--order=basket", "--returns=drop"])
    assert (options.timezone, options.order, options.returns) == ("Europe/Madrid", "basket", "drop")
    assert options.observed_until == "2024-03-01"


@pytest.mark.parametrize("given", ["--port=many", "--port=99999", "--port=-1", "--workers=0", "--workers=-2"])
def test_numbers_that_cannot_be(given, capsys):
    with pytest.raises(SystemExit, match="2"):
        service.options_of([given])
    name, value = given.split("=")
    limits = "0 to 65535" if name == "--port" else "1 to 1000"
    assert capsys.readouterr().err == f"service: argument {name}: '{value}' is no whole number from {limits}\n"


def test_a_log_is_read_as_its_options_say(files, tmp_path):
    """Its times bear a zone, a return names its order, and its last day is not the one that counts."""
    times = pd.to_datetime(["2024-01-05T23:30Z", "2024-01-20T10:00Z", "2024-02-01T10:00Z", "2024-03-08T10:00Z"])
    pd.DataFrame(
        {"client": [1, 1, 1, 1], "day": times, "paid": [20.0, 30.0, -5.0, 9.0], "basket": ["a", "b", "a", "c"]}
    ).to_parquet(tmp_path / "log.parquet")
    given = [*arguments(files), f"--log={tmp_path / 'log.parquet'}"]
    with pytest.raises(service.LoyaltyError, match="timezone"):
        service.Service.prepared(service.options_of(given))
    given += ["--timezone=Europe/Madrid", "--order=basket", "--observed-until=2024-02-29"]
    told = service.Service.prepared(service.options_of(given)).metrics
    assert told.as_of.isoformat() == "2024-02-29"
    assert told.transactions["observed_from"] == "2024-01-06"  # in Madrid it was past midnight
    assert told.transactions["exclusions"]["after_observed_until"]["rows"] == 1
    for more, words in (("--returns=error", 'returns="error"'), ("--order=bag", "order='bag'")):
        with pytest.raises(service.LoyaltyError, match=words):
            service.Service.prepared(service.options_of([*given, more]))
    times = [*times[:3], None]
    pd.DataFrame({"client": 1, "day": times, "paid": 5.0, "basket": "a"}).to_parquet(tmp_path / "log.parquet")
    with pytest.raises(service.LoyaltyError, match="no usable date") as refused:
        service.Service.prepared(service.options_of(given))
    assert "pass --invalid exclude to leave them out" in service.in_options(str(refused.value))
    told = service.Service.prepared(service.options_of([*given, "--invalid=exclude"])).metrics
    assert told.transactions["exclusions"]["invalid_date"]["rows"] == 1


def edited(text):
    return text.replace('"margin": 1.0', '"margin": 2.0')


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        (lambda _: "{", "is no saved model"),
        (edited, "was changed or damaged"),
        (lambda _: "\x80\x04\x95", "is no saved model"),  # as a pickle begins
    ],
)
def test_models_that_cannot_be_served(files, tmp_path, content, words):
    path = tmp_path / "model.json"
    if content is not None:
        path.write_text(content((files / "model.json").read_text()), encoding="latin-1")
    with pytest.raises(SystemExit) as caught:
        service.main([f"--model={path}"])
    assert caught.value.code.startswith("service: ")
    assert words in caught.value.code


def test_what_else_cannot_be_served(files, tmp_path):
    handmade.purchases().save(tmp_path / "fit.json")
    plain = handmade.model()
    terms = plain.terms.changed({"margin": "share"})
    ly.CLVModel(purchases=plain.purchases, spend=plain.spend, terms=terms).save(tmp_path / "column.json")
    for arguments_, words in (
        ([], "which model?"),
        ([f"--model={tmp_path / 'fit.json'}"], "holds a LifetimeFit: save what ly.fit_clv returns"),
        ([f"--model={tmp_path / 'column.json'}"], "one customer has one margin"),
        ([f"--model={files / 'model.json'}", f"--log={files / 'none.parquet'}"], "none.parquet"),
        ([f"--model={files / 'model.json'}", f"--log={files / 'log.parquet'}"], "customer='customer_id'"),
    ):
        with pytest.raises(SystemExit) as caught:
            service.main(arguments_)
        assert words in caught.value.code


# --------------------------------------------------------------------------------------------------------- as a process


def answers(address, seconds=90):
    """Wait until the service answers: of several workers the port is known before one of them listens."""
    until = time.monotonic() + seconds
    while True:
        with suppress(httpx.TransportError):
            assert httpx.get(f"{address}/health").status_code == 200
            return
        assert time.monotonic() < until
        time.sleep(0.05)


@contextmanager
def running(*arguments_):
    """Start the service on a free port; give the process and its address."""
    process = subprocess.Popen(
        [*command.PYTHON, str(SCRIPT), "--port=0", *arguments_],
        env=command.environment(), stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        seen, found = [], None
        while not found:
            seen.append(process.stderr.readline())
            assert seen[-1], f"it did not start: {''.join(seen)}"
            found = re.search(r"Uvicorn running on (http://127\.0\.0\.1:\d+)", seen[-1])
        answers(found[1])
        yield process, found[1]
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its workers too
        process.communicate()


def ended(process, by):
    process.send_signal(by)
    _, said = process.communicate(timeout=60)
    return process.returncode, said


@pytest.mark.slow
def test_a_process_that_is_told_to_end_finishes_what_it_began(files):
    body = json.dumps(one()).encode()
    with running(*arguments(files)) as (process, address):
        assert httpx.get(f"{address}/metrics").json()["as_of"] == "2024-03-08"
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as line:
            line.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                         b"Content-Length: %d\r\n\r\n" % len(body) + body[:10])  # fmt: skip
            while httpx.get(f"{address}/health").status_code != 200:  # it has the request by now
                pass
            process.send_signal(signal.SIGTERM)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=0.7)
            line.sendall(body[10:])
            answer = b""
            while part := line.recv(65536):
                answer += part
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert b'"id":"ana"' in answer
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0
        assert "POST /score 200" in said
        assert "Traceback" not in said
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{address}/health")


@pytest.mark.slow
def test_a_long_upload_is_cut_off(files):
    with running(f"--model={files / 'model.json'}") as (process, address):
        sent = []

        def chunks():
            for _ in range(10_000):
                sent.append(1)
                yield b" " * 100_000

        with suppress(httpx.WriteError):  # the connection was closed while this end was still sending
            problem(httpx.post(f"{address}/score", content=chunks(), timeout=60), 413, "too_large")
        assert len(sent) < 5_000
        problem(httpx.post(f"{address}/score", content=b" " * 300_000), 413, "too_large")
        line = http.client.HTTPConnection(address.removeprefix("http://"), timeout=30)
        line.request("POST", "/score", b" " * 3_000_000)  # it sends all before it reads
        told = line.getresponse()
        assert (told.status, json.loads(told.read())["error"]) == (413, "too_large")
        line.close()
        assert httpx.get(f"{address}/health").status_code == 200
        code, said = ended(process, signal.SIGINT)
    assert code == 0
    assert said.count("POST - 413") == 3
    assert "Traceback" not in said


@pytest.mark.slow
def test_two_workers(files):
    with running(*arguments(files, "--workers=2")) as (process, address):
        with ThreadPoolExecutor(8) as pool, httpx.Client(timeout=30) as client:
            told = list(pool.map(lambda _: client.post(f"{address}/score", json=one()).json(), range(40)))
        assert all(answer == told[0] for answer in told)
        assert math.isfinite(told[0]["customers"][0]["clv"])
        code, said = ended(process, signal.SIGTERM)
    assert code == 0
    assert said.count("POST /score 200") == 40
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_start_that_fails_ends_with_one_line(tmp_path):
    done = subprocess.run(
        [*command.PYTHON, str(SCRIPT), f"--model={tmp_path / 'none.json'}", "--workers=2"],
        env=command.environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(r"service: .*none\.json' cannot be read: No such file.*\n", done.stderr)


SHOWN = re.compile(r"^```console\n\$ (curl .*?)\n(\{.*?)\n```$", re.MULTILINE | re.DOTALL)


def alike(shown, found):
    """Return whether an answer is the one shown, in which an ellipsis stands for what is left out."""
    parts = [re.escape(re.sub(r"\s+", "", part)) for part in shown.split("…")]
    return re.fullmatch(".*".join(parts), re.sub(r"\s+", "", found)) is not None


@pytest.mark.slow
def test_the_examples_of_the_documentation(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    page = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
    examples = SHOWN.findall(page)
    assert len(examples) >= 5
    with running("--demo") as (process, address):
        for line, shown in examples:
            asked = line.replace("localhost:8000", address.removeprefix("http://"))
            found = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True, timeout=30).stdout
            found = re.sub(r'"request_id":"[0-9a-f]{32}"', '"request_id":"…"', found)
            assert alike(shown, found), f"{line}\n{found}"
        assert ended(process, signal.SIGTERM)[0] == 0
    assert list(tmp_path.iterdir()) == []  # the model and the log that it wrote are gone
