"""Saved models: exact round trips, and files that are damaged, edited or meant to harm."""

import copy
import json
import math
import os
import stat
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import handmade
from loyalty.clv import saving
from loyalty.clv.models.contractual import BDW, SBG
from loyalty.clv.models.discrete_predictions import BGBBFit
from loyalty.clv.models.mean_spend import MeanSpend
from loyalty.clv.models.spend import GammaGamma, SpendFit
from loyalty.clv.saving import load, save
from loyalty.clv.summaries.counts import survival_counts
from loyalty.clv.summaries.spend_cells import SpendCells
from loyalty.clv.valuation.terms import Terms
from loyalty.clv.valuation.value import CLVModel
from loyalty.errors import InvalidArgument, InvalidModelFile

REGULAR = [1000, 631, 468, 382, 326, 289, 262, 241]


def spend_fit():
    """Return a fit with everything that a fit may say: notes, data that are not defined, a weighted count."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return GammaGamma().fit(SpendCells.of([1, 1, 3, 2], [5.0, 5.0, 5.0, -2.0], [1.5, 2.0, 1.0, 1.0]))


def bgbb():
    return BGBBFit(
        model="BGBB",
        params={"alpha": 1.203528, "beta": 0.7497260, "gamma": 0.6567808, "delta": 2.783796},
        log_covariance=handmade.spread(4),
        identified=dict.fromkeys(("alpha", "beta", "gamma", "delta"), True),
        log_likelihood=-33225.58,
        customers=11_104,
        unit="year",
    )


MODELS = {
    "GammaGamma": spend_fit,
    **{name: (lambda name=name: handmade.purchases(name)) for name in handmade.PARAMS},
    "SBG": lambda: SBG().fit(survival_counts(survivors=REGULAR, period="year")),
    "BDW": lambda: BDW().fit(survival_counts(survivors=REGULAR, period="90d")),
    "BGBB": bgbb,
    "MeanSpend": lambda: MeanSpend.of(handmade.people(), ("why",)),
    "CLVModel": lambda: CLVModel(purchases=handmade.purchases(), spend=handmade.spend()),
    "CLVModel with a mean": lambda: CLVModel(purchases=handmade.purchases(), spend=MeanSpend.of(handmade.people())),
}


@pytest.fixture
def saved(tmp_path):
    """A saved spend model, as a path and as the values of its file."""
    path = tmp_path / "model.json"
    save(spend_fit(), path)
    return path, json.loads(path.read_text())


def rewritten(path, document, *, signed=True):
    """Write values to a file, with the digest that fits them where they are signed."""
    document = copy.deepcopy(document)
    if signed and isinstance(document, dict):
        document.pop("digest", None)
        document["digest"] = saving._digest(document)
    path.write_text(json.dumps(document))
    return path


# ---------------------------------------------------------------------------------------------------------- round trips


@pytest.mark.parametrize("name", MODELS)
def test_what_comes_back_is_the_same(name, tmp_path):
    fit = MODELS[name]()
    fit.save(tmp_path / "model.json")
    again = load(str(tmp_path / "model.json"))
    assert type(again) is type(fit)
    assert again.to_dict() == fit.to_dict()  # floats to the last digit
    assert str(again) == str(fit)
    again.save(tmp_path / "again.json")
    assert load(tmp_path / "again.json").to_dict() == fit.to_dict()
    if hasattr(fit, "log_covariance"):
        assert (again.log_covariance == fit.log_covariance).all()


def test_predictions_are_the_same(tmp_path):
    fit = spend_fit()
    save(fit, tmp_path / "spend.json")
    again = load(tmp_path / "spend.json")
    x, mean = np.array([0, 1, 9]), np.array([0.0, 30.0, 12.0])
    for interval in ("confidence", "predictive"):
        one = fit.expected_spend(frequency=x, monetary_value=mean, interval=interval)
        other = again.expected_spend(frequency=x, monetary_value=mean, interval=interval)
        assert (one.low == other.low).all()
        assert (one.high == other.high).all()
    assert again.independence.to_dict() == fit.independence.to_dict()
    assert (again.covariance == fit.covariance).all() or np.isnan(again.covariance).all()
    assert again.status == "boundary"


def test_every_registered_model_has_a_home():
    for model in saving._HOMES:
        assert hasattr(saving._home(model), "from_dict")
    assert {model for fit in MODELS.values() for model in [getattr(fit(), "model", "CLVModel")]} >= set(
        saving._HOMES
    ) - {"GGomNBD"}


def test_undefined_numbers_are_null(saved):
    path, document = saved
    assert document["content"]["data"]["independence"]["adjusted"] is None
    assert "NaN" not in path.read_text()
    assert math.isnan(load(path).independence.adjusted.value)


# -------------------------------------------------------------------------------------------------------------- writing


def test_a_file_is_replaced_whole(saved, monkeypatch):
    path, document = saved
    before = path.read_bytes()

    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(InvalidModelFile, match="cannot be written: No space left on device"):
        save(handmade.spend(), path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]  # nothing is left lying about
    monkeypatch.undo()
    save(handmade.spend(), path)
    assert json.loads(path.read_text())["content"]["params"] != document["content"]["params"]
    assert list(path.parent.iterdir()) == [path]


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        save(handmade.spend(), tmp_path / "model.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions and links")
def test_links_and_permissions_stay(saved):
    path, _ = saved
    path.chmod(0o640)
    link = path.with_name("link.json")
    link.symlink_to(path)
    save(handmade.spend(), link)
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert load(link).params == load(path).params == handmade.SPEND


@pytest.mark.parametrize("path", ["", "missing/model.json", ".", "a\0b", 3, None, b"model.json", 1.5])
def test_where_nothing_can_be_written(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidModelFile):
        save(handmade.spend(), path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX pipes")
def test_pipes_are_neither_read_nor_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(InvalidModelFile, match="no ordinary file"):
        load(pipe)  # opening it would wait for somebody who writes
    with pytest.raises(InvalidModelFile, match="no ordinary file"):
        save(handmade.spend(), pipe)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("thing", [None, 3, {"model": "GammaGamma"}, GammaGamma(), SpendCells.of([1], [2.0])])
def test_what_is_no_fit(thing, tmp_path):
    with pytest.raises(InvalidArgument, match="is no fitted model"):
        save(thing, tmp_path / "model.json")
    assert list(tmp_path.iterdir()) == []


def test_what_could_not_be_read_back_is_not_written(tmp_path):
    for broken in ({"log_likelihood": math.nan}, {"log_covariance": np.diag([1.0, -1.0, 1.0])}, {"unit": "fortnight"}):
        known = {name: getattr(handmade.spend(), name) for name in SpendFit.__dataclass_fields__}
        with pytest.raises(InvalidArgument, match="cannot be saved"):
            save(SpendFit(**{**known, **broken}), tmp_path / "model.json")
    assert list(tmp_path.iterdir()) == []


def test_a_margin_that_is_a_table_is_not_saved(tmp_path):
    terms = Terms(margin=pd.DataFrame({"customer_id": [1], "margin": [0.3]}))
    model = CLVModel(purchases=handmade.purchases(), spend=handmade.spend(), terms=terms)
    with pytest.raises(InvalidArgument, match="margin"):
        save(model, tmp_path / "model.json")


# -------------------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("path", ["", "missing.json", ".", "a\0b", 0, None, b"model.json"])
def test_where_nothing_can_be_read(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidModelFile):
        load(path)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "null", "3", "[]", "{}", '"loyalty-model"', "not JSON", "{", '{"format": "loyalty-model"}',
        '{"format": "another"}', '{"a": 1, "a": 2}', '{"a": NaN}', '{"a": Infinity}', '{"a": -Infinity}',
        '{"a": 1e999}', '{"a": ' + "9" * 5000 + "}", '{"a": 1}x', "\ufeff{}", '{"a": "\\ud800"}', '{"a": "\n"}',
    ],
)  # fmt: skip
def test_what_is_no_saved_model(text, tmp_path):
    path = tmp_path / "model.json"
    path.write_text(text)
    with pytest.raises(InvalidModelFile, match=r"model\.json"):
        load(path)


def test_what_is_no_text(tmp_path):
    (tmp_path / "model.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidModelFile, match="UTF-8"):
        load(tmp_path / "model.json")


@pytest.mark.parametrize(
    "text",
    ["[" * 3_000_000, '{"a":' * 600_000, '"\\"' * 1_000_000, '"' * 3_000_001, "[]," * 1_000_000, '["\\\\",' * 500_000,
     "[" * 33 + "]" * 33, "0" * 4_000_001, '{"' + "a" * 3_900_000 + '": 1}'],
)  # fmt: skip
def test_traps_are_answered_soon(text, tmp_path):
    path = tmp_path / "model.json"
    path.write_text(text)
    with pytest.raises(InvalidModelFile):
        load(path)  # where a trap works, this takes hours


def test_a_huge_file_is_not_read(tmp_path):
    path = tmp_path / "model.json"
    with path.open("wb") as file:
        file.truncate(10 * 2**30)  # a hole of 10 GB
    with pytest.raises(InvalidModelFile, match="more than 4,000,000 bytes"):
        load(path)


def test_a_later_version_says_so(saved):
    path, document = saved
    later = {**document, "version": 2, "library": "9.1", "something": "new"}
    with pytest.raises(InvalidModelFile, match=r"later version of the library \('9.1', format 2\).*Update loyalty"):
        load(rewritten(path, later))
    for version in (0, 1.0, True, None, "1", -1):
        with pytest.raises(InvalidModelFile):
            load(rewritten(path, {**document, "version": version}))


def test_an_edited_file_is_noticed(saved):
    path, document = saved
    document["content"]["params"]["q"] = 3.0
    with pytest.raises(InvalidModelFile, match="changed or damaged after it was saved"):
        load(rewritten(path, document, signed=False))
    assert load(rewritten(path, document)).params["q"] == 3.0  # it guards against accidents, not against intent


def test_spaces_and_the_order_of_keys_are_of_no_account(saved):
    path, document = saved
    fit = load(path)
    path.write_text(json.dumps(dict(reversed(document.items())), indent=7))
    assert load(path).to_dict() == fit.to_dict()


def change(document, where, value):
    """Return the values of a file with one of them replaced, or left out."""
    document = copy.deepcopy(document)
    inner = document
    for step in where[:-1]:
        inner = inner[step]
    if value is change:
        del inner[where[-1]]
    else:
        inner[where[-1]] = value
    return document


CONTENT = ("content",)
BROKEN = [
    (("format",), "loyalty-models"), (("model",), "Nonsense"), (("model",), "BGNBD"), (("model",), None),
    (("model",), ["GammaGamma"]), (("model",), "os.system"), (("library",), change), (("more",), 1),
    (CONTENT, []), (CONTENT, None), ((*CONTENT, "model"), "BGNBD"), ((*CONTENT, "more"), 1),
    ((*CONTENT, "params"), [1, 2, 3]), ((*CONTENT, "params"), {}), ((*CONTENT, "params", "p"), 0.0),
    ((*CONTENT, "params", "p"), -1.0), ((*CONTENT, "params", "p"), None), ((*CONTENT, "params", "p"), True),
    ((*CONTENT, "params", "p"), 1e300), ((*CONTENT, "params", "p"), 5e-324),
    ((*CONTENT, "params", "p"), "1"), ((*CONTENT, "params", "p"), [1]), ((*CONTENT, "params", "p"), change),
    ((*CONTENT, "params", "more"), 1.0), ((*CONTENT, "log_covariance"), None),
    ((*CONTENT, "log_covariance"), [[1.0]]), ((*CONTENT, "log_covariance"), [[0.0] * 3] * 2),
    ((*CONTENT, "log_covariance", 0), [0.0]), ((*CONTENT, "log_covariance", 0, 0), -1.0),
    ((*CONTENT, "log_covariance", 0, 0), None), ((*CONTENT, "log_covariance", 0, 1), 5.0),
    ((*CONTENT, "log_covariance"), [[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    ((*CONTENT, "log_covariance", 0, 0), "0"), ((*CONTENT, "identified"), {}), ((*CONTENT, "identified", "p"), 1),
    ((*CONTENT, "log_likelihood"), None), ((*CONTENT, "log_likelihood"), change), ((*CONTENT, "customers"), -3),
    ((*CONTENT, "customers"), False), ((*CONTENT, "status"), "fine"), ((*CONTENT, "status"), []),
    ((*CONTENT, "notes"), "note"), ((*CONTENT, "notes"), [1]), ((*CONTENT, "unit"), "week"),
    ((*CONTENT, "unit"), "fortnight"), ((*CONTENT, "unit"), None), ((*CONTENT, "l2"), -1.0), ((*CONTENT, "l2"), {}),
    ((*CONTENT, "evaluations"), -1), ((*CONTENT, "evaluations"), 1.5), ((*CONTENT, "data"), None),
    ((*CONTENT, "data", "independence"), 5), ((*CONTENT, "data", "independence", "adjusted"), 2.0),
    ((*CONTENT, "data", "independence", "customers"), "many"),
]  # fmt: skip


@pytest.mark.parametrize(("where", "value"), BROKEN, ids=[
    f"{'.'.join(map(str, where))}={'changed' if callable(value) else repr(value)[:30]}" for where, value in BROKEN
])  # fmt: skip
def test_values_that_cannot_be_are_refused_though_signed(where, value, saved):
    path, document = saved
    with pytest.raises(InvalidModelFile, match=r"model\.json"):
        load(rewritten(path, change(document, where, value)))


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("purchases", "params", "r"), -1.0), (("purchases", "params", "r"), None), (("purchases", "unit"), "period"),
        (("purchases", "model"), "GammaGamma"), (("purchases",), None), (("spend", "log_covariance", 0, 0), -1.0),
        (("spend", "model"), "BGNBD"), (("terms",), None), (("terms", "horizon"), -5), (("tried",), {}), (("more",), 1),
    ],
)  # fmt: skip
def test_nested_fits_are_checked_too(where, value, tmp_path):
    path = tmp_path / "model.json"
    save(MODELS["CLVModel"](), path)
    document = json.loads(path.read_text())
    with pytest.raises(InvalidModelFile, match=r"model\.json"):
        load(rewritten(path, change(document, ("content", *where), value)))


def test_units_are_those_of_the_model(tmp_path):
    path = tmp_path / "model.json"
    for name, units in {"ParetoNBD": {"day", "week", "month", "year"}, "SBG": {"", "year", "90d", "4w"}}.items():
        save(MODELS[name](), path)
        document = json.loads(path.read_text())
        for unit in ("", "day", "week", "month", "year", "90d", "4w", "0d", "90", "fortnight"):
            changed = rewritten(path, change(document, ("content", "unit"), unit))
            if unit in units:
                assert load(changed).unit == unit
            elif unit not in {"day", "week", "month"}:
                with pytest.raises(InvalidModelFile, match="unit"):
                    load(changed)


def test_nothing_is_run(tmp_path):
    """Whatever a file names as its model, nothing but the registered rooms is imported."""
    import sys

    save(spend_fit(), tmp_path / "model.json")
    document = json.loads((tmp_path / "model.json").read_text())
    before = set(sys.modules)
    for name in ("antigravity", "this", "loyalty.clv.antigravity", "../antigravity", "__import__"):
        with pytest.raises(InvalidModelFile, match="not known"):
            load(rewritten(tmp_path / "model.json", {**document, "model": name}))
    assert set(sys.modules) == before


# ----------------------------------------------------------------------------------------------------------------- fuzz

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["BGNBD", "GammaGamma", "week", "converged", 0, -1, 0.0, -0.0, 1e308, 1e119, 1e-119, 5e-324]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


def places(value, path=()):
    """Return the ways to all values inside a value."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


def mutated(document, data):
    """Return values with one to three of them replaced, left out, or given again elsewhere."""
    for _ in range(data.draw(st.integers(1, 3))):
        where = data.draw(st.sampled_from(places(document)))
        kind = data.draw(st.sampled_from(["replace", "remove", "copy"]))
        value = data.draw(VALUES) if kind == "replace" else change
        if kind == "copy":
            value = document
            for step in data.draw(st.sampled_from(places(document))):
                value = value[step]
        document = change(document, where, copy.deepcopy(value) if value is not change else change)
        if not places(document):
            break
    return document


def originals():
    """Return the values of two saved files, of a fit and of a model with fits in it."""
    for name in ("GammaGamma", "CLVModel"):
        fit = MODELS[name]()
        head = {"format": "loyalty-model", "version": 1, "library": "0", "model": name}
        document = {**head, "content": json.loads(json.dumps(fit.to_dict()))}
        yield {**document, "digest": saving._digest(document)}


ORIGINALS = list(originals())


@given(st.data(), st.sampled_from(ORIGINALS), st.booleans())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_changed_values_give_an_error_or_a_sound_fit(tmp_path, data, original, signed):
    document = mutated(original, data)
    path = rewritten(tmp_path / "fuzz.json", document, signed=signed)
    try:
        fit = load(path)
    except InvalidModelFile:
        return
    if not signed:
        assert fit.to_dict() == original["content"]
    for part in [fit] if hasattr(fit, "params") else [fit.purchases, fit.spend]:
        assert all(0 < value < math.inf for value in part.params.values())
        assert np.isfinite(part.log_covariance).all()
        assert str(part)
    spend = getattr(fit, "spend", fit)
    assert not math.isnan(spend.expected_spend(frequency=2, monetary_value=10.0))


@given(st.data(), st.sampled_from(ORIGINALS))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_changed_bytes_give_an_error_or_the_same_fit(tmp_path, data, original):
    text = bytearray(json.dumps(original, indent=1).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        kind = data.draw(st.sampled_from(["flip", "remove", "insert", "cut", "double"]))
        if kind == "flip":
            text[at] = data.draw(st.integers(0, 255))
        elif kind == "remove":
            del text[at : at + data.draw(st.integers(1, 20))]
        elif kind == "insert":
            text[at:at] = data.draw(st.sampled_from([b"0", b"-", b"e9", b'"', b"{", b"]", b",", b" ", b"\n", b"null"]))
        elif kind == "cut":
            del text[at:]
        else:
            text[at:at] = text[at : at + 30]
        if not text:
            break
    path = tmp_path / "fuzz.json"
    path.write_bytes(bytes(text))
    try:
        fit = load(path)
    except InvalidModelFile:
        return
    assert fit.to_dict() == original["content"]


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode) | VALUES.map(lambda v: json.dumps(v).encode()))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_give_an_error(tmp_path, content):
    path = tmp_path / "fuzz.json"
    path.write_bytes(content)
    with pytest.raises(InvalidModelFile):
        load(path)
