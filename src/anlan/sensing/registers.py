"""Declared here: the register of stations. List, map, form, import, export, history, QR labels, API and phone follow from it."""
from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils.translation import gettext_lazy as _

from anlan.kernel.registers import Field, Register, register

from .models import CODE, RiskObject, Station
from .quantities import KINDS, PROBE, QUANTITIES

MONTH_S = 30 * 86400


def now(request: Any, row: Station) -> tuple[Any, str, dict[str, Any]]:
    """What the station reports: the curve and newest values, on the entry's page."""
    from . import queries

    latest = queries.latest(request.realm, stations=[row])
    return _("What it reports"), "sensing/_panel.html", {"station": row, "latest": latest, "worst": queries.worst(request.realm, [row.pk]).get(row.pk, "none")}


register(Register(
    "sensing.object", RiskObject, label=_("High-risk objects"), one=_("High-risk object"), icon="factory", subject="risk_object",
    read="sensing.read", write="sensing.manage", key=("code",), fresh=timedelta(days=365), note=("industry",), tabs=((_("Coverage"), "sensing:coverage", "radio-tower"),),
    fields=(
        Field("code", required=True, column=True, search=True, synonyms=("编码", "统一社会信用代码")), Field("name", required=True, column=True, search=True, synonyms=("名称", "单位名称")),
        Field("industry", codes="risk_industry", required=True, column=True, filter=True, synonyms=("行业", "领域")), Field("note", synonyms=("备注",)),
    ),
))

register(Register(
    "sensing.station", Station, label=_("Stations"), one=_("Station"), icon="radio-tower", subject="station",
    read="sensing.read", write="sensing.manage", key=("code",), fresh=timedelta(days=365), note=("kind", "river"), panels=(now,),
    tabs=((_("As they report"), "sensing:stations", "activity"),),
    fields=(
        Field("code", required=True, column=True, search=True, pattern=CODE.pattern, synonyms=("站码", "测站编码")),
        Field("name", required=True, column=True, search=True, synonyms=("站名", "测站名称")), Field("name_en", search=True),
        Field("kind", choices=tuple(KINDS), required=True, column=True, filter=True, synonyms=("站类",)),
        Field("quantities", choices=tuple((q.code, q.name) for q in QUANTITIES.values() if q.code != PROBE), many=True, required=True, filter=True, synonyms=("监测要素",)),
        Field("river", column=True, search=True, filter=True, synonyms=("河流",)),
        Field("elevation_m", unit="m", min=-500, max=9000, synonyms=("高程",)), Field("sensor_height_m", unit="m", min=-500, max=9000), Field("datum", synonyms=("基面",)),
        Field("interval_s", unit="s", min=1, max=MONTH_S, synonyms=("报送间隔",)), Field("silent_after_s", unit="s", max=MONTH_S),
        Field("serves", ref="sensing.object", filter=True, synonyms=("监测对象",)), Field("owner", search=True, synonyms=("权属单位", "管理单位")), Field("active", column=True, filter=True, synonyms=("在用",)), Field("origin"),
    ),
))
