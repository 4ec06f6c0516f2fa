"""The distinct values of cells."""

import gc
import weakref

import numpy as np

from loyalty.clv.kernels._layout import layout_of
from loyalty.clv.summaries.cells import Cells


def test_layouts_live_as_long_as_their_cells():
    cells = Cells.of([0, 1], [0, 2], [3, 3])
    first = layout_of(cells)
    assert layout_of(cells) is first
    gone = weakref.ref(cells)
    del cells
    gc.collect()
    assert gone() is None


def test_layout_counts():
    cells = Cells(
        np.array([2.0, 0.0, 2.0]), np.array([0.5, 0.0, 1.5]), np.array([2.0, 2.0, 3.5]), np.array([1.0, 4.0, 2.0])
    )
    for step in (None, 0.5, 0.4):  # a step that does not divide the times is no grid
        layout = layout_of(Cells(cells.x, cells.t_x, cells.T, cells.weight, step))
        for distinct, place, column in [(layout.x, layout.at_x, cells.x), (layout.t_x, layout.at_last, cells.t_x),
                                        (layout.T, layout.at_age, cells.T)]:  # fmt: skip
            np.testing.assert_array_equal(distinct[place], column)
            assert (np.diff(distinct) > 0).all()
        assert layout.by_x.tolist() == [4, 3]
        assert layout.by_age.tolist() == [5, 2]
        assert layout.x_by_age.tolist() == [2, 4]
