"""What can go wrong with a case."""
from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from ..errors import Kind

NO_LOOP = Kind("kernel.no_loop", 404, _("There is no closed loop {loop}."))
NO_STEP = Kind("kernel.no_step", 404, _("{one} has no step {step}."))
ILLEGAL = Kind("kernel.case_illegal_step", 409, _("{number} is in the state “{state}” since {since} ({who}). “{step}” is not possible from there; possible: {legal}."))
SAME_DOER = Kind("kernel.case_same_person", 409, _("“{step}” needs another natural person than whoever did “{done}”."))
NOT_HOLDER = Kind("kernel.case_not_holder", 403, _("“{step}” is for the post that has the case: {post}."))
EVIDENCE = Kind("kernel.case_evidence", 422, _("“{step}” needs {photos} photographs and {files} files of its own; {found_photos} and {found_files} came with it."))
NOT_ALLOWED = Kind("kernel.case_not_allowed", 409, _("“{step}” is not possible now: {why}"))
DRAWN = Kind("kernel.recheck_drawn", 409, _("This period, or a part of it, has been drawn already ({when}). A second draw would make the first worthless."))
NO_DRAW = Kind("kernel.recheck_nothing", 409, _("No case of {loop} was closed in this period, so nothing can be drawn."))
TOO_EARLY = Kind("kernel.recheck_too_early", 409, _("The period has not ended yet; draw when it is over, so that nobody knows beforehand."))
CASE_FILE = Kind("kernel.case_file", 422, _("The file {file} does not belong to this case, was taken off it, or was evidence of an earlier step."))
