"""The contact list at its own short addresses: pages of the register `kernel.contact`."""
from __future__ import annotations

from django.urls import path

from .contacts import CONTACTS
from .registers import pages, wizard

_ours = {"name": CONTACTS.name}
urlpatterns = [
    path("contacts", pages.rows, _ours, name="contacts"),
    path("contacts/print", pages.printed, _ours, name="contacts_print"),
    path("contacts/export", wizard.export, _ours, name="contacts_export"),
    path("contacts/new", pages.create, _ours, name="contact_new"),
    path("contacts/<uuid:key>", pages.entry, _ours, name="contact"),
    path("contacts/<uuid:key>/edit", pages.edit, _ours, name="contact_edit"),
]
