"""Pictures on axes of a caller's that are small: words find room, and nothing covers the data."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import fit_pictures
import value_results
from loyalty import plots

CASES = {
    **fit_pictures.CASES,
    "alive by recency": (plots.alive_by_recency, value_results.alive),
    "value by group": (plots.value_by_group, value_results.groups),
    "scoreboard": (plots.scoreboard, value_results.scores),
    "history": (plots.customer_history, value_results.history),
}


def small(case, size=(3.75, 3.0), **changed):
    """Return a picture on small axes, drawn."""
    picture, result = CASES[case]
    figure = Figure(figsize=size, layout="constrained")
    ax = picture(result(**changed), figure.add_subplot())
    FigureCanvasAgg(figure).draw()
    return ax


def subtitle(ax):
    return [text for text in ax.texts if text.get_gid() == "loyalty-subtitle"]


@pytest.mark.parametrize("case", CASES)
def test_subtitles_are_two_lines_at_most(case):
    for text in subtitle(small(case)):
        assert text.get_text().count("\n") <= 1


def test_a_long_subtitle_is_cut_on_small_axes_only():
    long = "Many words that say what it is. " * 12
    cut = small("value by group", definition=long)
    assert subtitle(cut)[0].get_text().endswith(" …")
    whole = plots.value_by_group(value_results.groups(definition=long))
    assert "…" not in subtitle(whole)[0].get_text()


def test_how_to_read_a_picture_is_kept():
    table = fit_pictures.matrix()
    long = fit_pictures.table(table.data.to_pydict(), **table.units)
    object.__setattr__(long, "definition", "Many words that say what it is. " * 12)
    ax = plots.alive_matrix(long, Figure(figsize=(3.75, 3.0), layout="constrained").add_subplot())
    assert subtitle(ax)[0].get_text() == "Hatched: cannot be."


@pytest.mark.parametrize("case", CASES)
def test_labels_are_no_longer_than_their_axes(case):
    ax = small(case)
    outer = ax.figure.bbox
    for one in (ax, *ax.child_axes):
        for label in (one.xaxis.label, one.yaxis.label):
            if not label.get_text() or not one.axison:
                continue
            box = label.get_window_extent()
            assert box.x0 >= outer.x0 - 2, label.get_text()
            assert box.x1 <= outer.x1 + 2, label.get_text()
            assert box.y1 <= outer.y1 + 2, label.get_text()


@pytest.mark.parametrize("case", ["heterogeneity", "scoreboard"])
def test_panels_do_not_meet(case):
    first, second = small(case).child_axes
    assert first.xaxis.label.get_window_extent().y0 >= second.get_window_extent().y1


@pytest.mark.parametrize("case", ["purchase counts", "spend density", "alive by recency"])
@pytest.mark.parametrize("size", [(3.75, 3.0), (5.0, 4.0), (8.0, 4.5)])
def test_legends_cover_no_data(case, size):
    ax = small(case, size)
    box = ax.get_legend().get_window_extent()
    for bar in ax.patches:
        assert not box.overlaps(bar.get_window_extent())
    for line in ax.lines:
        places = ax.transData.transform(np.column_stack([line.get_xdata(), line.get_ydata()]))
        inside = (places > (box.x0, box.y0)).all(axis=1) & (places < (box.x1, box.y1)).all(axis=1)
        assert not inside.any()
