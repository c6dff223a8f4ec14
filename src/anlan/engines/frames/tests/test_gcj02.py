"""Known answers: the test points of eviltransform (MIT), made independently of this code."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anlan.engines.frames import bd09_to_wgs84, gcj02_to_wgs84, to_wgs84, wgs84_to_gcj02

# wgs lat, wgs lon, gcj lat, gcj lon: Shanghai, Shenzhen, Beijing
KNOWN = [
    (31.1774276, 121.5272106, 31.17530398364597, 121.531541859215),
    (22.543847, 113.912316, 22.540796131694766, 113.9171764808363),
    (39.911954, 116.377817, 39.91334545536069, 116.38404722455657),
]


@pytest.mark.parametrize("lat,lon,there_lat,there_lon", KNOWN)
def test_the_published_points_come_out(lat, lon, there_lat, there_lon):
    assert wgs84_to_gcj02(lon, lat) == (pytest.approx(there_lon, abs=1e-9), pytest.approx(there_lat, abs=1e-9))
    assert gcj02_to_wgs84(there_lon, there_lat) == (pytest.approx(lon, abs=1e-9), pytest.approx(lat, abs=1e-9))


@given(st.floats(74, 135), st.floats(5, 53))
def test_there_and_back_is_the_same_place(lon, lat):
    back = gcj02_to_wgs84(*wgs84_to_gcj02(lon, lat))
    assert np.allclose(back, (lon, lat), atol=1e-9)


def test_nothing_moves_abroad_and_inputs_stay_as_they_were():
    lon, lat = np.array([139.7, -0.4]), np.array([35.7, 39.4])
    out = gcj02_to_wgs84(lon, lat)
    assert np.array_equal(out[0], lon) and np.array_equal(out[1], lat)
    inside = np.array([113.6])
    gcj02_to_wgs84(inside, np.array([34.7]))
    assert inside[0] == 113.6


def to_bd09(lon, lat):
    """Baidu's published forward shift, written here a second time: wgs84 -> gcj02 -> bd09."""
    lon, lat = wgs84_to_gcj02(lon, lat)
    turn = np.pi * 3000 / 180
    radius = np.hypot(lon, lat) + 2e-5 * np.sin(lat * turn)
    angle = np.arctan2(lat, lon) + 3e-6 * np.cos(lon * turn)
    return radius * np.cos(angle) + 0.0065, radius * np.sin(angle) + 0.006


@given(st.floats(74, 135), st.floats(18, 53))
def test_baidu_is_undone_to_about_a_metre(lon, lat):
    # Not eviltransform's own table: its one-step inverse is 10 to 40 m off at its two points.
    assert np.allclose(bd09_to_wgs84(*to_bd09(lon, lat)), (lon, lat), atol=2e-5)


def test_an_unknown_frame_is_refused():
    with pytest.raises(KeyError):
        to_wgs84("BJ54", 113.0, 34.0)
