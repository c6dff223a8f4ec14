"""Area shares on grids a person can work out."""
import numpy as np

from anlan.engines.conditions.coverage import covered_share, nearest


def test_half_of_the_ground_belongs_to_the_wet_gauge():
    x, y = np.meshgrid(np.linspace(112.005, 112.195, 20), np.linspace(27.005, 27.095, 10))
    samples = np.column_stack([x.ravel(), y.ravel()])
    owner = nearest(samples, np.array([[112.05, 27.05], [112.15, 27.05]]))
    assert covered_share(owner, np.array([True, False])) == (0.5, 1.0)


def test_ground_out_of_reach_of_any_gauge_is_not_seen():
    owner = nearest(np.array([[112.0, 27.0], [113.0, 27.0]]), np.array([[112.0, 27.0]]))
    assert owner.tolist() == [0, -1]
    assert covered_share(owner, np.array([True])) == (0.5, 0.5)


def test_no_gauge_sees_nothing():
    owner = nearest(np.array([[112.0, 27.0]]), np.empty((0, 2)))
    assert covered_share(owner, np.array([], dtype=bool)) == (0.0, 0.0)
