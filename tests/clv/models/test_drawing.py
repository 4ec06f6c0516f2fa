"""Histories drawn from the models have the distributions that the models state."""

import math

import numpy as np
import pytest

from loyalty.clv.models.drawing import draw
from loyalty.clv.models.lifetime import kernel_of
from loyalty.errors import InvalidArgument

PARAMS = {
    "BGNBD": {"r": 0.8, "alpha": 6.0, "a": 0.9, "b": 2.5},
    "MBGNBD": {"r": 1.2, "alpha": 6.0, "a": 0.9, "b": 2.5},
    "ParetoNBD": {"r": 0.8, "alpha": 6.0, "s": 0.9, "beta": 12.0},
    "GGomNBD": {"r": 0.8, "alpha": 6.0, "s": 0.7, "b": 0.08, "beta": 0.5},
    "NBD": {"r": 0.8, "alpha": 6.0},
}
N = 40_000


@pytest.fixture(params=PARAMS)
def model(request):
    return request.param


def test_counts(model):
    """Of customers observed for 30 units, how many bought again 0, 1, … times."""
    x, t_x = draw(model, PARAMS[model], np.full(N, 30.0), np.random.default_rng(1))
    kernel, params = kernel_of(model), tuple(PARAMS[model].values())
    chance = np.array([float(kernel.probability(params, 0.0, 0.0, 30.0, float(n))) for n in range(12)])
    alive = float(kernel.p_alive(params, 0.0, 0.0, 0.0))
    chance *= alive
    chance[0] += 1.0 - alive
    seen = np.bincount(x.astype(int), minlength=12)[:12]
    error = np.sqrt(N * chance * (1 - chance))
    assert (np.abs(seen - N * chance) < 4 * error).all()
    mean = alive * float(kernel.purchases(params, 0.0, 0.0, 30.0, 0.0))
    assert abs(x.mean() - mean) < 4 * x.std() / math.sqrt(N)
    assert ((t_x > 0) == (x > 0)).all()
    assert (t_x <= 30.0).all()


def test_silence(model):
    """The score of the likelihood is nothing on average: so t_x is drawn as it says, too."""
    rng = np.random.default_rng(2)
    T = rng.uniform(5.0, 60.0, N)
    x, t_x = draw(model, PARAMS[model], T, rng)
    scores = kernel_of(model).gradient(tuple(PARAMS[model].values()), x, t_x, T)
    assert (np.abs(scores.mean(axis=1)) < 4 * scores.std(axis=1) / math.sqrt(N)).all()


def test_a_grid_rounds_up_and_stays_inside(model):
    T = np.full(2000, 10.0)
    x, exact = draw(model, PARAMS[model], T, np.random.default_rng(3))
    same, rounded = draw(model, PARAMS[model], T, np.random.default_rng(3), step=0.5)
    assert (same == x).all()
    assert (rounded == np.minimum(np.ceil(exact / 0.5) * 0.5, T)).all()


def test_other_models_cannot_be_drawn():
    with pytest.raises(InvalidArgument, match="model='BGBB'"):
        draw("BGBB", {}, [1.0], np.random.default_rng(1))
