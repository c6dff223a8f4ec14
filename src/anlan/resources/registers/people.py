"""Members of teams and others on posts, their certificates and training, experts."""
from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils.translation import gettext_lazy as _

from anlan.kernel.registers import Field, Personal, Register, register

from ..models import Certificate, Expert, Member
from .teams import CALL_OUT, CODE, FORCES

ASK: dict[str, Any] = {"purpose": _("Ask an expert for advice"), "basis": "PIPL art. 13(4): response to emergencies; duty of the post"}


def certificate_check(values: dict[str, Any]) -> list[dict[str, str]]:
    if values.get("valid_until") and values.get("passed_on") and str(values["valid_until"]) < str(values["passed_on"]):
        return [{"field": "valid_until", "why": str(_("lies before the day it was passed"))}]
    return []


def member_check(values: dict[str, Any]) -> list[dict[str, str]]:
    if values.get("role") == "rescuer" and not values.get("team"):
        return [{"field": "team", "why": str(_("a rescuer belongs to a team"))}]
    return []


register(Register(
    "resources.member", Member, label=_("Emergency personnel"), one=_("Person"), icon="id-card", subject="member", read="resources.read", write="resources.write", key=("code",), fresh=timedelta(days=180),
    title="code", note=("role",), check=member_check, tabs=((_("Training"), "resources:training", "graduation-cap"), *FORCES),
    fields=(
        Field("code", required=True, pattern=CODE, column=True, search=True, sort=True, synonyms=("编号", "人员编号")), Field("role", codes="responder_role", required=True, column=True, filter=True, synonyms=("岗位", "角色")),
        Field("team", ref="resources.team", column=True, filter=True, synonyms=("所属队伍", "队伍编号")), Field("name", column=True, personal=Personal(mask="name", **CALL_OUT), read="resources.contacts", synonyms=("姓名",)),
        Field("phone", kind="phone", personal=Personal(mask="phone", **CALL_OUT), read="resources.contacts", synonyms=("手机", "联系电话")), Field("insured_until", sort=True, column=True, synonyms=("保险有效期",)),
        Field("joined_on", synonyms=("加入日期",)), Field("note", synonyms=("备注",)),
    ),
))

register(Register(
    "resources.certificate", Certificate, label=_("Certificates and training"), one=_("Certificate"), icon="graduation-cap", subject="certificate", read="resources.read", write="resources.write",
    key=("member", "course", "passed_on"), title="member", sort="-passed_on", note=("course",), check=certificate_check, tabs=((_("Training"), "resources:training", "graduation-cap"),),
    fields=(
        Field("member", ref="resources.member", required=True, column=True, filter=True, synonyms=("人员编号",)), Field("course", codes="training_course", required=True, column=True, filter=True, synonyms=("课程", "证书")),
        Field("passed_on", required=True, column=True, sort=True, synonyms=("发证日期", "考核日期")), Field("valid_until", column=True, sort=True, synonyms=("有效期至",)), Field("number", search=True, synonyms=("证书编号",)),
        Field("issuer", synonyms=("发证单位",)),
    ),
))

register(Register(
    "resources.expert", Expert, label=_("Experts"), one=_("Expert"), icon="user-star", subject="expert", read="resources.read", write="resources.write", key=("code",), fresh=timedelta(days=365), title="code",
    note=("level",), tabs=((_("Draw experts"), "resources:draw", "dices"),),
    fields=(
        Field("code", required=True, pattern=CODE, column=True, search=True, sort=True, synonyms=("编号", "专家编号")), Field("fields", codes="expert_field", many=True, required=True, column=True, filter=True, synonyms=("专业领域", "专业")),
        Field("level", codes="expert_level", column=True, filter=True, synonyms=("级别",)), Field("title", column=True, synonyms=("职称",)), Field("employer", search=True, synonyms=("工作单位",)),
        Field("recusal", synonyms=("回避单位",)), Field("available", column=True, filter=True, synonyms=("可用",)), Field("away_until", synonyms=("外出至",)),
        Field("appointed_until", sort=True, synonyms=("聘期至",)), Field("name", column=True, personal=Personal(mask="name", **ASK), read="resources.contacts", synonyms=("姓名",)),
        Field("phone", kind="phone", personal=Personal(mask="phone", **ASK), read="resources.contacts", synonyms=("手机", "联系电话")), Field("note", synonyms=("备注",)),
    ),
))
