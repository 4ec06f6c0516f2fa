"""What is drawn of customers' value is what was computed."""

import math
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

import handmade
import loyalty as ly
from loyalty import plots
from loyalty.clv.valuation.value import CLVModel
from value_results import alive, concentration, groups, table


def rendered(ax):
    FigureCanvasAgg(ax.figure).draw()


def words(ax):
    return [text.get_text() for text in ax.texts]


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def in_points(ax):
    """Everything written, with its place, after layout."""
    rendered(ax)
    return [text for text in (*ax.texts, ax.title) if text.get_text()]


@pytest.fixture(scope="module")
def value():
    with ly.transactions(ly.datasets.cdnow_sample(), observed_until="1997-09-30") as tx:
        yield CLVModel(purchases=handmade.purchases(), spend=handmade.spend()).score(tx), ly.rfm(tx).customers


# ------------------------------------------------------------------------------------------------------- by group


def test_a_bar_for_each_group_and_its_numbers_beside_it():
    result = groups()
    ax = plots.value_by_group(result)
    assert [bar.get_width() for bar in ax.patches] == result["value"]
    assert [round(bar.get_y() + bar.get_height() / 2) for bar in ax.patches] == [0, 1, 2]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["gold", "silver", "(none)"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first on top
    assert ax.get_xlabel() == "expected value (money)"
    assert ax.get_title() == "Customer value by tier"
    told = [text for text in words(ax) if not text.startswith("What the columns mean")]
    assert told[:3] == ["74.2 %", "24.8 %", "1.0 %"]
    assert told[3:] == ["1,200", "1,201", "1,202", "customers", "0.62", "0.21", "0.0083", "value each",
                        "90.0 %", "88.0 %", "86.0 %", "P(alive)"]  # fmt: skip


def test_nothing_written_overlaps():
    for result in (groups(), groups(values=(7_500_000.0, -20.0, -3.0)), groups(definition="Many words. " * 20)):
        boxes = [(text.get_text(), text.get_window_extent()) for text in in_points(plots.value_by_group(result))]
        for place, (text, box) in enumerate(boxes):
            for other, another in boxes[place + 1 :]:
                assert not box.overlaps(another), (text, other)


def test_losses_go_the_other_way_in_another_colour():
    ax = plots.value_by_group(groups(values=(75.0, -20.0, -3.0)))
    assert [bar.get_width() for bar in ax.patches] == [75.0, -20.0, -3.0]
    gain, loss, _ = (to_rgb(bar.get_facecolor()) for bar in ax.patches)
    assert gain != loss
    low, high = ax.get_xlim()
    assert low < -20.0
    assert high > 75.0


def test_no_shares_no_words_of_them():
    ax = plots.value_by_group(groups(values=(-1.0, -2.0, -3.0), note="there are no shares of it"))
    assert not any("not defined" in text or "nan" in text for text in words(ax))
    assert "Note: there are no shares of it." in " ".join(words(ax)).replace("\n", " ")


def test_many_groups_and_none():
    many = groups([f"g{n}" for n in range(40)], range(40, 0, -1))
    ax = plots.value_by_group(many)
    assert [bar.get_width() for bar in ax.patches] == list(range(40, 15, -1))
    assert ax.get_title() == "Customer value by tier: first 25 of 40 groups"
    empty = replace(groups(), data=groups().data.slice(0, 0), note="nobody has a label")
    assert "nobody has a label" in words(plots.value_by_group(empty))
    small = Figure(figsize=(4, 2)).add_subplot()
    assert "customers" not in words(plots.value_by_group(many, small))  # numbers would stand on each other
    assert len(small.get_yticks()) < 25


def test_what_a_value_gives_is_drawn(value):
    scored, labels = value
    result = scored.by(labels, "segment")
    ax = result.plot()
    assert [bar.get_width() for bar in ax.patches] == result["value"]
    assert [label.get_text() for label in ax.get_yticklabels()] == result["segment"]
    rendered(ax)


# -------------------------------------------------------------------------------------------------- concentration


def test_concentration_is_the_curve_with_the_top_marked():
    result = concentration()
    ax = plots.value_concentration(result)
    diagonal, curve, lines, mark = ax.lines
    assert (list(diagonal.get_xdata()), list(diagonal.get_ydata())) == ([0, 1], [0, 1])
    assert (list(curve.get_xdata()), list(curve.get_ydata())) == (
        result["cumulative_customers"],
        result["cumulative_value"],
    )
    assert (list(lines.get_xdata()), list(lines.get_ydata())) == ([0.3, 0.3, 0.0], [0.0, 0.8, 0.8])
    assert (list(mark.get_xdata()), list(mark.get_ydata())) == ([0.3], [0.8])
    assert legend(ax) == ["the top 30 % of customers (3 of 10)\nare expected to bring 80.0 %"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("share of customers, best first", "share of expected value")
    assert ax.get_ylim()[1] < 1.1


def test_a_curve_above_the_whole_is_shown_whole():
    result = table({"customers": [0, 1, 2, 4], "cumulative_customers": [0.0, 0.25, 0.5, 1.0],
                    "cumulative_value": [0.0, 1.5, 1.6, 1.0]}, note="2 customers have a negative value")  # fmt: skip
    ax = plots.value_concentration(result)
    assert ax.get_ylim()[1] > 1.6
    assert legend(ax) == ["the top 30 % of customers (2 of 4)\nare expected to bring 160.0 %"]
    assert "2 customers have a negative value" in " ".join(words(ax)).replace("\n", " ")


def test_no_concentration_says_why():
    empty = replace(concentration(), data=concentration().data.slice(0, 0), note="there are no shares of it")
    assert "there are no shares of it" in words(plots.value_concentration(empty))


def test_the_marked_point_is_the_share_of_the_top(value):
    scored, _ = value
    ax = scored.concentration().plot()
    assert ax.lines[-1].get_ydata()[0] == pytest.approx(scored.top_share(0.30), rel=1e-9)
    assert legend(ax)[0].startswith("the top 30 % of customers (708 of 2,357)")


# -------------------------------------------------------------------------------------------------------- P(alive)


def test_alive_is_a_line_for_each_group():
    result = alive()
    ax = plots.alive_by_recency(result)
    for place, name in enumerate(["1", "2–3", "4–9", "10+"]):
        rows = [row for row in result if row["purchases"] == name]
        line, marks = ax.lines[place], ax.collections[place]
        assert list(line.get_xdata()) == [row["days_from"] + 3.5 for row in rows]
        assert list(line.get_ydata()) == [row["p_alive"] for row in rows]
        assert marks.get_offsets().tolist() == [[row["days_from"] + 3.5, row["p_alive"]] for row in rows]
        sizes = marks.get_sizes()
        assert np.diff(sizes) == pytest.approx(np.diff([row["customers"] for row in rows]) * 110.0 / 100.0)
    assert legend(ax) == ["1 purchase", "2–3 purchases", "4–9 purchases", "10+ purchases"]
    assert ax.get_xlabel() == "days since the last purchase"
    assert ax.get_ylim() == (0.0, 1.03)
    rendered(ax)
    assert all(label.get_text().endswith(" %") for label in ax.get_yticklabels())


def test_lines_differ_in_colour_dash_and_mark():
    ax = plots.alive_by_recency(alive())
    for looks in ([line.get_color() for line in ax.lines], [line.get_linestyle() for line in ax.lines],
                  [handle.get_marker() for handle in ax.get_legend().legend_handles]):  # fmt: skip
        assert len(set(looks)) == 4


def test_alive_of_nobody_and_with_a_note():
    empty = replace(alive(), data=alive().data.slice(0, 0), note="nobody is there")
    assert "nobody is there" in words(plots.alive_by_recency(empty))
    assert "Note: for ever." in words(plots.alive_by_recency(alive(note="for ever")))[0]


def test_what_a_value_says_of_recency_is_drawn(value):
    result = value[0].alive_by_recency()
    ax = result.plot()
    drawn = sorted(up for line in ax.lines for up in line.get_ydata())
    assert drawn == sorted(result["p_alive"])
    assert not any(math.isnan(up) for up in drawn)
