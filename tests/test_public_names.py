import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import loyalty as ly

HOMES = ly._HOMES

# The spellings that the design promises to keep.
PROMISED = [
    "transactions",
    "overview",
    "repurchase_rate",
    "retention",
    "retention_rate",
    "churn_rate",
    "tenure",
    "cohorts",
    "revenue_retention",
    "share_of_wallet",
    "wallet_allocation",
    "upsell_ratio",
    "nps",
    "spending",
    "historical_value",
    "pareto",
    "rfm",
    "datasets",
]


@pytest.mark.parametrize("name", PROMISED)
def test_promised_names_are_there(name):
    assert name in ly.__all__


def test_every_name_that_is_listed_is_there():
    for name in ly.__all__:
        assert getattr(ly, name) is not None
    assert ly.__all__ == sorted(ly.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name))


@pytest.mark.parametrize("name", sorted(HOMES))
def test_a_name_is_the_one_of_its_room(name):
    value = getattr(ly, name)
    assert value is getattr(importlib.import_module(f"loyalty.{HOMES[name]}"), name)
    assert value.__module__ == f"loyalty.{HOMES[name]}"
    assert not inspect.ismodule(value)


@pytest.mark.parametrize("name", sorted(HOMES))
def test_a_name_says_what_it_is_for(name):
    text = inspect.getdoc(getattr(ly, name))
    assert text
    if inspect.isfunction(getattr(ly, name)):
        parameters = inspect.signature(getattr(ly, name)).parameters
        for parameter in parameters:
            assert f"{parameter}:" in text, f"{name}({parameter}=) is not described"
        assert "Returns:" in text
        assert ">>>" in text


def test_the_types_that_checkers_see_are_those_that_run():
    source = Path(ly.__file__).read_text(encoding="utf-8")
    guarded = next(node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.If))
    imported = {alias.name: node.module.removeprefix("loyalty.") for node in guarded.body if
                isinstance(node, ast.ImportFrom) for alias in node.names}  # fmt: skip
    assert {name: home for name, home in imported.items() if home != "loyalty"} == HOMES
    assert {name for name, home in imported.items() if home == "loyalty"} == set(ly._ROOMS)
    assert {*HOMES, *ly._ROOMS, "__version__"} == set(ly.__all__)


def test_every_public_name_of_the_metrics_is_public_here():
    for room in ("repurchase", "retention", "revenue", "cohorts", "spending", "tenure", "upsell", "value", "wallet"):
        module = importlib.import_module(f"loyalty.metrics.{room}")
        for name in module.__all__:
            if inspect.isclass(getattr(module, name)):
                assert name in ly.__all__, name


def test_dir_lists_them():
    assert set(ly.__all__) <= set(dir(ly))
    assert dir(ly) == sorted(dir(ly))


def test_what_is_not_there_says_so():
    with pytest.raises(AttributeError, match="module 'loyalty' has no attribute 'retain'"):
        _ = ly.retain
    with pytest.raises(ImportError):
        from loyalty import retain  # noqa: F401


def test_the_version_is_that_of_the_package():
    project = Path(__file__).parents[1] / "pyproject.toml"
    assert f'version = "{ly.__version__}"' in project.read_text(encoding="utf-8")


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def test_nothing_is_loaded_before_it_is_used():
    code = "import sys, loyalty; print(*[name for name in sys.modules if name.startswith('loyalty')])"
    assert run(code) == ["loyalty"]
    light = "numpy pandas duckdb pyarrow scipy matplotlib polars"
    code = f"import sys, loyalty; loyalty.errors, dir(loyalty); print(*set(sys.modules) & set('{light}'.split()))"
    assert run(code) == []


@pytest.mark.parametrize("name", ["cohorts", "transactions", "tenure", "overview", "spending", "retention", "nps"])
def test_a_function_is_not_shadowed_by_the_room_of_its_name(name):
    home = HOMES[name]
    code = (
        f"import loyalty, loyalty.{home}, importlib; from loyalty.{home} import {name} as one; "
        f"importlib.import_module('loyalty.{home}'); from loyalty import {name} as two; "
        f"print(callable(two), one is two, loyalty.{name} is one)"
    )
    assert run(code) == ["True"] * 3


def test_a_star_brings_every_name():
    code = "from loyalty import *; import loyalty; print(all(name in globals() for name in loyalty.__all__))"
    assert run(code) == ["True"]


def test_names_may_be_patched():
    original = ly.repurchase_rate
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ly, "repurchase_rate", len)
        assert ly.repurchase_rate is len
    assert ly.repurchase_rate is original
