"""The kernel's Django app."""
from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


def fill(sender: Any, **_: Any) -> None:
    """After every migration: the coming months of the access log, the code lists this release ships, the moves its loops allow."""
    from . import access_log, codes
    from .loops import declare
    from .registers import counting

    access_log.make_partitions()
    codes.load_defaults()
    declare.write_rules()
    counting.ensure()


class KernelConfig(AppConfig):
    name = "anlan.kernel"
    label = "kernel"
    verbose_name = _("People and posts")  # type: ignore[assignment]  # what its registers are about

    def ready(self) -> None:
        from . import access, checks, daily, facts, files, search, subjects  # noqa: F401

        access.declare("work.read", _("See work items of the region"))
        access.declare("orders.read", _("See orders of the region"))
        access.declare("orders.withdraw", _("Withdraw orders"), second_factor=True)
        access.declare("realms.start", _("Start an exercise or a replay"), machine=True)
        access.declare("realms.stop", _("Stop an exercise or a replay"), machine=True)
        access.declare("journal.read", _("Read the journal of the region"))
        access.declare("kernel.administer_system", _("Administer the system"), second_factor=True)
        access.declare("kernel.administer_security", _("Administer accounts and grants"), second_factor=True)
        access.declare("kernel.audit", _("Audit"), second_factor=True)
        access.declare("people.read", _("See organisations, posts and persons"))
        access.declare("people.manage", _("Keep organisations, posts and persons"), machine=False)
        access.declare("people.erase", _("Erase personal data whose time is over"), machine=True)
        access.declare("contacts.read", _("See the contact list of the region"), within=("people.manage",))
        access.declare("contacts.numbers", _("See all telephone numbers without a mask"), machine=False)
        access.declare("contacts.manage", _("Keep the contact list"), machine=False, within=("people.manage",))
        access.declare("shift.read", _("See duty roster, shift log and hand-overs"))
        access.declare("shift.manage", _("Keep the duty roster"), machine=False)
        access.declare("shift.log", _("Write the shift log and hand over"), machine=False)
        access.declare("places.manage", _("Import and change regions"), machine=True)
        access.declare("codes.manage", _("Change code lists"), machine=False)
        access.declare("loops.recheck", _("Draw closed cases for re-checking and re-check them"), machine=True)
        access.declare("files.read", _("See attachments of the region"))
        access.declare("phone.settle", _("Decide about what was kept from the field"), machine=False)
        subjects.register("order", "kernel.Order", "kernel:order", _("Order"))
        # Who has the order in hand may read and add its photographs, with or without a right to read the board.
        files.readable("order", lambda actor, realm, row: row.realm_id == realm.pk and (
            bool({row.post_id, row.escalated_to_id} & set(access.posts(actor))) or type(row).objects.seen_by(actor, realm).filter(pk=row.pk).exists()))
        subjects.register("work", "kernel.WorkItem", "", _("Work item"))
        subjects.register("realm", "kernel.Realm", "", _("Realm"))
        subjects.register("region", "kernel.Region", "", _("Region"))
        subjects.register("fact", "", "kernel:fact", _("Fact"))
        subjects.register("post", "kernel.Post", "", _("Post"))
        subjects.register("person", "kernel.Person", "kernel:contact", _("Person"))
        subjects.register("account", "kernel.Account", "", _("Account"))
        subjects.register("organisation", "kernel.Organisation", "", _("Organisation"))
        subjects.register("request", "kernel.TwoPersonRequest", "kernel:request", _("Two-person request"))
        subjects.register("duty", "kernel.RosterEntry", "", _("Duty"))
        subjects.register("swap", "kernel.Swap", "kernel:swap", _("Swap of duty"))
        subjects.register("shift_note", "kernel.ShiftNote", "", _("Shift log"))
        subjects.register("hand_over", "kernel.HandOver", "kernel:hand_over", _("Hand-over"))
        subjects.register("file", "kernel.Attachment", "kernel:file", _("Attachment"))
        subjects.register("evidence", "kernel.KeptEvidence", "kernel:evidence", _("Kept from the field"))
        subjects.register("codes", "", "kernel:codes_of", _("Code list"))
        subjects.register("parked", "kernel.Parked", "kernel:parked", _("Stuck reaction"))
        daily.chore("kernel.forget_persons", "anlan.kernel.retention.forget_persons")
        daily.chore("kernel.forget_registers", "anlan.kernel.retention.forget_registers")
        daily.chore("kernel.head", "anlan.kernel.heads.take")
        daily.chore("kernel.fold_counts", "anlan.kernel.registers.counting.fold")
        post_migrate.connect(fill, sender=self, dispatch_uid="kernel.fill")
        search.start()
        from . import contacts, shift_log  # noqa: F401
        from .loops import importing, lint, recheck  # noqa: F401
        from .loops import words as loop_words  # noqa: F401
        from .phone import kinds, words  # noqa: F401
        from .registers import feed  # noqa: F401
        from .registers import words as register_words  # noqa: F401

        recheck.start()
        # Each room's <room>/registers.py and <room>/loops.py; the rooms' models are all there by now.
        autodiscover_modules("registers", "loops")
