"""Matrices of frequency and recency: what is drawn is what the table holds."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

import fit_pictures
from loyalty import plots


def drawn(ax):
    """Return the cells of a picture, the lowest row first, and the middles of its columns and rows."""
    (image,) = ax.images
    values = np.ma.filled(image.get_array(), np.nan)[::-1]
    left, right, bottom, top = image.get_extent()
    columns, rows = np.linspace(left, right, values.shape[1] + 1), np.linspace(bottom, top, values.shape[0] + 1)
    return values, (columns[:-1] + columns[1:]) / 2, (rows[:-1] + rows[1:]) / 2


@pytest.mark.parametrize("step", [1.0, 0.05, 5.0])
@pytest.mark.parametrize("picture", [plots.alive_matrix, plots.purchase_matrix])
def test_every_cell_is_a_row_of_the_table(picture, step):
    table = fit_pictures.matrix(6, 9, step)
    values, columns, rows = drawn(picture(table))
    np.testing.assert_allclose(columns, range(7))
    np.testing.assert_allclose(rows, np.arange(10) * step, atol=1e-12)
    expected = {(row["frequency"], round(row["recency"] / step)): row["value"] for row in table}
    for (row, column), value in np.ndenumerate(values):
        np.testing.assert_equal(value, expected.pop((column, row), np.nan))
    assert not expected


def test_axes_and_scales_say_what_they_are():
    ax = plots.alive_matrix(fit_pictures.matrix())
    assert ax.get_xlabel() == "frequency: repeat purchases"
    assert ax.get_ylabel() == "recency: weeks from the first to the last purchase"
    assert ax.images[0].get_clim() == (0.0, 1.0)
    assert ax.images[0].colorbar.ax.get_ylabel() == "probability of being alive"
    other = plots.purchase_matrix(fit_pictures.matrix(value=lambda x, t_x: 3.0 * x + t_x))
    assert other.images[0].get_clim() == (0.0, 13.0)
    assert other.images[0].colorbar.ax.get_ylabel() == "purchases expected"
    assert ax.patch.get_hatch() == "////"  # behind what cannot be
    assert any("Hatched: cannot be." in text.get_text().replace("\n", " ") for text in ax.texts)


def test_few_cells_hold_their_values():
    ax = plots.alive_matrix(fit_pictures.matrix(2, 2, value=lambda x, _: (0.125, 0.5, 1.0)[x]))
    cells = {(round(text.get_position()[0]), round(text.get_position()[1])): text.get_text() for text in ax.texts
             if text.get_gid() is None}  # fmt: skip
    assert cells == {(0, 0): "12", (1, 1): "50", (1, 2): "50", (2, 1): "100", (2, 2): "100"}
    assert len(plots.alive_matrix(fit_pictures.matrix(40, 39)).texts) == 1  # the subtitle


def test_nothing_to_expect_is_a_shade_too():
    assert plots.purchase_matrix(fit_pictures.matrix(value=lambda *_: 0.0)).images[0].get_clim()[1] > 0.0


# ----------------------------------------------------------------------------------------------------------- customers


def test_whole_times_are_cells_around_their_number():
    values, columns, rows = drawn(plots.customer_matrix(fit_pictures.by_history()))
    np.testing.assert_array_equal(columns, [0, 1, 2, 3])
    np.testing.assert_array_equal(rows, [0, 1, 2])
    nothing = np.nan
    expected = [[1411, 20, nothing, nothing], [nothing] * 4, [nothing, 5, nothing, 1]]
    np.testing.assert_array_equal(values, expected)


def test_other_times_are_cells_from_start_to_end():
    classes = [(0, 1, 0.0, 0.5, 30), (2, 3, 0.5, 1.0, 4), (4, 90, 1.0, 1.5, 1)]
    values, columns, rows = drawn(plots.customer_matrix(fit_pictures.by_history(classes, pa.float64())))
    np.testing.assert_allclose(columns, [0.5, 2.5, 4.5])
    np.testing.assert_allclose(rows, [0.25, 0.75, 1.25])
    np.testing.assert_array_equal(values, [[30, np.nan, np.nan], [np.nan, 4, np.nan], [np.nan, np.nan, 1]])


def test_customers_are_on_a_logarithmic_scale():
    ax = plots.customer_matrix(fit_pictures.by_history())
    norm = ax.images[0].norm
    assert (norm.vmin, norm.vmax) == (1.0, 1411.0)
    assert norm(10.0) - norm(1.0) == pytest.approx(norm(1000.0) - norm(100.0))
    assert ax.patch.get_hatch() is None
    faint = ax.images[0].cmap(0.0)
    assert sum(faint[:3]) < 2.75  # one customer is told from none
    assert ax.get_ylabel() == "recency: days from the first to the last purchase"


def test_a_count_alone_has_a_scale():
    norm = plots.customer_matrix(fit_pictures.by_history([(0, 0, 0, 0, 3)])).images[0].norm
    assert norm.vmin == 3.0 < norm.vmax


def test_no_customers():
    table = fit_pictures.by_history([])
    assert plots.customer_matrix(table).texts[-1].get_text() == "nothing to draw"


def ticks(axis):
    FigureCanvasAgg(axis.axes.figure).draw()
    low, high = axis.get_view_interval()
    labels = [*axis.get_majorticklabels(), *axis.get_minorticklabels()]
    return [label.get_text() for label in labels if label.get_text() and low <= label.get_position()[1] <= high]


@pytest.mark.parametrize("picture", [
    lambda: plots.alive_matrix(fit_pictures.matrix(2, 2)),
    lambda: plots.customer_matrix(fit_pictures.by_history([(0, 0, 0, 0, 9), (1, 1, 1, 1, 2)])),
])  # fmt: skip
def test_whole_recencies_have_whole_ticks(picture):
    ax = picture()
    FigureCanvasAgg(ax.figure).draw()
    assert all(float(tick).is_integer() for tick in ax.get_yticks())


def test_the_scale_of_customers_is_written_in_one_way():
    for most in (7, 40, 1411, 1e6):
        axis = plots.customer_matrix(fit_pictures.by_history([(0, 0, 0, 0, most), (1, 1, 1, 1, 1)])).images[0].colorbar
        labels = ticks(axis.ax.yaxis)
        assert len(labels) >= 3
        assert all(label.replace(",", "").isdecimal() for label in labels)


@pytest.mark.parametrize(("top", "words"), [
    (4.0, {"0.0", "2.0", "4.0"}), (0.04, {"0.000", "0.020", "0.040"}), (4e-9, {"0", "2e-09", "4e-09"}), (0.0, {"0"}),
])  # fmt: skip
def test_cells_have_the_digits_of_the_highest(top, words):
    ax = plots.purchase_matrix(fit_pictures.matrix(2, 2, value=lambda x, _: top * x / 2.0))
    assert {text.get_text() for text in ax.texts if text.get_gid() is None} == words
    labels = ticks(ax.images[0].colorbar.ax.yaxis)
    assert len(set(labels)) == len(labels) >= 2


def test_a_note_is_shown():
    table = replace(fit_pictures.matrix(), note="for ever")
    assert "Note: for ever." in " ".join(text.get_text() for text in plots.alive_matrix(table).texts).replace("\n", " ")
