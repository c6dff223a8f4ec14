"""Rescue teams and their bases."""
from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext_lazy as _

from anlan.kernel import codes
from anlan.kernel.registers import Field, Personal, Register, register

from .. import means
from ..models import Base, Shift, Team

CODE = r"[A-Za-z0-9][A-Za-z0-9_-]*"
CALL_OUT: dict[str, Any] = {"purpose": _("Call the team out"), "basis": "PIPL art. 13(4): response to emergencies; duty of the post"}
FORCES = (
    (_("Readiness"), "resources:board", "gauge"), (_("Rates"), "resources:rates", "chart-column"), (_("Search by ability"), "resources:search", "search"),
    (_("What is near"), "resources:near", "locate"),
)


def check(values: dict[str, Any]) -> list[dict[str, str]]:
    """Rules over several fields: a part is no more than the whole, and a grade has its evidence."""
    faults = []
    members = values.get("members") or 0
    for name in ("full_time", "certified"):
        if (values.get(name) or 0) > members:
            faults.append({"field": name, "why": str(_("more than there are members"))})
    if values.get("grade") and not str(values.get("grade_evidence") or "").strip():
        faults.append({"field": "grade_evidence", "why": str(_("a grade needs its evidence: who tested, when"))})
    if values.get("grade") and values.get("grade_score") is not None:
        best = means.grade_of(int(values["grade_score"]), members, values.get("certified") or 0)
        if not best or best > str(values["grade"]):
            given = codes.name("team_grade", best) if best else _("no grade")
            faults.append({"field": "grade", "why": str(_("by the rule these points, members and certificates give: {grade}").format(grade=given))})
    return faults


def shift_check(values: dict[str, Any]) -> list[dict[str, str]]:
    """A shift ends after it began, and does not go on for ever."""
    start, end = values.get("starts_at"), values.get("ends_at")
    if not isinstance(start, datetime) or not isinstance(end, datetime):
        return []
    if end <= start:
        return [{"field": "ends_at", "why": str(_("lies before the beginning"))}]
    most = means.policy("shift_max_h")
    return [{"field": "ends_at", "why": str(_("a shift is no longer than {n} hours").format(n=round(most)))}] if end - start > timedelta(hours=most) else []


def base_check(values: dict[str, Any]) -> list[dict[str, str]]:
    """Lives are planned on an aircraft: who says that it stands there is written down."""
    if values.get("aircraft") and not str(values.get("aircraft_source") or "").strip():
        return [{"field": "aircraft_source", "why": str(_("an aircraft needs its source: which paper says so, from when"))}]
    return []


register(Register(
    "resources.base", Base, label=_("Bases of rescue teams"), one=_("Base"), icon="home", subject="base",
    read="resources.read", write="resources.write", key=("code",), fresh=timedelta(days=365), note=("address",), check=base_check,
    fields=(
        Field("code", required=True, pattern=r"[A-Za-z0-9][A-Za-z0-9_-]*", column=True, search=True, synonyms=("编号", "驻地编号")),
        Field("name", required=True, column=True, search=True, sort=True, synonyms=("驻地名称",)), Field("address", column=True, search=True, synonyms=("详细地址",)),
        Field("duty_phone", kind="phone", column=True, synonyms=("值班电话",)), Field("beds", max=10_000, synonyms=("床位数",)),
        Field("aircraft", codes="aircraft_kind", column=True, synonyms=("航空器", "航空器类型")), Field("aircraft_source", synonyms=("航空器依据", "资料来源")), Field("note", synonyms=("备注",)),
    ),
))

register(Register(
    "resources.team", Team, label=_("Rescue teams"), one=_("Rescue team"), icon="users", subject="team",
    read="resources.read", write="resources.write", key=("code",), fresh=timedelta(days=180), note=("kind", "readiness"), check=check,
    tabs=FORCES,
    fields=(
        Field("code", required=True, pattern=r"[A-Za-z0-9][A-Za-z0-9_-]*", search=True, synonyms=("编号", "队伍编号")),
        Field("name", required=True, column=True, search=True, sort=True, synonyms=("队伍名称",)),
        Field("kind", codes="team_kind", column=True, filter=True, synonyms=("队伍类型", "类型")),
        Field("hazards", codes="team_hazard", many=True, column=True, filter=True, synonyms=("救援类型", "专业方向")),
        Field("readiness", codes="team_readiness", column=True, filter=True, write="resources.readiness", synonyms=("战备状态",)),
        Field("grade", codes="team_grade", filter=True, show_when="kind=social", synonyms=("等级", "队伍等级")),
        Field("grade_score", show_when="kind=social", max=100, synonyms=("测评得分",)), Field("grade_evidence", show_when="kind=social", synonyms=("评级依据",)),
        Field("registration", pattern=r"[0-9A-HJ-NPQRTUWXY]{18}", synonyms=("统一社会信用代码",)),
        Field("base", ref="resources.base", filter=True, synonyms=("驻地", "驻地编号")), Field("address", search=True, synonyms=("驻地地址",)),
        Field("members", group=_("Strength"), column=True, sort=True, unit=_("persons"), max=100_000, synonyms=("人数", "队员人数")), Field("full_time", unit=_("persons"), max=100_000, synonyms=("专职人数",)),
        Field("certified", unit=_("persons"), max=100_000, synonyms=("持证人数",)),
        Field("vehicles", group=_("Means"), max=10_000, synonyms=("救援车辆",)), Field("boats", max=10_000, synonyms=("舟艇",)), Field("pump_m3h", unit="m³/h", max=1_000_000, synonyms=("排涝能力",)),
        Field("generator_kw", unit="kW", max=1_000_000, synonyms=("发电能力",)), Field("drones", max=10_000, synonyms=("无人机",)),
        Field("detectors", max=10_000, synonyms=("生命探测仪",)), Field("satellite_phones", max=10_000, synonyms=("卫星电话",)), Field("equipment", synonyms=("其他装备",)),
        Field("assemble_min", group=_("Time to be there"), unit=_("minutes"), max=10_000, sort=True, column=True, synonyms=("集结时间", "响应时间")), Field("speed_kmh", unit="km/h", min=1, max=300, synonyms=("行进速度",)),
        Field("duty_phone", group=_("Who answers"), kind="phone", synonyms=("值班电话",)),
        Field("leader", personal=Personal(mask="name", **CALL_OUT), read="resources.contacts", synonyms=("负责人", "队长")),
        Field("leader_phone", kind="phone", personal=Personal(mask="phone", **CALL_OUT), read="resources.contacts", synonyms=("负责人电话", "队长电话")),
        Field("certificates_until", group=_("Papers"), sort=True, synonyms=("证书有效期",)), Field("insured_until", sort=True, synonyms=("保险有效期",)),
        Field("founded", synonyms=("成立日期",)), Field("note", search=True, synonyms=("备注",)),
    ),
))

register(Register(
    "resources.shift", Shift, label=_("Shifts of rescue teams"), one=_("Shift of a team"), icon="calendar-clock", subject="team_shift", read="resources.read", write="resources.readiness", key=("team", "starts_at"),
    title="team", sort="-starts_at", note=("starts_at",), check=shift_check, tabs=FORCES,
    fields=(
        Field("team", ref="resources.team", required=True, column=True, filter=True, synonyms=("队伍", "队伍编号")), Field("starts_at", required=True, column=True, sort=True, synonyms=("开始时间", "上班时间")),
        Field("ends_at", required=True, column=True, sort=True, synonyms=("结束时间", "下班时间")), Field("crew", required=True, column=True, synonyms=("值班人员", "人员编号")), Field("note", synonyms=("备注",)),
    ),
))
