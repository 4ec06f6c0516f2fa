"""Scores customers over HTTP: POST /score with a saved model, GET /metrics of a log, GET /health.

python examples/service.py --demo                                # a model fitted on CDNOW, and its log
python examples/service.py --model model.json --log log.parquet  # what fit_clv(...).save wrote, and a log of yours

It needs `pip install 'loyalty-analytics[service]'`, listens on 127.0.0.1:8000 and asks nobody who they are: put it
behind something that does. docs/service.md says the rest.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import gc
import json
import logging
import os
import re
import signal
import socket
import sys
import tempfile
import time
import traceback
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import anyio
import pandas as pd
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema
from pydantic_core import PydanticCustomError
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException as AnyHTTPException
from uvicorn.protocols.http.h11_impl import H11Protocol

import loyalty as ly
from loyalty.errors import LoyaltyError

MOST_BYTES = 262_144  # of a request's body
MOST_CUSTOMERS, MOST_ROWS = 1_000, 2_000  # of a request
MOST_PREDICTED = 100  # customers with predictive intervals, which take some milliseconds each
MOST_AT_ONCE = 64  # requests; whoever comes then is asked to come again
PREDICTED_AT_ONCE = 2  # requests for predictive intervals, which may take seconds: others go past them
LOGS_AT_ONCE = 2  # logs that are summarised: each opens a database in memory, with threads of its own
SECONDS = 10  # for a body to come in, and for what was begun when the service is told to end
LINGER, MOST_DRAINED = 1, 4_194_304  # seconds, and bytes, that a refused body is read on for, and thrown away
PATIENCE = 60  # seconds until a worker that does not answer is started again
SHOWN = 10  # mistakes that an answer lists
PLAINLY = {  # what pydantic calls a mistake, where its own words are for programmers
    "model_attributes_type": "Input should be a JSON object (a body: sent with Content-Type: application/json)",
    "multiple_of": "Input should be a whole number",
}
NO_DISTRIBUTION = "MeanSpend"  # the model of spend that does not say how purchases differ

LOG = logging.getLogger("loyalty.service")

# ---------------------------------------------------------------------------------------------- what is asked, answered


def _day(given: Any) -> dt.date:
    """Return a day written as 2024-01-31; a number would be taken for seconds since 1970."""
    if isinstance(given, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", given, re.ASCII):
        with suppress(ValueError):  # there is no 30 February
            return dt.date.fromisoformat(given)
    raise PydanticCustomError("day", "Input should be a day of the calendar as YYYY-MM-DD")


def _id(given: Any) -> str | int:
    """Return an id; one rule for both kinds, as pydantic tells the mistakes of each, under names of its own."""
    if isinstance(given, str) and len(given) <= 200:
        return given
    if isinstance(given, int) and not isinstance(given, bool) and -(2**63) <= given < 2**63:
        return given
    raise PydanticCustomError("id", "Input should be text of at most 200 characters, or a whole number of 64 bits")


def _span(given: Any) -> str:
    """Return a horizon; pydantic would tell the pattern itself."""
    if isinstance(given, str) and re.fullmatch(SPAN, given):
        return given
    raise PydanticCustomError("span", "Input should be days, weeks or inf as text: 365d, 52w, inf")


def _kind(customer: Any) -> str:
    """Return how a customer is given, so that only mistakes of that way are told."""
    return "dates" if isinstance(customer, dict) and any("purchase" in name for name in customer) else "numbers"


Count = Annotated[float, Field(strict=True, ge=0, le=10_000, multiple_of=1)]
Time = Annotated[float, Field(strict=True, ge=0, le=1_000_000)]
Money = Annotated[float, Field(strict=True, ge=-1e12, le=1e12)]
Day = Annotated[dt.date, BeforeValidator(_day)]
SPAN = r"([1-9][0-9]{0,4}[dw]|inf)"
Span = Annotated[str, BeforeValidator(_span), WithJsonSchema({"type": "string", "pattern": f"^{SPAN}$"})]
ID = {"anyOf": [{"type": "string", "maxLength": 200}, {"type": "integer"}]}
Id = Annotated[str | int, BeforeValidator(_id), WithJsonSchema(ID)]
Number = int | float | None  # null where it is not defined


class Asked(BaseModel):
    """What a request holds. A field that is not known is refused: it may be a known one misspelled."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Terms(Asked):
    """How far ahead customers are valued, and at what margin and costs; what is left out is as saved with the model."""

    horizon: Span | None = Field(None, examples=["365d", "52w", "inf"])
    margin: Money | None = Field(None, description="share of spend that is earned, such as 0.3")
    annual_discount_rate: float | None = Field(None, strict=True, ge=0, le=10)
    service_cost: Money | None = Field(None, description="money per year that a customer costs")
    interval: Literal["confidence", "predictive"] | None = None
    confidence: float | None = Field(None, strict=True, gt=0, lt=1)


class Numbers(Asked):
    """A customer's history in numbers, times in the unit of the model (GET /health says which)."""

    id: Id | None = Field(None, description="comes back as it is")
    frequency: Count = Field(description="repeat purchases: all but the first")
    recency: Time = Field(description="from the first purchase to the last")
    age: Time = Field(description="from the first purchase to the last day that is known")
    monetary_value: Money | None = Field(None, description="mean spend of the repeat purchases, where there are any")

    def numbers(self, _days: float, _until: dt.date | None) -> dict[str, Any]:
        return self.model_dump()


class Dates(Asked):
    """A customer's history in dates and sums, as a shop's database has it; `observed_until` is needed beside it."""

    id: Id | None = Field(None, description="comes back as it is")
    first_purchase: Day
    last_purchase: Day
    purchases: Count = Field(ge=1, description="all of them, the first included")
    repeat_spend: Money = Field(description="what all purchases but the first cost together")

    def mistakes(self, until: dt.date) -> Iterator[tuple[str, str]]:
        """Yield fields and why they can never be. Many purchases on one day can: the model may count orders."""
        if self.last_purchase < self.first_purchase:
            yield "last_purchase", "Input lies before first_purchase"
        if self.last_purchase > until:
            yield "last_purchase", "Input lies after observed_until"
        if self.purchases == 1 and self.last_purchase > self.first_purchase:
            yield "purchases", "Input is 1, but first_purchase and last_purchase are two days"
        if self.purchases == 1 and self.repeat_spend:
            yield "repeat_spend", "Input should be 0: with 1 purchase there is no repeat purchase"

    def numbers(self, days: float, until: dt.date) -> dict[str, Any]:
        repeats = self.purchases - 1
        return {
            "id": self.id,
            "frequency": repeats,
            "recency": (self.last_purchase - self.first_purchase).days / days,
            "age": (until - self.first_purchase).days / days,
            "monetary_value": self.repeat_spend / repeats if repeats else None,
        }


Customer = Annotated[Annotated[Numbers, Tag("numbers")] | Annotated[Dates, Tag("dates")], Discriminator(_kind)]
ANA = {"id": "ana", "frequency": 2, "recency": 30.43, "age": 38.86, "monetary_value": 22.35}
BEN = {"id": "ben", "first_purchase": "1998-01-05", "last_purchase": "1998-05-01", "purchases": 4, "repeat_spend": 66.0}


class Histories(Asked):
    """Customers to score, each in numbers or in dates."""

    customers: list[Customer] = Field(min_length=1, max_length=MOST_CUSTOMERS, examples=[[ANA, BEN]])
    observed_until: Day | None = Field(None, description="last day that is known", examples=["1998-06-30"])
    terms: Terms = Terms()

    def mistakes(self) -> list[dict[str, Any]]:
        """Return what is wrong with customers in dates, and where; the library looks after those in numbers."""
        dated = [(place, one) for place, one in enumerate(self.customers) if isinstance(one, Dates)]
        if dated and self.observed_until is None:
            words = f"Field required: customers.{dated[0][0]} is given in dates"
            return [{"type": "missing", "loc": ("body", "observed_until"), "msg": words}]
        return [
            {"type": "history", "loc": ("body", "customers", place, field), "msg": words}
            for place, one in dated
            for field, words in one.mistakes(self.observed_until or dt.date.max)
        ]


class Transaction(Asked):
    """A row of a log: a purchase or, where the amount is negative, a return."""

    customer: Id
    date: Day
    amount: Money


class Log(Asked):
    """Transactions whose customers are to be scored: all that these customers ever bought."""

    transactions: list[Transaction] = Field(
        min_length=1, max_length=MOST_ROWS, examples=[[{"customer": "ana", "date": "1998-03-05", "amount": 20.5}]]
    )
    observed_until: Day = Field(description="last day that is known", examples=["1998-06-30"])
    terms: Terms = Terms()


class Score(Numbers):
    """What a customer is worth, and the history that says so."""

    model_config = ConfigDict(extra="ignore")

    p_alive: Number = Field(description="probability of still being a customer")
    expected_purchases: Number = Field(description="within the horizon; null where there is none")
    expected_spend: Number = Field(description="of a purchase")
    clv: Number = Field(description="expected value")
    clv_low: Number
    clv_high: Number
    value_at_risk: Number = Field(description="what has probably been lost already")


class Scores(BaseModel):
    """Scores in the order in which customers were asked for."""

    customers: list[Score]
    terms: dict[str, Any] = Field(description="on which they hold")
    note: str = Field(description="what a reader must know; empty where there is nothing")
    digest: str = Field(description="of the model, as in its file")
    transactions: dict[str, Any] | None = Field(None, description="what was read of a log, and left out")


class Metrics(BaseModel):
    """The headline numbers of a log, computed once, when the service started."""

    as_of: dt.date = Field(description="last day of the log that is measured")
    transactions: dict[str, Any] = Field(description="what was read, and left out")
    estimates: dict[str, dict[str, Number | str]]
    missing: dict[str, str] = Field(description="numbers that lack their data, and what they lack")


class Health(BaseModel):
    """That the service answers, and with which model."""

    status: Literal["ok"] = "ok"
    purchases: str = Field(description="name of the model of purchases")
    spend: str = Field(description="name of the model of spend")
    unit: str = Field(description="of the model's times")
    fitted_until: dt.date | None = Field(description="last day that the model was fitted on")
    digest: str = Field(description="of the model, as in its file")
    metrics_as_of: dt.date | None = Field(description="null where the service was started without a log")


class Problem(BaseModel):
    """Why a request was not answered."""

    error: str = Field(description="the same for the same kind of problem")
    message: str
    details: list[dict[str, str]] = Field(description=f"where and why, at most {SHOWN}")
    request_id: str


# ------------------------------------------------------------------------------------------------------- what is served


@dataclass(frozen=True)
class Service:
    """A model, and the headline numbers of a log where there is one."""

    model: ly.CLVModel
    digest: str
    metrics: Metrics | None

    @classmethod
    def prepared(cls, options: argparse.Namespace) -> Service:
        """Return what is served, or raise `LoyaltyError`."""
        if not options.model:
            raise LoyaltyError("which model? Pass --model=<what fit_clv(...).save wrote>, or --demo to try it.")
        model = ly.load(options.model)
        if not isinstance(model, ly.CLVModel):
            raise LoyaltyError(f"{options.model!r} holds a {type(model).__name__}: save what ly.fit_clv returns.")
        model.score_customer(frequency=0, recency=0, age=0)  # what would fail for everybody fails now
        digest = json.loads(Path(options.model).read_bytes())["digest"]
        if not options.log:
            return cls(model, digest, None)
        read = {name: getattr(options, name) or None for name in ("order", "timezone", "observed_until")}
        read |= {name: getattr(options, name) for name in ("customer", "date", "amount", "returns", "invalid")}
        with ly.transactions(options.log, **read) as tx:
            return cls(model, digest, Metrics(as_of=tx.observed_until, **ly.overview(tx).to_dict()))

    def health(self) -> Health:
        fit, as_of = self.model.purchases, self.metrics and self.metrics.as_of
        about = {"purchases": fit.model, "spend": self.model.spend.model, "unit": fit.unit, "digest": self.digest}
        return Health(**about, fitted_until=fit.data.get("until"), metrics_as_of=as_of)

    def interval(self, terms: Terms) -> str:
        return terms.interval or self.model.terms.interval

    def score(self, asked: Histories) -> dict[str, Any]:
        if mistakes := asked.mistakes():
            raise RequestValidationError(mistakes)
        days = self.model.purchases.days_per_unit
        return self._scored([one.numbers(days, asked.observed_until) for one in asked.customers], asked.terms)

    def score_log(self, asked: Log) -> dict[str, Any]:
        rows = pd.DataFrame([one.model_dump() for one in asked.transactions])
        with ly.transactions(rows, customer="customer", observed_until=asked.observed_until) as tx:
            people = ly.summarize(tx, self.model.unit).to_native().rename(columns={"customer": "id"})
            return {**self._scored(people.to_dict("records"), asked.terms), "transactions": tx.to_dict()}

    def _scored(self, people: list[dict[str, Any]], terms: Terms) -> dict[str, Any]:
        """Return customers with their scores."""
        changes = terms.model_dump(exclude_none=True)
        if self.interval(terms) == "predictive":
            self._predictable(len(people), changes.get("service_cost", self.model.terms.service_cost))
        names = ("frequency", "recency", "age", "monetary_value")
        found = self.model.score_customers(**{name: [one[name] for one in people] for name in names}, **changes)
        customers = [{**one, **score} for one, score in zip(people, found.rows(), strict=True)]
        return {"customers": customers, "terms": found.terms.told(), "note": found.note, "digest": self.digest}

    def _predictable(self, people: int, service_cost: float) -> None:
        """Raise where there are no predictive intervals; the library's own errors name what only Python can reach."""
        if people > MOST_PREDICTED:
            raise LoyaltyError(f"{people:,} customers with predictive intervals: ask for {MOST_PREDICTED} at most.")
        if self.model.spend.model == NO_DISTRIBUTION:
            raise LoyaltyError(
                "this model knows the mean of spend alone, so it has no predictive intervals: "
                'ask with "interval": "confidence".'
            )
        if service_cost > 0:
            raise LoyaltyError(
                'there are no predictive intervals with a service cost: ask with "interval": "confidence", or with '
                '"service_cost": 0 for what customers bring before that cost.'
            )


@asynccontextmanager
async def settled(_: FastAPI) -> AsyncIterator[None]:
    """Keep what is there when serving begins out of the search for garbage, which it would only make longer."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def create(service: Service) -> FastAPI:
    """Return the application that serves a model."""
    problems: Any = {status: {"model": Problem} for status in (400, 408, 413, 422, 500, 503)}
    about: Any = {"title": "Customer value", "version": ly.__version__, "responses": problems}
    app = FastAPI(**about, redirect_slashes=False, lifespan=settled)
    app.add_middleware(Gate)
    app.add_exception_handler(RequestValidationError, refused)
    app.add_exception_handler(AnyHTTPException, refused)
    app.add_exception_handler(LoyaltyError, refused)
    logs, predicted = anyio.CapacityLimiter(LOGS_AT_ONCE), anyio.CapacityLimiter(PREDICTED_AT_ONCE)
    quick = anyio.CapacityLimiter(1)  # beside each other they would share Python's one lock, and take longer

    def answered(compute: Callable[[Any], dict[str, Any]], asked: Histories | Log) -> Response:
        """Return what is computed, written here: in the thread, so that the loop has only to send it."""
        return Response(Scores.model_validate(compute(asked)).model_dump_json(), media_type="application/json")

    @app.post("/score", response_model=Scores)
    async def score(asked: Histories) -> Response:
        """Say what customers are worth, from their histories in numbers or dates."""
        turns = predicted if service.interval(asked.terms) == "predictive" else quick
        return await anyio.to_thread.run_sync(answered, service.score, asked, limiter=turns)

    @app.post("/score/transactions", response_model=Scores)
    async def score_transactions(asked: Log) -> Response:
        """Say what the customers of a small log are worth; its rows become purchases as in `ly.transactions`."""
        return await anyio.to_thread.run_sync(answered, service.score_log, asked, limiter=logs)

    @app.get("/metrics", responses={404: {"model": Problem}})
    async def metrics() -> Metrics:
        """Give the headline numbers of the log that the service was started with."""
        if service.metrics is None:
            raise HTTPException(404, "The service was started without a log: there are no metrics.")
        return service.metrics

    @app.get("/health")
    async def health() -> Health:
        """Say that the service answers, and with which model."""
        return service.health()

    return app


# --------------------------------------------------------------------------------------------- what goes on around it


def problem(status: int, message: str, request_id: str, details: Sequence[Any] = (), **headers: str) -> JSONResponse:
    """Return the answer to a request that cannot be answered."""
    names = {400: "not_json", 404: "not_found", 405: "not_allowed", 408: "too_slow", 413: "too_large", 422: "invalid"}
    error = names.get(status, "busy" if status == 503 else "internal")
    told = Problem(error=error, message=message, details=list(details), request_id=request_id)
    return JSONResponse(told.model_dump(), status, headers)


async def refused(request: Request, err: Exception) -> JSONResponse:
    """Return the answer to a request that is wrong, without what it holds: that may be of any kind and size."""
    request_id = request.state.request_id
    if isinstance(err, AnyHTTPException):
        return problem(err.status_code, err.detail, request_id, **(err.headers or {}))
    if not isinstance(err, RequestValidationError):
        return problem(422, str(err), request_id)
    mistakes = err.errors()
    if mistakes[0]["type"] == "json_invalid":
        return problem(400, "The body is no JSON.", request_id)
    details = []
    for mistake in mistakes[:SHOWN]:
        where = ".".join(str(part)[:50] for part in mistake["loc"] if part not in {"numbers", "dates"})
        words = PLAINLY.get(mistake["type"], mistake["msg"])
        details.append({"where": where.encode(errors="replace").decode(), "message": words})
    return problem(422, f"Mistakes in the request: {len(mistakes):,}.", request_id, details)


class Incoming:
    """The body of a request as it comes in: read whole within the limits, or read on and thrown away."""

    def __init__(self, scope: Any, receive: Any) -> None:
        self.declared, self.receive, self.more = Headers(scope=scope).get("content-length", "0"), receive, True

    async def _part(self) -> bytes:
        message = await self.receive()
        self.more = message.get("more_body", False)
        return message.get("body", b"")

    async def whole(self) -> Callable[[], Awaitable[Any]]:
        """Return what gives the request with its body, or raise the refusal."""
        too_large = HTTPException(413, f"The body has more than {MOST_BYTES:,} bytes: ask for fewer customers at once.")
        if not self.declared.isdecimal() or int(self.declared) > MOST_BYTES:
            raise too_large
        body = bytearray()
        try:
            async with asyncio.timeout(SECONDS):
                while self.more:
                    body += await self._part()
                    if len(body) > MOST_BYTES:  # of a body in chunks, which declares nothing
                        raise too_large
        except TimeoutError:
            raise HTTPException(408, f"The body did not come in within {SECONDS} seconds.") from None
        messages = [{"type": "http.request", "body": bytes(body)}]

        async def replay() -> Any:
            return messages.pop() if messages else await self.receive()

        return replay

    async def drained(self) -> None:
        """Read on for a while: many a client reads no answer before it has sent all, and none once it is cut off."""
        left = MOST_DRAINED
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                while self.more and left > 0:
                    left -= len(await self._part())


class Gate:
    """Around every request: its id, its line in the log, limits on size, time and number, errors nobody expected.

    Neither bodies nor paths are logged as they were sent, nor what errors say: they may hold customers.
    """

    def __init__(self, app: Any) -> None:
        self.app, self.running = app, 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status, given = time.perf_counter(), 0, Headers(scope=scope).get("x-request-id", "")
        request_id = given if re.fullmatch(r"[\w.-]{1,64}", given, re.ASCII) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        incoming = Incoming(scope, receive)

        async def answer(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        try:
            await self._let_in(scope, incoming, answer)
        except HTTPException as err:
            refusal = problem(err.status_code, err.detail, request_id, Connection="close", **(err.headers or {}))
            await self._turn_away(refusal, incoming, answer)
        except Exception as err:  # noqa: BLE001 (whatever it is, the answer is JSON)
            LOG.critical("%s %s\n%s", request_id, type(err).__name__, "".join(traceback.format_tb(err.__traceback__)))
            if not status:
                await problem(500, "An error of the service: its log has more.", request_id)(scope, receive, answer)
        finally:
            path, spent = getattr(scope.get("route"), "path", "-"), time.perf_counter() - start
            LOG.info("%s %s %s %d %.1f ms", request_id, scope["method"], path, status, spent * 1e3)

    async def _let_in(self, scope: Any, incoming: Incoming, answer: Any) -> None:
        """Hand a request on once its body has come in whole, or raise the refusal."""
        if scope["path"] == "/health":  # always answered, whatever else goes on: it takes no body and is not counted
            await self.app(scope, incoming.receive, answer)
            return
        if self.running >= MOST_AT_ONCE:
            raise HTTPException(503, f"{MOST_AT_ONCE} requests are being answered: try again.", {"Retry-After": "1"})
        self.running += 1
        try:
            await self.app(scope, await incoming.whole(), answer)
        finally:
            self.running -= 1

    @staticmethod
    async def _turn_away(refusal: JSONResponse, incoming: Incoming, answer: Any) -> None:
        """Send a refusal at once, and end it, which closes the connection, when the client had time to read it."""
        start = {"type": "http.response.start", "status": refusal.status_code, "headers": refusal.raw_headers}
        await answer(start)
        await answer({"type": "http.response.body", "body": refusal.body, "more_body": True})
        await incoming.drained()
        await answer({"type": "http.response.body"})


class Prompt(H11Protocol):
    """Sends what there is; where there are several workers, the end of an answer else waits 40 ms for its beginning."""

    def connection_made(self, transport: Any) -> None:
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)


# --------------------------------------------------------------------------------------------------- how it is started


class Parser(argparse.ArgumentParser):
    """Tells an error in one line, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"service: {message}\n")


def between(low: int, high: int) -> Callable[[str], int]:
    """Return what reads a whole number within limits."""

    def read(given: str) -> int:
        if given.isdecimal() and low <= int(given) <= high:
            return int(given)
        raise argparse.ArgumentTypeError(f"{given!r} is no whole number from {low} to {high}")

    return read


def options_of(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options: arguments first, then the environment (LOYALTY_MODEL, LOYALTY_PORT, ...), then defaults."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)

    def add(name: str, default: Any, told: str, kind: Callable[[str], Any] = str) -> None:
        known = os.environ.get(f"LOYALTY_{name.upper().replace('-', '_')}", default)
        parser.add_argument(f"--{name}", default=known, type=kind, help=f"{told} (now: {known!r})")

    add("model", "", "file that fit_clv(...).save wrote")
    add("log", "", "transactions for GET /metrics: a Parquet or CSV file, or 'folder/*.parquet'")
    add("customer", "customer_id", "their column of customers")
    add("date", "date", "their column of dates")
    add("amount", "amount", "their column of sums of money")
    add("order", "", "their column of orders, where there is one: a return is taken off its order")
    add("timezone", "", "zone whose midnight ends a day, as Europe/Madrid; needed where their times bear a zone")
    add("returns", "net", "negative sums: net takes them off a purchase, drop leaves them out, error refuses them")
    add("invalid", "raise", "rows without a usable date or amount: raise refuses the log, exclude leaves them out")
    add("observed-until", "", "last day that is measured, as 2024-01-31; the last of the log where it is not given")
    add("host", "127.0.0.1", "address to listen at; 0.0.0.0 is every address of the machine")
    add("port", 8000, "port to listen at; 0 is any that is free", between(0, 65_535))
    add("workers", 1, "processes, each with the model and the metrics", between(1, 1_000))
    parser.add_argument("--demo", action="store_true", help="serve a model fitted on the CDNOW log, and its metrics")
    return parser.parse_args(arguments)


def in_options(message: str) -> str:
    """Return a message of the library with the options of this program in the place of its arguments."""
    return re.sub(r'\b(timezone|returns|invalid|order)="?([\w/]+)"?', r"--\1 \2", message)


def demonstration(folder: Path) -> list[str]:
    """Return the arguments that serve CDNOW, having written its log and model into a folder."""
    log = ly.datasets.cdnow()
    log.to_parquet(folder / "log.parquet")
    with ly.transactions(log) as tx:
        ly.fit_clv(tx, margin=0.3).save(folder / "model.json")
    return [f"--model={folder / 'model.json'}", f"--log={folder / 'log.parquet'}"]


def created() -> FastAPI:
    """Return the application that the environment asks for: each of several workers makes its own."""
    return create(Service.prepared(options_of([])))


def main(arguments: Sequence[str]) -> None:
    """Serve until told to end by SIGTERM or Ctrl-C; what was begun is finished first."""
    stderr = {"class": "logging.StreamHandler", "stream": "ext://sys.stderr", "formatter": "plain"}
    logs = {"version": 1, "disable_existing_loggers": False, "handlers": {"stderr": stderr},
            "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(message)s"}},
            "root": {"level": "INFO", "handlers": ["stderr"]}}  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="loyalty-") as folder:
        options = options_of(arguments)
        if options.demo:
            options = options_of([*arguments, *demonstration(Path(folder))])
        try:
            app: Any = create(Service.prepared(options))
        except LoyaltyError as err:
            sys.exit(f"service: {in_options(str(err))}")
        if options.workers > 1:
            os.environ.update({f"LOYALTY_{name.upper()}": str(value) for name, value in vars(options).items()})
            app = "service:created"
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # uvicorn hands it on when all is done
        uvicorn.run(
            app, factory=options.workers > 1, app_dir=str(Path(__file__).parent), workers=options.workers,
            host=options.host, port=options.port, http=Prompt, log_config=logs, access_log=False, server_header=False,
            proxy_headers=False, timeout_graceful_shutdown=SECONDS, timeout_worker_healthcheck=PATIENCE,
        )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
