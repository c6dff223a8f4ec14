"""People: members of teams and others on posts, their certificates and training, and experts with what they were asked."""
from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from anlan.kernel.models import CaseRow, RealmRow, RegisterRow

from .teams import Team


class Member(RegisterRow):
    """Somebody who can be sent or asked (应急人员): a member of a team, an information officer, a volunteer."""

    code = models.CharField(_("Code"), max_length=40)
    role = models.CharField(_("Role"), max_length=20)
    team = models.ForeignKey(Team, verbose_name=_("Rescue team"), null=True, blank=True, on_delete=models.PROTECT, related_name="people")
    name = models.CharField(pgettext_lazy("person", "Name"), max_length=80, blank=True)
    phone = models.CharField(_("Mobile number"), max_length=40, blank=True)
    insured_until = models.DateField(_("Insurance valid until"), null=True, blank=True)
    joined_on = models.DateField(_("Since"), null=True, blank=True)
    note = models.TextField(_("Note"), blank=True)

    def __str__(self) -> str:
        return self.code


class Certificate(RegisterRow):
    """A certificate held or a course passed; valid through its last day."""

    member = models.ForeignKey(Member, verbose_name=_("Person"), on_delete=models.PROTECT, related_name="certificates")
    course = models.CharField(_("Course or certificate"), max_length=30)
    passed_on = models.DateField(pgettext_lazy("certificate", "Passed on"))
    valid_until = models.DateField(_("Valid until"), null=True, blank=True, help_text=_("the last valid day; empty: as long as the rule for the course says"))
    number = models.CharField(pgettext_lazy("certificate", "Number"), max_length=60, blank=True)
    issuer = models.CharField(pgettext_lazy("certificate", "Issued by"), max_length=120, blank=True)

    def __str__(self) -> str:
        return f"{self.member} {self.course}"


class Expert(RegisterRow):
    """An expert of the library (应急专家): for which fields, for whom not, when to be had."""

    code = models.CharField(_("Code"), max_length=40)
    fields = models.JSONField(_("Fields"), default=list, blank=True)
    level = models.CharField(_("Level"), max_length=20, blank=True)
    employer = models.CharField(_("Employer"), max_length=160, blank=True)
    recusal = models.TextField(_("Not to be asked about"), blank=True, help_text=_("units whose affairs are the expert's own, one a line"))
    available = models.BooleanField(_("Available"), default=True)
    away_until = models.DateField(_("Away until"), null=True, blank=True)
    appointed_until = models.DateField(_("Appointed until"), null=True, blank=True)
    name = models.CharField(pgettext_lazy("person", "Name"), max_length=80, blank=True)
    phone = models.CharField(_("Mobile number"), max_length=40, blank=True)
    title = models.CharField(pgettext_lazy("expert", "Title"), max_length=80, blank=True)
    note = models.TextField(_("Note"), blank=True)

    def __str__(self) -> str:
        return self.code


class ExpertDraw(RealmRow):
    """A draw of experts: with its seed and its lists anybody can draw again and must get the same."""

    SCOPE = "resources.read"
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    field = models.CharField(max_length=30)
    about = models.CharField(max_length=300)
    parties = models.JSONField(default=list, help_text="units the matter is about; their experts are left out")
    reason = models.CharField(max_length=300)
    seed = models.CharField(max_length=32)
    pool = models.JSONField(help_text="codes of those who could be drawn, in order")
    left_out = models.JSONField(help_text="[[code, why]]")
    chosen = models.JSONField(help_text="codes, in the order drawn; the rest of the order are the substitutes")
    person = models.UUIDField(null=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.about


class Opinion(CaseRow):
    """An expert's opinion that was asked for (专家意见): given, it is signed and kept."""

    expert = models.ForeignKey(Expert, verbose_name=_("Expert"), null=True, blank=True, on_delete=models.PROTECT, related_name="opinions")
    draw = models.ForeignKey(ExpertDraw, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    question = models.TextField(pgettext_lazy("expert", "Question"))
    opinion = models.TextField(_("Opinion"), blank=True)
    signature = models.CharField(_("Signature"), max_length=80, blank=True, help_text=_("sha256 over question, opinion, expert and time"))
