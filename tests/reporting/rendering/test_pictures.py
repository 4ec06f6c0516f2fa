"""Pictures as SVG: their text is text, their ids and colours the page's, and nobody's settings are touched."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pyarrow as pa
import pytest

from loyalty import plots
from loyalty.plots.paper import luminance
from loyalty.reporting.document import Picture, Said, Verbatim
from loyalty.reporting.rendering import colours
from loyalty.reporting.rendering.language import language
from loyalty.reporting.rendering.pictures import drawn, style
from loyalty.reporting.rendering.svg import fitted
from reporting.rendering.sample_document import HOSTILE, cohorts_result, retention_table

ENGLISH, SPANISH = language("en"), language("es")
ALT = Said("page.made_by", {"library": Verbatim('<b> "quoted"')})


def picture(draw, **changes):
    return Picture(draw=draw, alt=ALT, caption=Said("page.contents"), **changes)


LINE = picture(lambda ax: plots.retention(retention_table(), ax))
HEAT = picture(lambda ax: plots.cohorts(cohorts_result(), ax), shaded=True)
CURVES = picture(lambda ax: plots.cohort_curves(cohorts_result(), ax))


class _Texts(HTMLParser):
    """Collects texts inside <text>."""

    def __init__(self):
        super().__init__()
        self.inside, self.texts = False, []

    def handle_starttag(self, tag, _attrs):
        self.inside = tag == "text"
        if self.inside:
            self.texts.append("")

    def handle_endtag(self, _tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.texts[-1] += data


def texts(svg):
    reader = _Texts()
    reader.feed(svg)
    return reader.texts


def test_a_picture_of_lines_is_drawn_wide_and_narrow_in_the_colours_of_the_page():
    drawings, said = drawn(LINE, ENGLISH, "p")
    assert [(drawing.paper, drawing.shape) for drawing in drawings] == [("", "wide"), ("", "narrow")]
    assert said == ()
    for drawing in drawings:
        assert re.findall(r'style="[^"]*#[0-9a-f]{6}', drawing.svg) == []
        assert {"var(--first)", "var(--ink)"} <= set(re.findall(r"var\(--[\w-]+\)", drawing.svg))
    wide, narrow = (float(re.search(r'viewBox="0 0 ([\d.]+)', drawing.svg)[1]) for drawing in drawings)
    assert (wide, narrow) == (7.2 * 72, 3.75 * 72)


def test_shades_are_drawn_for_each_paper_and_say_how_to_read_them():
    drawings, said = drawn(HEAT, ENGLISH, "p")
    assert [(drawing.paper, drawing.shape) for drawing in drawings] == [("light", ""), ("dark", "")]
    assert said == ("Hatched: not observed.",)
    light, dark = (drawing.svg for drawing in drawings)
    assert "var(--" not in light + dark
    assert "#1a1a1a" in light
    assert "#f5f5f5" in dark
    assert "data:image/png;base64," in light
    assert len(light) < 60_000


def test_colours_of_its_own_make_a_picture_be_drawn_for_each_paper_though_it_has_no_shades():
    drawings, _ = drawn(CURVES, ENGLISH, "p")
    assert [(drawing.paper, drawing.shape) for drawing in drawings] == [
        ("light", "wide"), ("light", "narrow"), ("dark", "wide"), ("dark", "narrow")
    ]  # fmt: skip


def test_where_labels_take_the_room_there_is_no_narrow_drawing():
    def draw(ax):
        ax.set_yticks([0, 1], ["a label as long as names of customers are", "short"])

    (drawing,), _ = drawn(picture(draw), ENGLISH, "p")
    assert drawing.shape == ""


def test_words_are_text_and_the_title_is_left_to_the_page():
    svg = drawn(LINE, ENGLISH, "p")[0][0].svg
    assert {"share of customers who came back", "period", "2024-01", "20 %", "42.0 %"} <= set(texts(svg))
    assert not any("Retention by month" in text or "share of a month" in text for text in texts(svg))
    assert "font-family" not in svg


def test_words_numbers_and_months_are_in_the_language():
    import datetime as dt

    def draw(ax):
        from matplotlib import dates

        ax.plot([dt.date(2024, 1, 1), dt.date(2024, 12, 31)], [0.0, 12_000.5])
        ax.xaxis.set_major_locator(dates.MonthLocator((1, 4, 8)))
        ax.xaxis.set_major_formatter(dates.ConciseDateFormatter(ax.xaxis.get_major_locator(), show_offset=False))
        ax.set_yticks([0, 1_250.5, 12_000], ["0", "1,250.5", "12,000"])
        ax.set_xlabel("days")
        ax.annotate("3 customers", (0.5, 0.5), xycoords="axes fraction")
        ax.plot([], [], label="purchases")
        ax.legend()

    wide = drawn(picture(draw), SPANISH, "p")[0][0].svg
    assert {"12.000", "1.250,5", "días", "3 clientes", "compras", "abr", "ago", "2024"} <= set(texts(wide))


def test_a_wrapped_text_is_translated_as_a_whole_and_dollars_are_no_formula():
    def draw(ax):
        ax.text(0.1, 0.1, "3\ncustomers")
        ax.text(0.1, 0.5, r"\$5 customers")
        ax.text(0.1, 0.9, r"nobody\ntranslated \$x\$".replace(r"\n", "\n"))

    lines = texts(drawn(picture(draw), SPANISH, "p")[0][0].svg)
    assert "3 clientes" in lines or {"3", "clientes"} <= set(lines)
    assert "translated $x$" in lines


def test_ids_are_unique_across_pictures_and_every_reference_has_its_target():
    parts = [drawing.svg for name in ("a", "b") for item in (LINE, HEAT, CURVES)
             for drawing in drawn(item, ENGLISH, f"{name}{id(item)}")[0]]  # fmt: skip
    ids = [found for part in parts for found in re.findall(r' id="([^"]*)"', part)]
    assert len(ids) == len(set(ids)) > 20
    for part in parts:
        own = set(re.findall(r' id="([^"]*)"', part))
        referred = {first or second for first, second in re.findall(r'url\(#([^)]*)\)|href="#([^"]*)"', part)}
        assert referred
        assert referred <= own


def test_a_picture_is_an_image_with_words_for_those_who_do_not_see_it():
    for drawing in drawn(LINE, ENGLISH, "p")[0]:
        assert drawing.svg.startswith('<svg role="img" aria-label="Made by &lt;b&gt; &#34;quoted&#34;." viewBox=')
        assert "<script" not in drawing.svg
        assert "<!--" not in drawing.svg
        assert "<?xml" not in drawing.svg
        assert "<metadata" not in drawing.svg
        assert "xlink" not in drawing.svg


def test_names_stay_what_they_are():
    names = [*HOSTILE[:9], ' id="x" href="#y" #ff0000 12.3456789', "2024-01"]
    result = cohorts_result(names)
    for drawing in drawn(picture(lambda ax: plots.cohorts(result, ax), shaded=True, height=6.0), ENGLISH, "p")[0]:
        shown = " ".join(texts(drawing.svg))
        assert "<img src=x onerror=aler…" in shown
        assert "price $x_1$ and $y$" in shown
        assert 'id="x" href="#y" #ff000…' in shown
        for tag in re.findall(r"<[^>]*>", drawing.svg):
            assert not re.search(r"onerror|onload|<script|<img", re.sub(r'"[^"]*"', "", tag))


def test_bytes_are_the_same_each_time():
    assert drawn(LINE, SPANISH, "p") == drawn(LINE, SPANISH, "p")
    assert drawn(HEAT, ENGLISH, "p") == drawn(HEAT, ENGLISH, "p")


def test_settings_of_the_caller_neither_show_nor_change():
    plain = drawn(LINE, ENGLISH, "p")
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "path", "lines.linewidth": 9}):
        before = dict(mpl.rcParams)
        assert drawn(LINE, ENGLISH, "p") == plain
        assert dict(mpl.rcParams) == before

        def draw(ax):
            raise ValueError("broken")

        with pytest.raises(ValueError, match="broken"):
            drawn(picture(draw), ENGLISH, "p")
        assert dict(mpl.rcParams) == before


def test_no_figure_is_left_behind():
    from matplotlib import pyplot as plt

    drawn(LINE, ENGLISH, "p")
    assert plt.get_fignums() == []


def test_threads_draw_one_after_the_other():
    def draw(ax):
        with lock:
            inside.append(1)
            most.append(len(inside))
        plots.retention(retention_table(), ax)
        with lock:
            inside.pop()

    lock, inside, most = threading.Lock(), [], []
    before = dict(mpl.rcParams)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: drawn(picture(draw), ENGLISH, "p"), range(6)))
    assert max(most) == 1
    assert all(one == made[0] for one in made)
    assert dict(mpl.rcParams) == before


def test_the_style_can_be_entered_twice():
    with style(), style():
        assert mpl.rcParams["svg.fonttype"] == "none"


def test_greys_become_steps_between_ink_and_paper():
    assert colours.by_variable('style="fill:#ffffff;stroke:#1a1a1a"', text=False) == (
        'style="fill:var(--paper);stroke:var(--ink)"'
    )
    assert colours.by_variable("#bababa #000000 #636363", text=False) == "var(--mix-30) var(--ink) var(--muted)"
    assert colours.by_variable("#D55E00", text=False) == "var(--second)"
    assert colours.by_variable("#d55e00", text=True) == "var(--second-text)"
    assert colours.by_variable("#123456", text=True) == "#123456"
    assert colours.foreign('<path style="fill:#123456"/>')
    assert not colours.foreign('<path style="fill:#0072B2"/><text>#123456</text>')
    assert colours.foreign("<image />")


@pytest.mark.parametrize("colour", ["first", "second"])
def test_variables_are_the_colours_that_pictures_are_drawn_in(colour):
    from matplotlib.figure import Figure

    for paper in (colours.LIGHT, colours.DARK):
        figure = Figure(facecolor=paper["paper"])
        ax = figure.add_subplot(facecolor=paper["paper"])
        assert getattr(plots.paper.palette(ax), colour) == paper[colour]


def contrast(first, second):
    from matplotlib.colors import to_rgb

    high, low = sorted((luminance(to_rgb(first)), luminance(to_rgb(second))), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("paper", [colours.LIGHT, colours.DARK], ids=["light", "dark"])
def test_contrast_is_enough_to_read(paper):
    grounds = ("paper", "ground", "tint", "notice")
    for text in ("ink", "muted", "accent"):
        for ground in grounds:
            assert contrast(paper[text], paper[ground]) >= 4.5, (text, ground)
    assert contrast(paper["second-text"], paper["paper"]) >= 4.5
    for mark in ("first", "second", "strong-line"):
        assert contrast(paper[mark], paper["paper"]) >= 3.0, mark
    assert contrast(paper["first"], paper["paper"]) >= 4.5  # labels at the end of lines bear it


def test_what_is_no_svg_is_refused():
    with pytest.raises(ValueError, match="viewBox"):
        fitted("<svg></svg>", "p", "", variables=True)


def test_a_bar_of_a_score_keeps_its_words():
    result = SimpleNamespace(
        name="NPS", value=21.3, low=10.0, high=31.0, unit="points", confidence=0.95, n=300, denominator=300,
        counted="respondents", detractors=70, passives=96, promoters=134, note="", definition="",
    )  # fmt: skip
    item = picture(lambda ax: plots.nps(result, ax), height=2.3)
    shown = " ".join(texts(drawn(item, ENGLISH, "p")[0][0].svg))
    assert "promoters 44.7 %" in shown
    assert "Net promoter score" not in shown


def test_a_narrow_drawing_is_not_wider_than_the_picture():
    drawings, _ = drawn(replace(LINE, width=3.0), ENGLISH, "p")
    assert all('viewBox="0 0 216 ' in drawing.svg for drawing in drawings)


def test_many_points_stay_small():
    data = pa.table({"day": np.arange(2_000.0), "survival": np.linspace(1, 0.2, 2_000),
                     "low": np.linspace(1, 0.18, 2_000), "high": np.linspace(1, 0.22, 2_000)})  # fmt: skip
    table = SimpleNamespace(name="survival", definition="", note="", data=data)
    drawings, _ = drawn(picture(lambda ax: plots.tenure(table, ax)), ENGLISH, "p")
    assert sum(len(drawing.svg) for drawing in drawings) < 400_000
