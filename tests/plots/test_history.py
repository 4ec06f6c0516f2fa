"""What is drawn of a customer's history is what was computed."""

import datetime as dt

import pytest
from matplotlib import dates
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import handmade
import loyalty as ly
from loyalty import plots
from value_results import history


def test_the_line_is_p_alive_and_marks_are_purchases():
    result = history()
    ax = plots.customer_history(result)
    (line,) = ax.lines
    assert list(line.get_xdata()) == result.data["date"].to_pylist()
    assert list(line.get_ydata()) == result.data["p_alive"].to_pylist()
    marks = ax.collections[-1].get_segments()
    assert [segment[0][0] for segment in marks] == [dates.date2num(day) for day in result.purchases]
    assert all(segment[:, 1].max() <= 0.0 for segment in marks)  # below the curve, whatever it does
    assert ax.get_ylim()[0] <= min(segment[:, 1].min() for segment in marks)
    assert ax.get_title() == "Customer ann"
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("P(alive)", "upright marks: days with a purchase")
    assert ax.texts[-1].get_text() == f"{result.data['p_alive'][-1].as_py():.1%}".replace("%", " %")


def test_the_axis_of_shares_runs_from_nought_to_all():
    ax = plots.customer_history(history())
    FigureCanvasAgg(ax.figure).draw()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]


@pytest.mark.parametrize("days", [1, 2, 20, 40, 100, 400, 700, 3000])
@pytest.mark.parametrize("size", [(2, 2), (4, 3), (8, 4)])
def test_dates_find_their_ticks_on_axes_of_any_size(days, size):
    ax = Figure(figsize=size).add_subplot()
    plots.customer_history(history(days, (0,)), ax)
    FigureCanvasAgg(ax.figure).draw()  # a warning would be an error
    boxes = [label.get_window_extent() for label in ax.get_xticklabels() if label.get_text()]
    assert 1 <= len(boxes) <= 12


def test_hostile_and_long_ids_are_text():
    for customer in ("$x_1$ <b>", "long " * 100, "a\nb"):
        ax = plots.customer_history(history(customer=customer))
        FigureCanvasAgg(ax.figure).draw()
    assert plots.customer_history(history(customer="$x_1$")).get_title() == r"Customer \$x_1\$"


def test_a_note_is_shown():
    ax = plots.customer_history(history(note="purchases before 2024 count too"))
    assert "Note: purchases before 2024 count too." in " ".join(text.get_text() for text in ax.texts).replace("\n", " ")


def test_what_customer_history_gives_is_drawn():
    with ly.transactions(ly.datasets.cdnow_sample()) as tx:
        result = ly.customer_history(tx, 2332, handmade.purchases())
    ax = result.plot()
    assert list(ax.lines[0].get_ydata()) == result["p_alive"]
    assert len(ax.collections[-1].get_segments()) == len(result.purchases) == 6
    assert ax.lines[0].get_xdata()[-1] == dt.date(1998, 6, 30)


def test_a_single_day_has_an_axis_of_days():
    ax = plots.customer_history(history(1, (0,)))
    FigureCanvasAgg(ax.figure).draw()
    low, high = ax.get_xlim()
    assert high - low >= 2.0
    assert all(float(tick).is_integer() for tick in ax.get_xticks())
    assert not any(":" in label.get_text() for label in ax.get_xticklabels())
