"""The room's error codes."""
from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from anlan.kernel.errors import Kind

NOT_ENOUGH = Kind("resources.not_enough", 409, _("{item}: {asked} {unit} are wanted, but only {free} {unit} are free in {place} ({reserved} promised, {barred} expired). Nothing was booked."))
UNIT_MIXED = Kind("resources.unit_mixed", 422, _("{item} is kept in {base}; how many {base} one {unit} is, nobody has said. Enter {base}, or complete the item's entry."))
NOT_WHOLE = Kind("resources.not_whole", 422, _("{item}: {asked} {unit} are {found} {base}, and {base} come whole only."))
ABSURD = Kind("resources.absurd_quantity", 422, _("{item}: {found} {base} in one movement is beyond {most}. If it is right, split it or change the item's entry."))
BAD_QUANTITY = Kind("resources.bad_quantity", 422, _("A quantity is a number above zero with at most three decimal places, not {asked}."))
EXPIRED = Kind("resources.expired", 409, _("Lot {lot} of {item} expired after {day}. It cannot be issued; write it off or rotate it out."))
LOT_DIFFERS = Kind("resources.lot_differs", 409, _("Lot {lot} of {item} is in the book already, expiring on {day}. A lot has one expiry date: check the label, or give this one its own lot number."))
NEEDS_RELEASE = Kind("resources.needs_release", 409, _("Goods leave {place} only after approval. Ask for a release first."))
BOOK_MOVED = Kind("resources.book_moved", 409, _("Goods of this lot moved after the count was asked for (book version {seen}, now {found}). Count again."))
NO_RESERVATION = Kind("resources.no_reservation", 409, _("Nothing is kept for this any more; it was used, given back or has lapsed."))
SAME_PLACE = Kind("resources.same_place", 422, _("Choose another warehouse: goods cannot be moved to where they are."))
NOTHING = Kind("resources.nothing_to_book", 422, _("Enter at least one line with an item and a quantity."))
NO_EXPERT = Kind("resources.no_expert", 409, _("{count} experts for {field} are wanted, but only {found} can be drawn ({left} are away, no longer appointed or concerned). Widen the field or ask the level above."))
ROLL_OVER = Kind("resources.roll_over", 409, _("This roll call has ended. Start another one."))
CHANNEL_ORDER = Kind("resources.channel_order", 409, _("Channels are tried in the site's order: {channel} comes first. Note what came of it."))
