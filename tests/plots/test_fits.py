"""Pictures of fits: bars, curves and bands are the columns of their tables."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

import fit_pictures
from loyalty import plots


def heights(bars):
    return [bar.get_height() for bar in bars]


# ----------------------------------------------------------------------------------------------------- purchase counts


def test_purchase_counts_are_pairs_of_bars():
    table = fit_pictures.purchase_counts(4)
    ax = plots.purchase_counts(table)
    counted, expected = ax.containers
    assert heights(counted) == table["customers"]
    assert heights(expected) == table["expected"]
    assert [bar.get_x() + 0.19 for bar in counted] == pytest.approx([-0.2, 0.8, 1.8, 2.8])
    assert all(a.get_x() + a.get_width() <= b.get_x() for a, b in zip(counted, expected, strict=True))
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0", "1", "2", "3+"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["counted", "expected by the model"]
    assert [text.get_text() for text in ax.texts if text.get_gid() is None][:2] == ["1,411", "470"]


def test_many_purchase_counts_have_few_labels():
    ax = plots.purchase_counts(fit_pictures.purchase_counts(60, 1e6))
    labels = [tick.get_text() for tick in ax.get_xticklabels()]
    assert len(labels) < 30
    assert labels[0] == "0"
    assert [text for text in ax.texts if text.get_gid() is None] == []


# ---------------------------------------------------------------------------------------------------- repeat purchases


def test_repeat_purchases_are_a_curve_with_a_band_and_dashes_beyond_the_data():
    table = fit_pictures.repeat_purchases(observed=60)
    ax = plots.repeat_purchases(table)
    solid, dashed = ax.lines
    assert solid.get_xdata().tolist() == table["time"][:60]
    assert solid.get_ydata().tolist() == table["expected"][:60]
    assert dashed.get_ydata().tolist() == table["expected"][59:]
    assert (solid.get_linestyle(), dashed.get_linestyle()) == ("-", "--")
    corners = {tuple(corner) for corner in ax.collections[0].get_paths()[0].vertices}
    for name in ("low", "high"):
        assert set(zip(table["time"], table[name], strict=True)) <= corners
    assert ax.get_xlabel() == "weeks since the first purchase"
    assert ax.texts[-1].get_text() == "7.21"


def test_all_observed_is_one_line():
    ax = plots.repeat_purchases(fit_pictures.repeat_purchases(observed=101))
    assert len(ax.lines) == 1
    assert "Dashed" not in ax.texts[0].get_text()


# ------------------------------------------------------------------------------------------------------- heterogeneity


def test_every_rate_has_a_panel_with_its_density():
    table = fit_pictures.heterogeneity()
    ax = plots.heterogeneity(table)
    rates = np.array(table["rate"])
    assert [panel.get_xlabel() for panel in ax.child_axes] == list(dict.fromkeys(table["rate"]))
    for panel in ax.child_axes:
        here = rates == panel.get_xlabel()
        assert panel.lines[0].get_xdata().tolist() == np.array(table["value"])[here].tolist()
        assert panel.lines[0].get_ydata().tolist() == np.array(table["density"])[here].tolist()
        assert panel.get_ylim()[1] > max(np.array(table["density"])[here])
    assert table.sentence in ax.texts[0].get_text()


def test_one_rate_is_the_whole_picture():
    ax = plots.heterogeneity(fit_pictures.heterogeneity(["purchase rate (per day)"]))
    assert ax.child_axes == []
    assert ax.get_xlabel() == "purchase rate (per day)"
    assert ax.get_xlim()[0] == 0.0


def test_customers_who_are_alike_are_shown_close_up():
    columns = {"rate": ["r"] * 3, "value": [0.49, 0.5, 0.51], "density": [1.0, 9.0, 1.0], "share": [0.0, 0.5, 1.0]}
    assert plots.heterogeneity(fit_pictures.table(columns)).get_xlim() == (0.49, 0.51)


# ------------------------------------------------------------------------------------------------------- spend density


def test_spend_is_bars_with_the_curve_of_the_model():
    table = fit_pictures.spend_density()
    ax = plots.spend_density(table)
    bars = ax.patches
    assert heights(bars) == table["customers"]
    assert [bar.get_x() for bar in bars] == pytest.approx(table["from"])
    assert [bar.get_x() + bar.get_width() for bar in bars] == pytest.approx(table["to"])
    (curve,) = ax.lines
    assert curve.get_ydata().tolist() == table["expected"]
    np.testing.assert_allclose(np.square(curve.get_xdata()), np.multiply(table["from"], table["to"]))
    assert ax.get_xscale() == "log"
    assert ax.get_xlim() == pytest.approx((table["from"][0], table["to"][-1]))
    assert "money" in ax.get_xlabel()


@pytest.mark.parametrize(("first", "ratio", "bars"), [(2.0, 1.4, 12), (1e-6, 3.0, 30), (20.0, 1.001, 3), (0.9, 1e3, 5)])
def test_ticks_of_spend_are_few_and_read_as_they_stand(first, ratio, bars):
    ax = plots.spend_density(fit_pictures.spend_density(bars, first, ratio))
    ticks, labels = ax.get_xticks(), [tick.get_text() for tick in ax.get_xticklabels()]
    assert 1 <= len(ticks) <= 10
    low, high = ax.get_xlim()
    assert all(low * (1 - 1e-9) <= tick <= high * (1 + 1e-9) for tick in ticks)
    for tick, label in zip(ticks, labels, strict=True):
        assert float(label.replace(",", "")) == pytest.approx(tick, rel=1e-5)


def test_who_is_left_out_of_the_spend_is_said():
    table = fit_pictures.spend_density()
    noted = fit_pictures.table(table.data.to_pydict(), note="left out: 3 customers")
    assert "Note: left out: 3 customers." in plots.spend_density(noted).texts[0].get_text().replace("\n", " ")


def test_columns_may_be_of_any_width_of_number():
    table = fit_pictures.purchase_counts(3)
    narrow = fit_pictures.table({"label": table["label"], "customers": pa.array([3, 2, 1], pa.int32()),
                                 "expected": pa.array([3, 2, 1], pa.float32())})  # fmt: skip
    assert heights(plots.purchase_counts(narrow).containers[0]) == [3.0, 2.0, 1.0]


def test_small_numbers_keep_a_decimal():
    columns = {
        "label": ["0", "1", "2", "3+"],
        "customers": [250.0, 20.0, 0.0, 2.5],
        "expected": [249.6, 20.2, 0.4, 0.01],
    }
    ax = plots.purchase_counts(fit_pictures.table(columns))
    assert [text.get_text() for text in ax.texts if text.get_gid() is None] == [
        "250", "20", "0", "2.5", "250", "20.2", "0.4", "0.01",
    ]  # fmt: skip


def test_what_was_observed_may_not_be_known():
    table = fit_pictures.repeat_purchases()
    unknown = fit_pictures.table(
        {**table.data.to_pydict(), "observed": pa.nulls(101, pa.bool_())}, note="not remembered", time="weeks"
    )
    ax = plots.repeat_purchases(unknown)
    assert len(ax.lines) == 1
    assert "Dashed" not in ax.texts[0].get_text()
    assert "Note: not remembered." in ax.texts[0].get_text().replace("\n", " ")


def test_close_rates_have_ticks_apart():
    value = np.linspace(0.4990, 0.5010, 50)
    columns = {"rate": ["r"] * 50, "value": value, "density": np.ones(50), "share": np.linspace(0, 1, 50)}
    ax = plots.heterogeneity(fit_pictures.table(columns))
    FigureCanvasAgg(ax.figure).draw()
    boxes = [label.get_window_extent() for label in ax.get_xticklabels() if label.get_text()]
    assert len(boxes) >= 2
    assert all(one.x1 < other.x0 for one, other in itertools.pairwise(boxes))
