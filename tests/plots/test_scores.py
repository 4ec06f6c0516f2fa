"""What is drawn of a backtest's scores is what was computed."""

import math
from dataclasses import replace

import pyarrow as pa
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

import loyalty as ly
from loyalty import plots
from value_results import scores


def drawn(panel):
    """Return the names of a panel from the top with the length of their bars."""
    return {
        label.get_text(): bar.get_width() for label, bar in zip(panel.get_yticklabels(), panel.patches, strict=True)
    }


def said(panel):
    return [text.get_text() for text in panel.texts if "mean squared" not in text.get_text()]


def changed(result, **columns):
    data = result.data
    for name, values in columns.items():
        data = data.set_column(data.column_names.index(name), name, pa.array(values, pa.float64()))
    return replace(result, data=data)


def test_a_panel_for_each_target_the_smallest_error_on_top():
    ax = plots.scoreboard(scores())
    purchases, revenue = ax.child_axes
    assert drawn(purchases) == pytest.approx({"BGNBD": 1.9, "ParetoNBD": 2.1, "customer rate": 2.3, "last period": 2.5})
    assert list(drawn(purchases)) == ["BGNBD", "ParetoNBD", "customer rate", "last period"]
    assert list(drawn(revenue).values()) == pytest.approx([13 * 1.9, 13 * 2.1, 13 * 2.3, 13 * 2.5])
    assert purchases.get_xlabel() == "error of purchases per customer (purchases)"
    assert revenue.get_xlabel() == "error of revenue per customer (money)"
    assert said(purchases) == [
        "1.90 (total −40.0 %), best",
        "2.10 (total −10.0 %)",
        "2.30 (total +20.0 %)",
        "2.50 (total +50.0 %)",
    ]
    assert ax.get_title() == "Error of forecasts per customer"


def test_models_and_rules_of_thumb_have_colours_of_their_own():
    (panel, _) = plots.scoreboard(scores()).child_axes
    colours = [to_rgb(bar.get_facecolor()) for bar in panel.patches]
    assert colours[0] == colours[1] != colours[2] == colours[3]
    weights = [text.get_fontweight() for text in panel.texts]
    assert weights.count("bold") == 1


def test_one_target_needs_no_panels():
    ax = plots.scoreboard(scores(targets=("purchases",)))
    assert ax.child_axes == []
    assert len(ax.patches) == 4
    assert said(ax)[0].endswith(", best")


def test_the_best_is_the_model_of_the_verdict_or_a_rule_that_beats_it():
    result = scores(targets=("purchases",))  # last_period, customer_rate, ParetoNBD, BGNBD
    near = changed(result, rmse=[2.5, 2.3, 1.9, 1.90001], excess=[2.0, 1.0, 0.0, 1e-9])
    assert [text.split(",")[-1] == " best" for text in said(plots.scoreboard(near))] == [True, False, False, False]
    tied = changed(result, rmse=[2.5, 2.3, 1.90001, 1.9], excess=[2.0, 1.0, 0.0, -1e-9])
    assert [text.endswith("best") for text in said(plots.scoreboard(tied))] == [False, True, False, False]
    beaten = changed(result, rmse=[2.5, 1.2, 2.0, 1.9], excess=[2.6, -2.2, 0.4, 0.0])
    assert next(iter(drawn(plots.scoreboard(beaten)))) == "customer rate"
    assert said(plots.scoreboard(beaten))[0].endswith("best")


def test_an_error_that_is_not_defined_comes_last_and_says_so():
    result = changed(scores(targets=("purchases",)), rmse=[math.nan, 2.3, 2.1, 1.9], bias=[math.nan, 0.2, 0.1, 0.0])
    ax = plots.scoreboard(result)
    assert list(drawn(ax).items())[-1] == ("last period", 0.0)
    assert said(ax)[-1] == "not defined"
    FigureCanvasAgg(ax.figure).draw()


def test_scores_of_nothing_say_why():
    empty = replace(scores(), data=scores().data.slice(0, 0), note="nobody bought")
    assert "nobody bought" in [text.get_text() for text in plots.scoreboard(empty).texts]


def test_a_backtest_shows_its_scores():
    with ly.transactions(ly.datasets.cdnow_sample()) as tx:
        result = ly.backtest(tx, "1997-09-30", models=["BGNBD", "ParetoNBD"])
    ax = result.scores.plot()
    for panel, target in zip(ax.child_axes, ("purchases", "revenue"), strict=True):
        rows = [row for row in result.scores if row["target"] == target]
        assert drawn(panel) == {row["name"].replace("_", " "): row["rmse"] for row in rows}
        assert list(drawn(panel).values()) == sorted(row["rmse"] for row in rows)
    assert [text for text in said(ax.child_axes[0]) if text.endswith("best")] == [
        text
        for name, text in zip(drawn(ax.child_axes[0]), said(ax.child_axes[0]), strict=True)
        if name == result.winner
    ]
    FigureCanvasAgg(ax.figure).draw()
