"""Equipment with its tests and standards, vehicles, shelters, hospitals, key sites, and the sites of the command link."""
from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils.translation import gettext_lazy as _

from anlan.kernel.registers import Field, Personal, Register, register

from ..models import Equipment, EquipmentNorm, EquipmentTest, Hospital, KeySite, Shelter, Site, Vehicle
from .teams import CALL_OUT, CODE, FORCES

YEAR = timedelta(days=365)


def equipment_check(values: dict[str, Any]) -> list[dict[str, str]]:
    """A piece belongs to a team or lies in a store, not both; a number on the plate has its maker."""
    faults = []
    if values.get("team") and values.get("warehouse"):
        faults.append({"field": "warehouse", "why": str(_("it is a team's already; choose one"))})
    if values.get("serial") and not values.get("maker"):
        faults.append({"field": "maker", "why": str(_("a serial number means something only with its maker"))})
    return faults


def test_check(values: dict[str, Any]) -> list[dict[str, str]]:
    if values.get("valid_until") and values.get("done_on") and str(values["valid_until"]) < str(values["done_on"]):
        return [{"field": "valid_until", "why": str(_("lies before the day of the test"))}]
    return []


def code(*synonyms: str) -> Field:
    return Field("code", required=True, pattern=CODE, column=True, search=True, synonyms=("编号", *synonyms))


def name(*synonyms: str) -> Field:
    return Field("name", required=True, column=True, search=True, sort=True, synonyms=("名称", *synonyms))


def person(field: str, label: str) -> tuple[Field, Field]:
    """Who answers, and the number: shown masked but to those who call."""
    return (
        Field(field, personal=Personal(mask="name", **CALL_OUT), read="resources.contacts", synonyms=(label,)),
        Field(f"{field}_phone", kind="phone", personal=Personal(mask="phone", **CALL_OUT), read="resources.contacts", synonyms=(f"{label}电话",)),
    )


register(Register(
    "resources.equipment", Equipment, label=_("Equipment"), one=_("Piece of equipment"), icon="wrench", subject="equipment", read="resources.read", write="resources.write", key=("code",), fresh=YEAR,
    note=("kind", "state"), check=equipment_check, tabs=FORCES,
    fields=(
        Field("code", required=True, pattern=CODE, column=True, search=True, synonyms=("资产编号", "编号", "装备编号")), name("装备名称"),
        Field("kind", codes="equipment_kind", required=True, column=True, filter=True, synonyms=("类别", "装备类别")), Field("amount", min=1, max=100_000, synonyms=("数量",)),
        Field("ability", column=True, sort=True, min=0, max=10_000_000, synonyms=("能力", "主要参数")),
        Field("state", codes="equipment_state", column=True, filter=True, write="resources.readiness", synonyms=("状态", "完好状态")),
        Field("team", ref="resources.team", column=True, filter=True, synonyms=("所属队伍", "队伍编号")), Field("warehouse", ref="resources.warehouse", filter=True, synonyms=("存放仓库", "仓库编号")),
        Field("shared", filter=True, synonyms=("可调用",)), Field("maker", search=True, synonyms=("生产厂家",)), Field("serial", search=True, synonyms=("出厂编号", "序列号")),
        Field("bought_on", synonyms=("启用日期",)), Field("retire_on", sort=True, synonyms=("报废日期",)), Field("note", synonyms=("备注",)),
    ),
))

register(Register(
    "resources.test", EquipmentTest, label=_("Tests and maintenance"), one=_("Test"), icon="clipboard-check", subject="equipment_test", read="resources.read", write="resources.readiness",
    key=("equipment", "kind", "done_on"), title="equipment", sort="-done_on", note=("kind", "passed"), check=test_check, tabs=FORCES,
    fields=(
        Field("equipment", ref="resources.equipment", required=True, column=True, filter=True, synonyms=("资产编号", "装备")), Field("kind", codes="equipment_test", required=True, column=True, filter=True, synonyms=("类型",)),
        Field("done_on", required=True, column=True, sort=True, synonyms=("日期",)), Field("passed", required=True, column=True, filter=True, synonyms=("合格", "是否合格")),
        Field("valid_until", column=True, sort=True, synonyms=("有效期至",)), Field("done_by", synonyms=("实施人员", "检测单位")), Field("note", synonyms=("备注",)),
    ),
))

register(Register(
    "resources.equipment_norm", EquipmentNorm, label=_("Equipment standards"), one=_("Equipment standard"), icon="ruler", subject="equipment_norm", read="resources.read", write="resources.write",
    key=("holder", "kind"), title="kind", note=("holder",), tabs=FORCES,
    fields=(
        Field("holder", codes="equipment_holder", required=True, column=True, filter=True, synonyms=("队伍类型",)), Field("kind", codes="equipment_kind", required=True, column=True, filter=True, synonyms=("装备类别",)),
        Field("quantity", required=True, column=True, min=1, max=100_000, synonyms=("配备标准", "应配数量")), Field("basis", column=True, search=True, synonyms=("依据",)),
    ),
))

register(Register(
    "resources.vehicle", Vehicle, label=_("Vehicles and vessels"), one=_("Vehicle"), icon="truck", subject="vehicle", read="resources.read", write="resources.write", key=("code",), fresh=timedelta(days=180),
    note=("kind", "state"), tabs=FORCES,
    fields=(
        Field("code", required=True, column=True, search=True, synonyms=("车牌号", "编号")), name("车辆名称"), Field("kind", codes="vehicle_kind", required=True, column=True, filter=True, synonyms=("车型",)),
        Field("state", codes="equipment_state", column=True, filter=True, write="resources.readiness", synonyms=("状态",)), Field("team", ref="resources.team", filter=True, synonyms=("所属队伍",)),
        Field("load_t", unit="t", min=0, max=10_000, column=True, sort=True, synonyms=("载重",)), Field("volume_m3", unit="m³", min=0, max=100_000, synonyms=("容积",)), Field("seats", max=10_000, column=True, sort=True, synonyms=("座位数",)),
        Field("wading_cm", unit="cm", max=1000, synonyms=("涉水深度",)), Field("speed_kmh", unit="km/h", min=1, max=300, synonyms=("行驶速度",)), Field("dangerous", filter=True, synonyms=("可运危化品",)),
        Field("insured_until", sort=True, group=_("Papers"), synonyms=("保险有效期",)), Field("inspected_until", sort=True, synonyms=("年检有效期",)), *person("driver", "驾驶员"), Field("note", synonyms=("备注",)),
    ),
))

register(Register(
    "resources.shelter", Shelter, label=_("Shelters"), one=_("Shelter"), icon="tent", subject="shelter", read="resources.read", write="resources.write", key=("code",), fresh=YEAR, note=("kind", "address"),
    tabs=FORCES,
    fields=(
        code("场所编号"), name("场所名称"), Field("kind", codes="shelter_kind", required=True, column=True, filter=True, synonyms=("类别",)), Field("indoor", filter=True, synonyms=("室内",)),
        Field("hazards", codes="team_hazard", many=True, filter=True, synonyms=("适用灾种",)), Field("capacity", unit=_("persons"), column=True, sort=True, max=1_000_000, synonyms=("可容纳人数", "容量")),
        Field("area_m2", unit="m²", max=100_000_000, synonyms=("有效面积",)), Field("days", unit=_("days"), max=3650, synonyms=("可开放天数",)),
        Field("facilities", codes="shelter_facility", many=True, filter=True, synonyms=("设施",)), Field("accessible", filter=True, synonyms=("无障碍",)),
        Field("ready_min", unit=_("minutes"), max=10_000, sort=True, synonyms=("启用时间",)), Field("address", column=True, search=True, synonyms=("地址",)),
        Field("duty_phone", kind="phone", group=_("Who answers"), synonyms=("值班电话",)), *person("manager", "负责人"), Field("note", synonyms=("备注",)),
    ),
))

register(Register(
    "resources.hospital", Hospital, label=_("Hospitals and first aid"), one=_("Hospital"), icon="hospital", subject="hospital", read="resources.read", write="resources.write", key=("code",),
    fresh=timedelta(days=180), note=("kind", "address"), tabs=FORCES,
    fields=(
        code(), name("医院名称"), Field("kind", codes="hospital_kind", column=True, filter=True, synonyms=("等级",)), Field("beds", column=True, sort=True, max=100_000, synonyms=("床位数",)),
        Field("icu_beds", column=True, sort=True, max=10_000, synonyms=("重症床位",)), Field("ambulances", column=True, max=10_000, synonyms=("救护车",)),
        Field("specialties", codes="hospital_specialty", many=True, filter=True, synonyms=("救治能力",)), Field("helipad", filter=True, synonyms=("可停直升机",)), Field("address", column=True, search=True, synonyms=("地址",)),
        Field("duty_phone", kind="phone", column=True, synonyms=("急诊电话", "值班电话")), Field("note", synonyms=("备注",)),
    ),
))

register(Register(
    "resources.key_site", KeySite, label=_("Key sites"), one=_("Key site"), icon="landmark", subject="key_site", read="resources.read", write="resources.write", key=("code",), fresh=YEAR, note=("kind", "address"),
    tabs=FORCES,
    fields=(
        code(), name("场所名称", "单位名称"), Field("kind", codes="key_site_kind", required=True, column=True, filter=True, synonyms=("类别",)), Field("people", unit=_("persons"), column=True, sort=True, max=1_000_000, synonyms=("人数",)),
        Field("helpless", unit=_("persons"), column=True, sort=True, max=1_000_000, synonyms=("行动不便人数",)), Field("address", column=True, search=True, synonyms=("地址",)),
        Field("duty_phone", kind="phone", group=_("Who answers"), synonyms=("值班电话",)), *person("contact", "负责人"), Field("note", synonyms=("备注",)),
    ),
))

register(Register(
    "resources.site", Site, label=_("Sites of the command link"), one=_("Link site"), icon="satellite-dish", subject="site", read="resources.read", write="resources.write", key=("code",), fresh=timedelta(days=90),
    tabs=((_("Roll calls"), "resources:rolls", "phone-call"),),
    fields=(
        code("点位编号"), name("点位名称"), Field("channels", codes="comm_channel", many=True, column=True, filter=True, synonyms=("通信方式",)), Field("video", column=True, filter=True, synonyms=("接入视频",)),
        Field("duty_phone", kind="phone", synonyms=("值班电话",)), Field("mobile", kind="phone", synonyms=("值班手机",)), Field("satellite", kind="phone", synonyms=("卫星电话",)),
        Field("video_address", synonyms=("视频会商地址",)), Field("call_sign", synonyms=("电台呼号",)), Field("note", synonyms=("备注",)),
    ),
))
