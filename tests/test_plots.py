"""What is drawn is what was given, in any style, and nothing global changes."""

import datetime as dt
import gc
import itertools
import json
import math
import pickle
import subprocess
import sys
import threading
import weakref
from dataclasses import replace
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import cbook
from matplotlib import pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

import fit_pictures
from loyalty import plots
from loyalty.errors import InvalidArgument
from loyalty.estimates import Estimate, proportion
from loyalty.plots import paper
from loyalty.tables import Table
from value_results import alive, concentration, groups, history, scores

NAN = math.nan
HOSTILE = ["<script>alert(1)</script>", "$x_1$ and $\\frac{a}{b}$", r"\$5 & 10%", "a\nb\tc\x00", "many words " * 30]
STYLES = ["default", "dark_background", pytest.param("ggplot", marks=pytest.mark.slow)]


def table(data, name="a table", note="", definition="What the columns mean."):
    return Table(name=name, data=pa.table(data), kind="pandas", sentence="", definition=definition, note=note)


def months(count, first=dt.date(1997, 1, 1)):
    return [dt.date(first.year + place // 12, place % 12 + 1, 1) for place in range(count)]


def retention_table(rate=(0.15, 0.18, 0.3, 0.32)):
    starts, rate = months(len(rate)), list(rate)
    low = [None if value is None else value - 0.02 for value in rate]
    high = [None if value is None else value + 0.03 for value in rate]
    columns = {
        "period": [f"{start:%Y-%m}" for start in starts],
        "start": starts,
        "rate": rate,
        "low": low,
        "high": high,
    }
    return table(columns, name="retention by month")


def revenue_table():
    net, gross, starts = [0.5, NAN, 1.2], [0.3, NAN, 0.6], months(3)
    bounds = {f"{name}_{end}": [value + step for value in values] for name, values in (("net", net), ("gross", gross))
              for end, step in (("low", -0.1), ("high", 0.1))}  # fmt: skip
    return table({"period": ["p1", "p2", "p3"], "start": starts, "net": net, "gross": gross, **bounds})


def cohort_result(names=("1997-01", "1997-02", "1997-03"), measure="customers", rates=None, **changed):
    """A triangle: the first cohort is observed for as many periods as there are cohorts, the last for one."""
    if rates is None:
        rates = [
            [1.0] + [0.2 - 0.01 * k - 0.002 * row for k in range(1, len(names) - row)] for row in range(len(names))
        ]
    cells = [
        {"cohort": name, "size": 1000 * (row + 1), "offset": k, "value": 1.0, "rate": rate, "followed": 1}
        for row, (name, line) in enumerate(zip(names, rates, strict=True))
        for k, rate in enumerate(line)
    ]
    offsets = range(max(map(len, rates), default=0))
    average = table({"offset": list(offsets), "rate": [0.15] * len(offsets), "low": [0.14] * len(offsets),
                     "high": [0.16] * len(offsets), "customers": [6000] * len(offsets)})  # fmt: skip
    schema = pa.schema([("cohort", pa.string()), ("size", pa.int64()), ("offset", pa.int64()), ("value", pa.float64()),
                        ("rate", pa.float64()), ("followed", pa.int64())])  # fmt: skip
    settings = {"period": "month", "mode": "in", "measure": measure, "definition": "Share of a cohort.", "note": ""}
    return SimpleNamespace(**settings | changed, data=pa.Table.from_pylist(cells, schema=schema), average=average)


def share(value, low=NAN, high=NAN, name="a share", **changed):
    return replace(proportion(name, 1, 2, definition=""), value=value, low=low, high=high, **changed)


def pareto_result(**changed):
    curve = {"customers": [0, 1, 3, 5, 10], "cumulative_customers": [0.0, 0.1, 0.3, 0.5, 1.0],
             "cumulative_value": [0.0, 0.45, 0.8, 0.9, 1.0]}  # fmt: skip
    fields = {"value": "revenue", "top_share": 0.3, "vital_share": 0.4, "revenue_share": share(0.8, 0.78, 0.82, n=10),
              "top_customers": 3, "vital_customers": 1, "customer_share": share(0.1, 0.09, 0.12, n=10),
              "gini": share(0.61, unit="ratio"), "notes": (),
              "data": pa.table(curve)}  # fmt: skip
    return SimpleNamespace(**fields | changed)


def rfm_result(bins=3, segment=lambda r, f: "Best" if r + f > 4 else "Rest"):
    scores = list(itertools.product(range(bins, 0, -1), repeat=2))
    counts = {(r, f): 10 * r + f for r, f in scores} | {(1, 1): 0}
    grid = {"r": [r for r, _ in scores], "f": [f for _, f in scores], "customers": [counts[pair] for pair in scores],
            "segment": [segment(*pair) for pair in scores]}  # fmt: skip
    return SimpleNamespace(bins=bins, n=sum(counts.values()), grid=table(grid))


def nps_result(detractors=100.0, passives=200.0, promoters=200.0, **changed):
    total = detractors + passives + promoters
    score = 100 * (promoters - detractors) / total if total else NAN
    fields = {"value": score, "low": score - 6, "high": score + 6, "unit": "points", "confidence": 0.95, "n": 500,
              "denominator": total, "detractors": detractors, "passives": passives, "promoters": promoters,
              "counted": "respondents", "note": ""}  # fmt: skip
    return SimpleNamespace(**fields | changed)


def wallet_result(overall=0.31, mean=0.4, below=0, above=0):
    edges = [-math.inf, 0.0, 0.25, 0.5, 0.75, 1.0, math.inf]
    counts = {"low": edges[:-1], "high": edges[1:], "customers": [below, 40, 30, 20, 10, above]}
    return SimpleNamespace(distribution=pa.table(counts), overall=share(overall, note="why"), mean=share(mean))


def gaps_table():
    return table({"from_days": [0, 7, 21], "to_days": [6, 13, 27], "count": [5000, 1200, 3]})


def spend_table(edges=(0.0, 10.0, 20.0, 30.0), count=(5, 3, 1)):
    return table({"from": edges[:-1], "to": edges[1:], "count": count})


def tenure_table():
    return table({"day": [0, 30, 365], "survival": [0.5, 0.4, 0.2], "low": [0.49, 0.39, NAN], "high": [0.51, 0.41, NAN],
                  "at_risk": [100, 50, 10]})  # fmt: skip


def tracking_table(weeks=20, models=("A", "B"), **changed):
    start, rising = dt.date(1997, 1, 1), [float(week * week) for week in range(1, weeks + 1)]
    columns = {
        "start": [start + dt.timedelta(days=7 * week) for week in range(weeks)],
        "complete": [week + 1 < weeks for week in range(weeks)],
        "part": ["calibration" if week < weeks // 2 else "holdout" for week in range(weeks)],
    }
    for place, name in enumerate(("actual", *models)):
        columns |= {
            name: [1.1**place * value for value in rising],
            f"cumulative_{name}": [9.0 * value for value in rising],
        }
    return table(columns, name="repeat purchases by week", **changed)


def frequency_table(models=("A", "B")):
    groups = {"frequency": ["0", "1", "7+"], "customers": [100, 20, 3], "actual": [0.2, 0.7, 6.5]}
    return table(groups | {name: [0.1, 0.6, 6.0 + place] for place, name in enumerate(models)})


CASES = {
    "estimates": (plots.estimates, lambda: [share(0.2, 0.1, 0.3), share(NAN), share(0.5)]),
    "mixed estimates": (plots.estimates, lambda: [share(0.2, 0.1, 0.3), share(2e6, 1e6, 3e6, unit="money")]),
    "retention": (plots.retention, retention_table),
    "retention with gaps": (plots.retention, lambda: retention_table([0.2, None, 0.3, NAN, 0.1])),
    "retention of one": (plots.retention, lambda: retention_table([0.2])),
    "retention undefined": (plots.retention, lambda: retention_table([None, None])),
    "revenue retention": (plots.revenue_retention, revenue_table),
    "cohorts": (plots.cohorts, cohort_result),
    "one cohort": (plots.cohorts, lambda: cohort_result(["1997"])),
    "revenue cohorts": (plots.cohorts, lambda: cohort_result(measure="revenue", mode="since", note="a note")),
    "undefined cohorts": (plots.cohorts, lambda: cohort_result(rates=[[1.0, None, NAN], [1.0, 0.2], [None]])),
    "cohort curves": (plots.cohort_curves, cohort_result),
    "one cohort curve": (plots.cohort_curves, lambda: cohort_result(["1997"])),
    "many cohort curves": (plots.cohort_curves, lambda: cohort_result([f"cohort {n}" for n in range(30)])),
    "pareto": (plots.pareto, pareto_result),
    "rfm": (plots.rfm, rfm_result),
    "rfm of many": (plots.rfm, lambda: rfm_result(40)),
    "nps": (plots.nps, nps_result),
    "wallet": (plots.share_of_wallet, wallet_result),
    "gaps": (plots.inter_purchase_times, gaps_table),
    "spend": (plots.spend_distribution, spend_table),
    "tenure": (plots.tenure, tenure_table),
    "tracking": (plots.tracking, tracking_table),
    "tracking of six models": (plots.tracking, lambda: tracking_table(models=tuple("ABCDEF"))),
    "tracking of one week": (plots.tracking, lambda: tracking_table(1)),
    "conditional expectation": (plots.conditional_expectation, frequency_table),
    "conditional expectation of six": (plots.conditional_expectation, lambda: frequency_table(tuple("ABCDEF"))),
    "value by group": (plots.value_by_group, groups),
    "value below nought": (plots.value_by_group, lambda: groups(values=(75.0, -20.0, -3.0))),
    "value of forty groups": (plots.value_by_group, lambda: groups([f"g{n}" for n in range(40)], range(40, 0, -1))),
    "value concentration": (plots.value_concentration, concentration),
    "alive by recency": (plots.alive_by_recency, alive),
    "alive by recency of one group": (plots.alive_by_recency, lambda: alive(["10+"])),
    "customer history": (plots.customer_history, history),
    "customer history of a day": (plots.customer_history, lambda: history(1, (0,))),
    "scoreboard": (plots.scoreboard, scores),
    "scoreboard of purchases": (plots.scoreboard, lambda: scores(targets=("purchases",))),
}
CASES |= fit_pictures.CASES
CASE = pytest.mark.parametrize("case", CASES)


def draw(case, ax=None):
    function, result = CASES[case]
    return function(result(), ax=ax)


def rendered(ax):
    """Draw for real, so that what matplotlib only finds out then is found out."""
    canvas = FigureCanvasAgg(ax.figure.canvas.figure)  # of a subfigure, that of the whole
    canvas.draw()
    return canvas


def texts(ax):
    """Every text that a reader sees; of tick labels, those of ticks within the axes."""
    found = []
    for part in (panel for each in ax.figure.axes for panel in (each, *each.child_axes)):
        found += [part.title, *part.texts]
        if part.get_legend():
            found += part.get_legend().get_texts()
        for axis in (part.xaxis, part.yaxis) if part.axison else ():
            found += [
                axis.label,
                *(tick.label1 for tick in axis._update_ticks()),
                *(tick.label2 for tick in axis._update_ticks()),
            ]
    return [text for text in found if text.get_visible() and text.get_text()]


def shown(ax):
    """All words of the picture, as a reader sees them."""
    return "\n".join(text.get_text().replace(r"\$", "$") for text in texts(ax))


def contrast(ink, ground):
    """By WCAG 2: 1 (none) to 21 (black on white); 3 is asked of graphics and large words."""
    dark, light = sorted(paper.luminance(to_rgb(colour)) for colour in (ink, ground))
    return (light + 0.05) / (dark + 0.05)


def test_every_chart_has_a_case():
    assert {function.__name__ for function, _ in CASES.values()} == set(plots.__all__)


# ------------------------------------------------------------------------------------------------- any style, any axes


@CASE
@pytest.mark.parametrize("style", STYLES)
def test_in_any_style_words_are_readable_and_inside(case, style):
    with plt.style.context(style):
        ax = draw(case)
        canvas = rendered(ax)
    assert ax.get_title() or any(axis.get_xlabel() for axis in (ax, *ax.child_axes))
    width, height = canvas.get_width_height()
    for text in texts(ax):
        box = text.get_window_extent()
        assert min(box.x0, box.y0) >= -2, text
        assert (box.x1 <= width + 2, box.y1 <= height + 2) == (True, True), text
        grounds = (ax.figure.get_facecolor(), ax.get_facecolor())
        assert ax.images or max(contrast(text.get_color(), ground) for ground in grounds) > 3, text


@CASE
def test_draws_on_given_axes(case):
    left, right = Figure(layout="constrained").subplots(1, 2)
    assert draw(case, ax=right) is right
    assert not left.has_data()
    rendered(right)


@pytest.mark.parametrize("case", ["estimates", "cohorts", "retention"])
def test_draws_on_a_subfigure(case):
    ax = Figure(figsize=(12, 6), layout="constrained").subfigures(1, 2)[0].subplots()
    assert draw(case, ax=ax) is ax
    rendered(ax)


@CASE
def test_pictures_can_be_pickled(case):
    ax = draw(case)
    copy = pickle.loads(pickle.dumps(ax))  # noqa: S301 (written on the same line)
    assert [text.get_text() for text in copy.texts] == [text.get_text() for text in ax.texts]


def test_axes_of_another_style_are_respected():
    with plt.style.context("dark_background"):
        ax = Figure().add_subplot()
    draw("mixed estimates", ax)
    for panel in ax.child_axes:
        assert to_rgb(panel.get_facecolor()) == (0, 0, 0)
        assert all(to_rgb(label.get_color()) == (1, 1, 1) for label in (*panel.get_xticklabels(), panel.xaxis.label))


@pytest.mark.parametrize("ax", [Figure(), np.array([1, 2]), "left"], ids=["figure", "array", "text"])
def test_other_things_than_axes_are_refused(ax):
    with pytest.raises(InvalidArgument, match=r"ax= is of type .*add_subplot"):
        plots.nps(nps_result(), ax=ax)


# -------------------------------------------------------------------------------------------------- no global state


@CASE
def test_nothing_global_changes(case):
    before, state = dict(mpl.rcParams), plt.get_fignums()
    ax = draw(case)
    assert plt.get_fignums() == state
    assert dict(mpl.rcParams) == before
    assert mpl.colormaps["Blues"] == mpl.colormaps["Blues"].with_extremes()
    assert type(ax.figure) is Figure


def test_a_dropped_picture_leaves_memory():
    ax = draw("cohorts")
    figure = weakref.ref(ax.figure)
    del ax
    gc.collect()
    assert figure() is None


def test_at_a_prompt_pyplot_shows_the_figure(monkeypatch):
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    ax = draw("nps")
    assert plt.gcf() is ax.figure
    drawn = []
    thread = threading.Thread(target=lambda: drawn.append(draw("nps")))
    thread.start()
    thread.join()
    assert len(plt.get_fignums()) == 1
    assert drawn[0].figure is not ax.figure


def test_the_room_stands_on_a_low_floor():
    code = "import json, sys, loyalty.plots; print(json.dumps(list(sys.modules)))"
    loaded = set(json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout))
    above = {"estimates", "tables", "grouping", "transactions", "engines", "metrics", "segments", "surveys", "overview"}
    assert not {f"loyalty.{room}" for room in above} & loaded
    assert "matplotlib" not in loaded


# ------------------------------------------------------------------------------------------------------ hostile words


@pytest.mark.parametrize("word", HOSTILE)
def test_hostile_words_are_only_words(word):
    pictures = [
        plots.estimates([share(0.2, 0.1, 0.3)] * 2, labels=[word, "other"]),
        plots.estimates([share(0.2, 0.1, 0.3, name=word), share(0.4, name="b")]),
        plots.cohorts(cohort_result([word, "b"])),
        plots.cohort_curves(cohort_result([word, "b", "c"])),
        plots.cohort_curves(cohort_result([word, *map(str, range(9))])),
        plots.rfm(rfm_result(segment=lambda r, _: word if r > 1 else "")),
        plots.retention(replace(retention_table(), name=word, definition=word)),
        plots.tracking(tracking_table(models=(word,))),
        plots.conditional_expectation(frequency_table((word, "b"))),
        plots.nps(nps_result(counted=word)),
        plots.pareto(pareto_result(revenue_share=share(NAN), notes=(word,))),
    ]
    for ax in pictures:
        rendered(ax)
        assert not any(cbook.is_math_text(text.get_text()) for text in texts(ax))
        assert word.replace("\x00", " ").split()[0][:6] in shown(ax)


def test_dollars_are_shown_where_the_style_reads_no_formulas():
    with mpl.rc_context({"text.parse_math": False}):
        assert paper.safe("$5$") == "$5$"
    assert paper.safe("$5$") == r"\$5\$"


@given(st.text(), st.integers(min_value=1, max_value=60))
def test_safe_words_are_short_and_printable(text, limit):
    word = paper.clean(text, limit)
    assert len(word) <= limit
    assert word.isprintable()
    assert not cbook.is_math_text(paper.safe(text))


@given(st.lists(st.text("ab-$", min_size=1, max_size=15), max_size=40), st.integers(20, 200))
def test_wrapping_loses_no_word_and_keeps_to_the_width(words, letters):
    lines = [
        line.replace(r"\$", "$") for line in paper.wrapped(" ".join(words), letters * 10 * paper._LETTER + 0.01, 10)
    ]
    assert " ".join(lines) == " ".join(words)
    assert max(map(len, lines), default=0) <= letters


@given(st.lists(st.floats(0, 1), max_size=8), st.floats(0.01, 0.1))
def test_labels_are_moved_apart_in_their_order(heights, gap):
    placed = paper._spread(heights, gap)
    pairs = sorted(zip(heights, placed, strict=True), key=lambda pair: pair[1])
    assert all(upper[1] - lower[1] >= gap - 1e-9 for lower, upper in itertools.pairwise(pairs))
    assert [height for height, _ in pairs] == sorted(heights)
    assert all(place <= 1 + 1e-9 for place in placed)
    if all(abs(a - b) >= gap for a, b in itertools.combinations(heights, 2)):
        assert placed == pytest.approx(heights)


def test_names_of_lines_that_end_together_do_not_overlap():
    ax = plots.cohort_curves(cohort_result([f"1997-0{n}" for n in range(1, 7)], rates=[[1.0, 0.3, 0.2]] * 6))
    rendered(ax)
    boxes = [text.get_window_extent() for text in ax.texts if text.get_text().startswith(("1997", "average"))]
    assert len(boxes) == 7
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


# ----------------------------------------------------------------------------------------------------------- estimates


def segments(ax):
    """The intervals drawn, as (low, high, row)."""
    lines = [segment for segment in ax.collections[0].get_segments() if len(segment)]
    return [(segment[0][0], segment[1][0], segment[0][1]) for segment in lines]


def test_estimates_are_dots_with_intervals():
    items = [share(0.2, 0.1, 0.3), share(NAN), share(0.5)]
    ax = plots.estimates(items, labels=["a", "b", None])
    assert ax.lines[0].get_xdata() == pytest.approx([0.2, NAN, 0.5], nan_ok=True)
    assert list(ax.lines[0].get_ydata()) == [0, 1, 2]
    assert ax.get_ylim() == (2.5, -0.5)  # the first on top
    assert segments(ax)[0] == (0.1, 0.3, 0)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "(none)"]
    assert [text.get_text() for text in ax.texts[-3:]] == ["20.0 % (10.0 to 30.0)", "not defined", "50.0 %"]
    assert ax.get_title() == "A share"
    assert ax.get_xlabel() == "share of customers (line: 95 % interval)"
    rendered(ax)
    assert "20 %" in [label.get_text() for label in ax.get_xticklabels()]


def test_infinite_estimates_run_to_the_edge():
    ax = plots.estimates([share(0.5, 0.2, 0.8), share(0.4, 0.3, math.inf), share(math.inf, 0.6, math.inf)])
    edge = ax.get_xlim()[1]
    assert segments(ax) == [(0.2, 0.8, 0), (0.3, edge, 1), (0.6, edge, 2)]
    assert [(line.get_marker(), *line.get_xydata()[0]) for line in ax.lines[1:]] == [(">", 1, 1), (">", 1, 2)]
    assert [text.get_text() for text in ax.texts] == [
        "50.0 % (20.0 to 80.0)",
        "40.0 % (30.0 to infinite)",
        "infinite (60.0 to infinite)",
    ]


@pytest.mark.parametrize(
    ("item", "limits"),
    [(share(0.2), (0, 1)), (share(NAN), (0, 1)), (share(20.0, unit="points"), (-100, 100))],
    ids=["share", "undefined", "points"],
)
def test_an_estimate_alone_is_shown_on_its_whole_scale(item, limits):
    assert plots.estimates([item]).get_xlim() == limits


def test_units_and_magnitudes_have_their_own_panels():
    money = {"order": (30.0, 29.0, 31.0), "total": (2e6,), "customer": (90.0,), "unknown": (NAN,)}
    items = [share(*values, unit="money", name=name) for name, values in money.items()]
    items.insert(1, share(0.2, name="rate"))
    ax = plots.estimates(items)
    found = [[label.get_text() for label in panel.get_yticklabels()] for panel in ax.child_axes]
    assert found == [["order", "customer", "unknown"], ["rate"], ["total"]]
    assert [panel.get_xlabel().split(" (")[0] for panel in ax.child_axes] == ["money", "share of customers", "money"]
    assert list(ax.child_axes[0].lines[0].get_xdata()) == pytest.approx([30.0, 90.0, NAN], nan_ok=True)
    assert ax.child_axes[2].texts[0].get_text() == "2,000,000"


def test_very_many_estimates_keep_readable_labels():
    ax = plots.estimates([share(0.5, 0.4, 0.6)] * 40, labels=range(40), ax=Figure(figsize=(5, 2)).add_subplot())
    assert len(ax.lines[0].get_xdata()) == 40
    assert 1 < len(ax.get_yticks()) < 15


def test_of_too_many_groups_the_first_are_drawn():
    items = [share(0.5, 0.4, 0.6)] * 400
    ax = plots.estimates(items, labels=range(400))
    assert len(ax.lines[0].get_xdata()) == 40
    assert ax.get_title() == "A share: first 40 of 400 groups"
    assert plots.estimates(items).get_title() == "First 40 of 400 estimates"


def test_an_estimate_alone_has_its_name_as_title():
    assert plots.estimates([share(0.5, name="repurchase rate")]).get_title() == "Repurchase rate"


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", [(6.4, 4.8), (5, 4)])
def test_panels_on_a_figure_without_layout_stay_inside_it_and_apart(style, size):
    named = {"purchases": 67591.0, "revenue": 2500315.6, "average order value": 36.99, "sales per customer": 106.08,
             "purchase frequency": 2.87, "mean time between purchases": 72.2,
             "median time between purchases": 34.0}  # fmt: skip
    units = ["purchases", "money", "money", "money", "purchases", "days", "days"]
    items = [share(value, value * 0.9, value * 1.1, name=name, unit=unit)
             for (name, value), unit in zip(named.items(), units, strict=True)]  # fmt: skip
    with plt.style.context(style):
        ax = Figure(figsize=size).add_subplot()
        plots.estimates(items, ax=ax)
        width, height = rendered(ax).get_width_height()
        boxes = [text.get_window_extent() for text in texts(ax)]
    assert len(boxes) == 1 + 2 * len(items)
    assert all(box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height for box in boxes)
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert ax.get_title() == "Lines: 95 % intervals"
    assert "34.0 days" in shown(ax)


def test_shares_of_unlike_things_are_not_called_shares_of_customers():
    revenue = share(0.3, 0.2, 0.4, denominator=1234.5)
    assert plots.estimates([share(0.2), revenue]).get_xlabel() == "share (line: 95 % interval)"
    assert plots.estimates([share(0.2), share(0.3, counted="respondents")]).get_xlabel() == "share"


def test_no_estimates_and_odd_labels():
    assert "no estimates" in shown(plots.estimates([]))
    with pytest.raises(InvalidArgument, match="labels= has 1 for 2 estimates"):
        plots.estimates([share(0.1), share(0.2)], labels=["a"])


def test_results_draw_themselves():
    item = proportion("repurchase rate", 8, 10, definition="")
    assert isinstance(item, Estimate)
    assert list(item.plot().lines[0].get_xdata()) == [0.8]
    result = replace(retention_table(), chart="retention")
    assert list(result.plot().lines[0].get_ydata()) == result["rate"]


# ----------------------------------------------------------------------------------------------------------- over time


def band(ax, place=0):
    """The lower and upper edge of a band at each of its points."""
    points = np.concatenate([path.vertices for path in ax.collections[place].get_paths()])
    return {at: (min(points[points[:, 0] == at, 1]), max(points[points[:, 0] == at, 1])) for at in set(points[:, 0])}


def day(date):
    return mpl.dates.date2num(date)


def test_retention_is_a_line_with_a_band():
    result = retention_table([0.15, 0.18, 0.3])
    ax = plots.retention(result)
    line = ax.lines[0]
    assert list(line.get_xdata()) == result["start"]
    assert list(line.get_ydata()) == result["rate"]
    assert band(ax)[day(dt.date(1997, 2, 1))] == pytest.approx((0.16, 0.21))
    assert [label.get_text() for label in ax.get_xticklabels()] == result["period"]
    assert (ax.get_title(), ax.get_ylim()[0]) == ("Retention by month", 0)
    assert ax.texts[-1].get_text() == "30.0 %"
    rendered(ax)
    assert all(label.get_text().endswith(" %") for label in ax.get_yticklabels())


def test_missing_rates_are_gaps_and_lonely_ones_still_show_their_interval():
    ax = plots.retention(retention_table([0.1, 0.2, None, 0.3, NAN, 0.4]))
    assert ax.lines[0].get_ydata() == pytest.approx([0.1, 0.2, NAN, 0.3, NAN, 0.4], nan_ok=True)
    upright = ax.collections[1].get_segments()
    expected = [(day(dt.date(1997, month, 1)), rate) for month, rate in ((4, 0.3), (6, 0.4))]
    assert [(line[0][0], line[0][1], line[1][1]) for line in upright] == [
        pytest.approx((at, rate - 0.02, rate + 0.03)) for at, rate in expected
    ]


def test_many_periods_have_few_labels():
    ax = plots.retention(retention_table(np.linspace(0.1, 0.3, 100)))
    rendered(ax)
    boxes = [label.get_window_extent() for label in ax.get_xticklabels()]
    assert 3 < len(boxes) < 20
    assert not any(a.overlaps(b) for a, b in itertools.pairwise(boxes))


def test_retention_of_nothing_defined_or_no_period():
    assert plots.retention(retention_table([None, None])).get_ylim() == (0, 1)
    empty = replace(retention_table(), data=retention_table().data.slice(0, 0), note="the window is too short")
    assert "the window is too short" in shown(plots.retention(empty))
    assert "the window is too short" in shown(plots.revenue_retention(replace(empty, name="revenue")))


def test_revenue_retention_has_two_lines_and_the_whole():
    result = revenue_table()
    ax = plots.revenue_retention(result)
    net, gross, whole = ax.lines
    assert net.get_ydata() == pytest.approx(result["net"], nan_ok=True)
    assert gross.get_ydata() == pytest.approx(result["gross"], nan_ok=True)
    assert list(whole.get_ydata()) == [1, 1]
    assert (net.get_color(), net.get_marker()) != (gross.get_color(), gross.get_marker())
    assert [text.get_text() for text in ax.texts[-2:]] == ["net 120.0 %", "gross 60.0 %"]


def test_tenure_falls_in_steps_from_one():
    for result in (tenure_table(), SimpleNamespace(survival=tenure_table())):
        ax = plots.tenure(result)
        (line,) = ax.lines
        assert line.get_drawstyle() == "steps-post"
        assert list(line.get_xdata()) == [0, 0, 30, 365]
        assert list(line.get_ydata()) == [1, 0.5, 0.4, 0.2]
        assert ax.get_xlabel() == "days since the first purchase"
    empty = replace(tenure_table(), data=tenure_table().data.slice(0, 0), note="nobody was seen long enough")
    assert "nobody was seen long enough" in shown(plots.tenure(empty))


# ------------------------------------------------------------------------------------------------------------- cohorts


def test_cohorts_are_shades_with_unobserved_cells_missing():
    ax = plots.cohorts(cohort_result(rates=[[1.0, 0.15, 0.12], [1.0, 0.2], [1.0]]))
    (image,) = ax.images
    drawn = image.get_array()
    assert drawn.mask.tolist() == [[False] * 3, [False, False, True], [False, True, True]]
    assert drawn.compressed().tolist() == [1.0, 0.15, 0.12, 1.0, 0.2, 1.0]
    assert image.get_clim() == (0, 0.2)  # the first column, 100 % by definition, takes no part
    assert image.get_extent() == [-0.5, 2.5, 2.5, -0.5]
    assert image.cmap(image.norm(1.0)) == pytest.approx(tuple(image.cmap.get_over()))
    assert image.cmap.get_over()[:3].tolist() == [pytest.approx(image.cmap.get_over()[0])] * 3  # grey
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "1997-01 (1,000)",
        "1997-02 (2,000)",
        "1997-03 (3,000)",
    ]
    words = {
        (round(text.get_position()[0]), round(text.get_position()[1])): text.get_text()
        for text in ax.texts
        if not text.get_gid()
    }
    assert words == {(0, 0): "100", (1, 0): "15", (2, 0): "12", (0, 1): "100", (1, 1): "20", (0, 2): "100"}
    assert ax.patch.get_hatch()
    bar = next(other for other in ax.figure.axes if other is not ax)
    assert bar.get_ylabel() == "share of the cohort"
    assert "Hatched: not observed." in shown(ax)


def test_the_first_column_counts_where_it_is_not_all_full():
    assert plots.cohorts(cohort_result(["a", "b"], rates=[[0.9, 0.1], [1.0]])).images[0].get_clim() == (0, 1)
    assert plots.cohorts(cohort_result(["a"], rates=[[1.0]])).images[0].get_clim() == (0, 1)
    assert plots.cohorts(cohort_result(["a"], rates=[[1.0, 0.0]])).images[0].get_clim() == (0, 1)
    assert plots.cohorts(cohort_result(["a"], rates=[[1.0, 1.4]])).images[0].get_clim() == (0, 1.4)


def test_cohorts_of_old_customers_start_where_they_were_first_observed():
    result = cohort_result(["1996-01"], rates=[[1.0, 0.5, 0.25]])
    result.data = result.data.slice(1)
    ax = plots.cohorts(result)
    assert ax.images[0].get_extent() == [0.5, 2.5, 0.5, -0.5]
    assert ax.images[0].get_array().tolist() == [[0.5, 0.25]]
    assert [text.get_position()[0] for text in ax.texts if not text.get_gid()] == [1, 2]


def test_a_rate_that_is_observed_but_undefined_is_told_from_one_not_observed():
    ax = plots.cohorts(cohort_result(["a", "b"], rates=[[1.0, None, 0.3], [NAN]]))
    assert [text.get_text() for text in ax.texts if not text.get_gid()] == ["100", "–", "30", "–"]
    assert "–: not defined." in shown(ax)


def test_small_rates_have_a_decimal_and_crowded_cells_no_text():
    cells = [text.get_text() for text in plots.cohorts(cohort_result(["a"], rates=[[1.0, 0.034, 0.0]])).texts]
    assert cells[:3] == ["100", "3.4", "0.0"]
    crowded = cohort_result([f"{n}" for n in range(20)])
    small = [Figure(figsize=(4, 3)).add_subplot() for _ in range(3)]
    counts = [
        len(plots.cohorts(crowded, ax, labels=labels).texts)
        for ax, labels in zip(small, (None, False, True), strict=True)
    ]
    assert counts == [1, 1, 1 + 20 * 21 // 2]  # the one is the subtitle
    assert len(plots.cohorts(cohort_result(), labels=False).texts) == 1


def test_cell_texts_are_readable_on_their_shade():
    ax = plots.cohorts(cohort_result(["a"], rates=[[1.0, *np.linspace(0, 0.5, 11)]]))
    (image,) = ax.images
    for text in (text for text in ax.texts if not text.get_gid()):
        shade = image.cmap(image.norm(image.get_array()[0, round(text.get_position()[0])]))
        assert contrast(text.get_color(), shade[:3]) > 3.9  # black or white could reach 4.6 on every shade


def test_cohort_words_follow_period_mode_and_measure():
    ax = plots.cohorts(cohort_result(period="week", measure="revenue", mode="in"))
    assert ax.get_title() == "Cohorts by week of first purchase: revenue"
    assert ax.get_xlabel() == "weeks after the first purchase"
    assert "share of the first week's revenue" in shown(ax)
    since = plots.cohort_curves(cohort_result(measure="revenue", mode="since", note="lower bounds"))
    assert since.get_ylabel() == "share of revenue since the first month"
    assert "Note: lower bounds." in shown(since).replace("\n", " ")


def test_cohort_curves_are_a_line_each_and_the_average():
    ax = plots.cohort_curves(cohort_result(rates=[[1.0, 0.15, 0.12], [1.0, 0.2], [1.0]]))
    first, second, average = ax.lines
    assert (list(first.get_xdata()), list(first.get_ydata())) == ([1, 2], [0.15, 0.12])
    assert (list(second.get_xdata()), list(second.get_ydata())) == ([1], [0.2])
    assert (list(average.get_xdata()), list(average.get_ydata())) == ([1, 2], [0.15, 0.15])
    assert band(ax) == {1: pytest.approx((0.14, 0.16)), 2: pytest.approx((0.14, 0.16))}
    assert [text.get_text() for text in ax.texts[-3:]] == ["1997-01", "1997-02", "average"]
    assert ax.get_legend() is None


def test_a_single_period_is_all_there_is_to_draw():
    ax = plots.cohort_curves(cohort_result(["a"], rates=[[1.0]]))
    assert (list(ax.lines[0].get_xdata()), list(ax.lines[0].get_ydata())) == ([0], [1.0])


def test_many_cohort_curves_have_a_legend_of_three():
    busy = Figure().add_subplot()
    busy.plot([1, 2], [0.1, 0.2], label="the caller's own")
    ax = plots.cohort_curves(cohort_result([f"c{n:02}" for n in range(12)]), ax=busy)
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert words == ["c00 (first cohort)", "c10 (last cohort)", "average, weighted by size"]  # c11 has no second period
    colours = {line.get_color() for line in ax.lines[1:-1]}
    assert len(colours) == 11


def test_no_cohorts():
    for function in (plots.cohorts, plots.cohort_curves):
        ax = function(cohort_result([], rates=[], note="no cohort was observed"))
        assert "no cohort was observed" in shown(ax)


# ------------------------------------------------------------------------------------------------------ pareto and rfm


def test_pareto_is_the_curve_with_both_readings():
    result = pareto_result()
    ax = plots.pareto(result)
    diagonal, curve, *marks = ax.lines
    assert (list(diagonal.get_xdata()), list(diagonal.get_ydata())) == ([0, 1], [0, 1])
    assert list(curve.get_xdata()) == result.data["cumulative_customers"].to_pylist()
    assert list(curve.get_ydata()) == result.data["cumulative_value"].to_pylist()
    found = [(list(line.get_xdata()), list(line.get_ydata())) for line in marks]
    assert found == [([0.3, 0.3, 0], [0, 0.8, 0.8]), ([0.3], [0.8]), ([0.1, 0.1, 0], [0, 0.45, 0.45]), ([0.1], [0.45])]
    assert ax.get_title() == "Pareto curve of revenue: Gini 0.610"
    assert [text.get_text().replace("\n", " ") for text in ax.get_legend().get_texts()] == [
        "the top 30 % of customers (3 of 10) bring 80.0 % of revenue (95 % interval 78.0 to 82.0 %)",
        "40 % of revenue comes from 10.0 % of customers (1 of 10) (95 % interval 9.0 to 12.0 %)",
    ]


def test_pareto_above_the_whole_and_undefined():
    curve = {"customers": [0, 1, 3], "cumulative_customers": [0.0, 0.5, 1.0], "cumulative_value": [0.0, 1.3, 1.0]}
    ax = plots.pareto(pareto_result(data=pa.table(curve), gini=share(NAN), revenue_share=share(1.2), value="profit"))
    assert ax.get_ylim()[1] > 1.3
    assert ax.get_title() == "Pareto curve of profit: Gini not defined"
    assert "interval" not in ax.get_legend().get_texts()[0].get_text()
    nothing = plots.pareto(pareto_result(revenue_share=share(NAN), gini=share(NAN), notes=("the total is zero",)))
    assert "the total is zero" in shown(nothing)
    assert not nothing.lines


def test_rfm_is_a_grid_with_the_best_on_the_upper_right():
    ax = plots.rfm(rfm_result())
    (image,) = ax.images
    assert image.get_array().tolist() == [[31, 32, 33], [21, 22, 23], [0, 12, 13]]
    assert image.get_extent() == [0.5, 3.5, 2.5, -0.5]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["3", "2", "1"]
    words = {text.get_text(): text.get_position() for text in ax.texts}
    assert words["33\n17.6 %"] == (3, 0)
    assert words["0"] == (1, 2)
    assert words["Best"][0] == 2.5  # across the cells (3, 2) and (3, 3)
    assert words["Rest"][0] == 1
    borders = [lines for lines in ax.collections if lines.get_gid() != "cells"]
    lines = [line for collection in borders for line in collection.get_segments()]
    sides = {tuple(map(tuple, line.tolist())) for line in lines}
    assert sides == {
        ((1.5, -0.5), (1.5, 0.5)),
        ((1.5, 0.5), (2.5, 0.5)),
        ((2.5, 0.5), (2.5, 1.5)),
        ((2.5, 1.5), (3.5, 1.5)),
    }


def test_rfm_of_many_scores_names_regions_only():
    ax = plots.rfm(rfm_result(30, segment=lambda r, _: "Recent" if r > 15 else "Long gone"))
    assert [text.get_text() for text in ax.texts if not text.get_gid()] == ["Recent", "Long gone"]
    assert ax.images[0].get_array().shape == (30, 30)


# ---------------------------------------------------------------------------------------------------------------- bars


def bars(ax):
    return [(bar.get_x(), bar.get_width(), bar.get_height()) for bar in ax.patches]


def test_nps_is_one_bar_in_three_parts():
    ax = plots.nps(nps_result())
    parts = [(bar.get_x(), bar.get_width()) for bar in ax.patches]
    assert parts == [pytest.approx(part) for part in ((0, 0.2), (0.2, 0.4), (0.6, 0.4))]
    assert ax.get_title() == "Net promoter score: 20.0 points (95 % interval 14.0 to 26.0)"
    for words in ("detractors 20.0 %", "passives 40.0 %", "promoters 40.0 %", "500 respondents"):
        assert words in shown(ax)


@pytest.mark.parametrize("parts", [(1, 1, 98), (98, 1, 1), (0, 100, 0), (49, 2, 49), (1, 98, 1)])
def test_names_of_thin_parts_do_not_overlap(parts):
    ax = plots.nps(nps_result(*map(float, parts)))
    rendered(ax)
    boxes = [text.get_window_extent() for text in ax.texts if not text.get_gid()]
    assert len(boxes) == 3
    assert all(ax.bbox.x0 - 1 <= box.x0 and box.x1 <= ax.bbox.x1 + 1 for box in boxes)
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_nps_of_nobody():
    ax = plots.nps(nps_result(0, 0, 0, note="nobody answered"))
    assert "nobody answered" in shown(ax)
    assert not ax.containers


def test_share_of_wallet_is_a_histogram_with_two_marks():
    ax = plots.share_of_wallet(wallet_result())
    assert bars(ax) == [(0, 0.25, 40), (0.25, 0.25, 30), (0.5, 0.25, 20), (0.75, 0.25, 10)]
    assert [line.get_xdata()[0] for line in ax.lines] == [0.31, 0.4]
    assert "overall (ratio of sums): 31.0 %" in shown(ax)
    assert "mean of customers: 40.0 %" in shown(ax)
    assert "Hatched" not in shown(ax)


@pytest.mark.parametrize(
    ("overall", "mean"),
    [(0.31, 0.4), (0.4, 0.31), (0.02, 0.03), (0.97, 0.96), (0.3, 0.9), (0.5, 0.5), (0.1, 3.5), (-2.0, 0.9), (2.0, 3.0)],
)
def test_marks_of_shares_never_cross_their_names(overall, mean):
    ax = plots.share_of_wallet(wallet_result(overall, mean))
    rendered(ax)
    names = [text.get_window_extent() for text in ax.texts]
    assert not names[0].overlaps(names[1])
    for line, name in itertools.product(ax.lines, names):
        at, top = line.get_transform().transform(line.get_xydata())[-1]
        assert not (name.x0 < at < name.x1 and name.y0 < top), (overall, mean)


def test_a_mark_beyond_the_axis_is_an_arrow_at_its_edge():
    ax = plots.share_of_wallet(wallet_result(0.3, 3.5, above=3))
    edge = ax.get_xlim()[1]
    assert [list(line.get_xdata()) for line in ax.lines] == [[edge, edge], [edge], [0.3, 0.3]]
    assert ax.lines[1].get_marker() == ">"
    rendered(ax)
    name = next(text for text in ax.texts if "350.0 %" in text.get_text()).get_window_extent()
    assert ax.bbox.x0 <= name.x0 < name.x1 <= ax.bbox.x1


def test_shares_outside_the_scale_are_hatched():
    ax = plots.share_of_wallet(wallet_result(below=2, above=3))
    assert bars(ax)[0] == (-0.25, 0.25, 2)
    assert bars(ax)[-1] == (1.0, 0.25, 3)
    assert [bool(bar.get_hatch()) for bar in ax.patches] == [True, False, False, False, False, True]
    assert "Hatched: below 0 % or above 100 %." in shown(ax)


def test_nobodys_share_of_wallet():
    nobody = wallet_result(NAN, NAN)
    nobody.distribution = pa.table({"low": [0.0], "high": [1.0], "customers": [0]})
    assert "why" in shown(plots.share_of_wallet(nobody))


def test_waits_are_a_histogram_of_whole_days():
    ax = plots.inter_purchase_times(gaps_table())
    assert bars(ax) == [(0, 7, 5000), (7, 7, 1200), (21, 7, 3)]
    rendered(ax)
    assert "4,000" in [label.get_text() for label in ax.get_yticklabels()]


@pytest.mark.parametrize(
    ("edges", "scale"),
    [
        ((0, 10, 20, 30), "linear"),
        ((1, 10, 100, 10_000), "log"),
        ((-50, 0, 1, 10, 10_000), "symlog"),
        ((5, 5000), "linear"),
    ],
)
def test_spend_is_on_a_log_scale_where_bars_widen(edges, scale):
    count = list(range(1, len(edges)))
    ax = plots.spend_distribution(spend_table(edges, count))
    assert bars(ax) == [(low, high - low, n) for low, high, n in zip(edges, edges[1:], count, strict=False)]
    assert ax.get_xscale() == scale
    assert ("log scale" in ax.get_xlabel()) == (scale != "linear")
    rendered(ax)


@pytest.mark.parametrize("function", [plots.spend_distribution, plots.inter_purchase_times])
def test_empty_histograms_say_why(function):
    assert "nobody bought twice" in shown(function(table({"count": []}, note="nobody bought twice")))
