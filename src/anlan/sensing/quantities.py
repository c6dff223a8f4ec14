"""What stations measure: unit, fixed-point quantum, units taken in, and what is impossible or doubtful.

A value is stored and judged as a whole number of quanta. The quantum is fixed for good: changing one would change
every stored reading.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True)
class Quantity:
    """quantum in `unit`; lowest/highest: outside is refused as impossible; doubtful: above is stored, judged and flagged.

    units: other units taken in -> factor into `unit`. frozen_s: the very same value for longer is flagged frozen
    (0 = never); zero_freezes: whether that counts for the value zero, too.
    """

    code: str
    name: Any
    unit: str
    quantum: float
    lowest: float
    highest: float
    doubtful: float
    units: dict[str, float]
    frozen_s: int = 0
    zero_freezes: bool = False
    decimals: int = 1
    is_amount: bool = False

    def whole(self, value: float) -> int:
        """Quanta of a value in `unit`."""
        return round(value / self.quantum)

    def value(self, whole: int) -> float:
        """Value in `unit` of a number of quanta, without the dirt of binary fractions."""
        return round(whole * self.quantum, 6)


HOUR = 3600
PROBE = "probe"  # what the platform sends itself; no station of anybody's measures it
QUANTITIES: dict[str, Quantity] = {
    q.code: q
    for q in (
        # Rain is the amount since the report before. The greatest hour on record in mainland China is 201.9 mm
        # (Zhengzhou, 20 July 2021): what says more than that in one report is doubted, not dropped.
        Quantity("rain", _("Rain"), "mm", 0.001, 0, 500, 202, {"mm": 1, "cm": 10, "in": 25.4}, HOUR, False, 1, True),
        Quantity("level", _("Water level"), "m", 0.001, -500, 9000, 9000, {"m": 1, "cm": 0.01, "mm": 0.001, "ft": 0.3048}, 48 * HOUR, True, 2),
        Quantity("flow", _("Discharge"), "m3/s", 0.001, 0, 300_000, 120_000, {"m3/s": 1, "m³/s": 1, "L/s": 0.001, "ft3/s": 0.028316846592}, 72 * HOUR, False, 1),
        Quantity("soil", _("Soil moisture"), "%", 0.01, 0, 100, 100, {"%": 1, "m3/m3": 100}, 72 * HOUR, True, 1),
        Quantity("wind", _("Wind speed"), "m/s", 0.01, 0, 150, 85, {"m/s": 1, "km/h": 1 / 3.6, "kn": 0.514444}, 6 * HOUR, False, 1),
        Quantity("gas", _("Combustible gas"), "%LEL", 0.01, 0, 100, 100, {"%LEL": 1}, 24 * HOUR, False, 1),
        Quantity("battery", _("Battery"), "V", 0.01, 0, 60, 60, {"V": 1, "mV": 0.001}, 0, False, 2),
        Quantity(PROBE, _("Probe"), "min", 1, 0, 1e9, 1e9, {"min": 1}, 0, False, 0),
    )
}

# What a station is mainly for.
KINDS = [("rain", _("Rain")), ("level", _("Water level")), ("flow", _("Discharge")), ("soil", _("Soil moisture")), ("wind", _("Wind")), ("gas", _("Gas"))]

# Bits of Reading.flags. A flagged reading is kept and shown hollow.
LATE, FROZEN, RANGE, TOO_LATE, STEP, SPIKE, STUCK, INFLUX, BIAS, NO_RAIN, FAULTY, SOUND = (1 << bit for bit in range(12))
# The value itself is in doubt, not only the time of its coming: no rule hears it until a person says that it is sound (see doubt.py).
DOUBTFUL = FROZEN | RANGE | STEP | SPIKE | STUCK | INFLUX | BIAS | NO_RAIN | FAULTY
UNJUDGED = TOO_LATE | DOUBTFUL
FLAGS = {
    LATE: "late", FROZEN: "frozen", RANGE: "range", TOO_LATE: "too_late", STEP: "step", SPIKE: "spike", STUCK: "stuck_zero", INFLUX: "high_influx",
    BIAS: "bias", NO_RAIN: "no_rain", FAULTY: "faulty", SOUND: "sound",
}
FLAG_WORDS = {
    "late": _("came late"), "frozen": _("unchanged too long"), "range": _("outside the usual range"), "too_late": _("too late for the rules"),
    "step": _("a jump no second report confirms"), "spike": _("a spike: back at once"), "stuck_zero": _("zero while the neighbours rain"),
    "high_influx": _("heavy rain while the neighbours are dry"), "bias": _("far from the neighbours for long"), "no_rain": _("rises without rain upstream"),
    "faulty": _("a person does not believe this gauge"), "sound": _("a person says it is true"),
}

COLOURS = {-1: "unknown", 0: "none", 1: "blue", 2: "yellow", 3: "orange", 4: "red"}
COLOUR_NUMBER = {name: number for number, name in COLOURS.items()}


def flag_names(flags: int) -> list[str]:
    return [name for bit, name in FLAGS.items() if flags & bit]
