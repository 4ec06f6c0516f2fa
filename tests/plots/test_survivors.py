"""Pictures of survival under contract: curves, bands and dots are the columns of their tables."""

import numpy as np

import fit_pictures
from loyalty import plots


def test_the_model_is_a_line_with_a_band_and_dots_are_observed():
    table = fit_pictures.survival()
    ax = plots.survival(table)
    model, observed = ax.lines
    assert model.get_ydata().tolist() == table["survival"]
    np.testing.assert_array_equal(observed.get_ydata(), table["observed"])
    assert (model.get_linestyle(), observed.get_linestyle(), observed.get_marker()) == ("-", "None", "o")
    corners = {tuple(corner) for corner in ax.collections[0].get_paths()[0].vertices}
    for name in ("low", "high"):
        assert set(zip(table["renewal"], table[name], strict=True)) <= corners
    assert ax.get_xlabel() == "renewals, one every year"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["by the model", "observed"]


def test_without_observations_there_is_the_line_alone():
    ax = plots.survival(fit_pictures.survival(observed=False))
    assert len(ax.lines) == 1
    assert ax.get_legend() is None
    assert ax.texts[-1].get_text() == "16.8 %"


def test_every_cohort_is_a_line_and_all_together_a_bold_one():
    table = fit_pictures.survival_curves(3)
    ax = plots.survival_curves(table)
    names = [line.get_label() for line in ax.lines]
    assert names == ["cohort 0", "cohort 1", "cohort 2", "all"]
    for line, name in zip(ax.lines, [*names[:3], None], strict=True):
        rows = [row for row in table if row["cohort"] == name]
        assert list(line.get_xdata()) == [row["renewal"] for row in rows]
        assert list(line.get_ydata()) == [row["survival"] for row in rows]
    widths = [line.get_linewidth() for line in ax.lines]
    assert widths[-1] > max(widths[:-1])
    assert len({str(line.get_color()) for line in ax.lines}) == 4


def test_many_cohorts_have_a_legend_of_three():
    ax = plots.survival_curves(fit_pictures.survival_curves(30))
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert words == ["cohort 0 (first cohort)", "cohort 29 (last cohort)", "all cohorts together"]


def test_a_single_cohort_is_drawn_once():
    assert [line.get_label() for line in plots.survival_curves(fit_pictures.survival_curves(1)).lines] == ["all"]
