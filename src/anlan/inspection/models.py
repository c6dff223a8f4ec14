"""The room's noun: a hidden danger (隐患) on its way from the report to being struck off."""
from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from anlan.kernel.models import CaseRow


class Danger(CaseRow):
    """One hidden danger. Its state, number, post, deadline and timeline are the loop's; here is what a danger is."""

    kind = models.CharField(_("Kind"), max_length=20)
    premises = models.CharField(_("Premises"), max_length=160, help_text=_("the enterprise or place inspected"))
    address = models.CharField(_("Address"), max_length=200, blank=True)
    text = models.TextField(_("What was found"))
    found_on = models.DateField(_("Found on"))
    # assessment
    grade = models.CharField(_("Grade"), max_length=10, blank=True)
    basis = models.CharField(_("Basis of the grade"), max_length=300, blank=True, help_text=_("the standard or rule, with its clause"))
    # rectification, with its five settled things (五落实): measures, person, funds, time limit, precautions
    measures = models.TextField(_("Measures taken"), blank=True)
    responsible = models.CharField(_("Responsible person"), max_length=80, blank=True)
    funds_yuan = models.DecimalField(_("Funds"), max_digits=14, decimal_places=2, null=True, blank=True)
    rectify_by = models.DateField(_("To be put right by"), null=True, blank=True)
    precautions = models.TextField(_("Precautions until then"), blank=True)
    # listed supervision of a major danger
    supervisor = models.CharField(_("Supervised by"), max_length=10, blank=True, help_text=_("level that put it on its list"))
    list_number = models.CharField(_("Number of the supervision notice"), max_length=60, blank=True)
    reviewed_on = models.DateField(_("Effect reviewed on"), null=True, blank=True)
    effect = models.CharField(_("Effect"), max_length=10, blank=True)
