"""Supplies: what there is to hold, where it may lie, what must be there, and the ledger of what is.

Catalogue, warehouses and standards are common knowledge; stock, movements and reservations belong to a realm. The ledger is kept by
the database itself: a balance changes only by an entry, an entry has two sides and is never changed, and nothing becomes negative.
"""
from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from anlan.kernel.models import CaseRow, RealmRow, RegisterRow
from anlan.kernel.models.base import SameRealm, Trigger
from anlan.kernel.models.registers import Listed


def amount(*args: Any, **more: Any) -> models.DecimalField:
    """A quantity in the item's own unit: three decimal places, up to 10^15."""
    return models.DecimalField(*args, max_digits=18, decimal_places=3, **more)


# --- registers -----------------------------------------------------------------------------------------------------------


class Item(RegisterRow):
    """A kind of supply (物资品种): what it is, how it is counted, how long it keeps."""

    OPEN_WITHOUT_REGION = True  # the catalogue is everybody's; an office may add items of its own region
    code = models.CharField(_("Code"), max_length=40)
    name = models.CharField(_("Name"), max_length=120)
    gb_code = models.CharField(_("Code after GB/T 38565"), max_length=7, blank=True, help_text=_("seven digits; left open where the standard's table is not at hand"))
    major = models.CharField(_("Class"), max_length=10, blank=True)
    specification = models.CharField(_("Specification"), max_length=200, blank=True)
    unit = models.CharField(_("Unit of the ledger"), max_length=10)
    per_box = amount(_("Holds per box"), null=True, blank=True, help_text=_("how many of the ledger's units one box holds"))
    weight_kg = models.DecimalField(_("Weight of one unit"), max_digits=12, decimal_places=4, null=True, blank=True)
    most = amount(_("Most in one movement"), null=True, blank=True, help_text=_("a larger quantity is taken for a slip of the pen"))
    keeps_days = models.PositiveIntegerField(_("Keeps for"), null=True, blank=True)
    rotate_days = models.PositiveIntegerField(_("Rotated before expiry"), null=True, blank=True, help_text=_("so many days before it expires it is used up and replaced"))
    hazards = models.JSONField(_("Used in"), default=list, blank=True)
    note = models.TextField(_("Note"), blank=True)

    def __str__(self) -> str:
        return self.name


class Warehouse(RegisterRow):
    """A place supplies lie in (仓库、储备点), of one of the four layers."""

    code = models.CharField(_("Code"), max_length=40)
    name = models.CharField(_("Name"), max_length=120)
    layer = models.CharField(_("Layer"), max_length=20)
    kind = models.CharField(_("Kind"), max_length=20, blank=True)
    release = models.BooleanField(_("Goods leave only after approval"), default=False, help_text=_("issues need an approved release; without it the keeper issues by himself"))
    address = models.CharField(_("Address"), max_length=200, blank=True)
    area_m2 = models.PositiveIntegerField(_("Floor area"), null=True, blank=True)
    duty_phone = models.CharField(_("Duty telephone"), max_length=40, blank=True, help_text=_("of the place, not of a person"))
    keeper = models.CharField(_("Keeper"), max_length=80, blank=True)
    keeper_phone = models.CharField(_("Keeper's mobile number"), max_length=40, blank=True)
    load_min = models.PositiveIntegerField(_("Loading time"), null=True, blank=True, help_text=_("from the order until the first vehicle drives off"))
    note = models.TextField(_("Note"), blank=True)

    def __str__(self) -> str:
        return self.name


class Minimum(RegisterRow):
    """What must always lie in a warehouse (最低储备量)."""

    warehouse = models.ForeignKey(Warehouse, verbose_name=_("Warehouse"), on_delete=models.PROTECT, related_name="minimums")
    item = models.ForeignKey(Item, verbose_name=pgettext_lazy("supplies", "Item"), on_delete=models.PROTECT, related_name="+")
    quantity = amount(_("Minimum"))
    basis = models.CharField(_("Basis"), max_length=200, blank=True)

    def __str__(self) -> str:
        return f"{self.warehouse} · {self.item}"


class Norm(RegisterRow):
    """What a layer is to hold of an item in a region, in all forms together (储备标准)."""

    layer = models.CharField(_("Layer"), max_length=20)
    item = models.ForeignKey(Item, verbose_name=pgettext_lazy("supplies", "Item"), on_delete=models.PROTECT, related_name="+")
    quantity = amount(_("Standard"))
    basis = models.CharField(_("Basis"), max_length=200, blank=True)

    def __str__(self) -> str:
        return f"{self.layer} · {self.item}"


class Holding(RegisterRow):
    """A reserve that lies with others: by agreement, as production capacity, declared by social bodies or families."""

    code = models.CharField(_("Code"), max_length=40)
    name = models.CharField(pgettext_lazy("supplies", "Held by"), max_length=160)
    form = models.CharField(pgettext_lazy("supplies", "Form"), max_length=20)
    layer = models.CharField(_("Layer"), max_length=20)
    item = models.ForeignKey(Item, verbose_name=pgettext_lazy("supplies", "Item"), on_delete=models.PROTECT, related_name="+")
    quantity = amount(pgettext_lazy("supplies", "Quantity"), help_text=_("in the item's own unit; of a capacity: per day"))
    hours = models.PositiveIntegerField(_("Delivered within"), null=True, blank=True)
    agreement = models.CharField(_("Number of the agreement"), max_length=80, blank=True)
    signed_on = models.DateField(_("Signed on"), null=True, blank=True)
    valid_until = models.DateField(_("Valid until"), null=True, blank=True)
    contact = models.CharField(_("Contact person"), max_length=80, blank=True)
    contact_phone = models.CharField(_("Contact's mobile number"), max_length=40, blank=True)
    note = models.TextField(_("Note"), blank=True)

    def __str__(self) -> str:
        return self.name


# --- the ledger ----------------------------------------------------------------------------------------------------------


class ByLedger(Trigger):
    """A balance and what is promised of it change only by entries and reservations, whoever writes."""

    function, events = "resources_stock_by_ledger", "INSERT OR UPDATE OF quantity, reserved"
    body = """
    BEGIN
        IF pg_trigger_depth() > 1 THEN RETURN NEW; END IF;
        IF TG_OP = 'INSERT' AND NEW.quantity = 0 AND NEW.reserved = 0 THEN RETURN NEW; END IF;
        IF TG_OP = 'UPDATE' AND NEW.quantity = OLD.quantity AND NEW.reserved = OLD.reserved THEN RETURN NEW; END IF;
        RAISE check_violation USING MESSAGE = 'a balance changes only by an entry of the ledger', CONSTRAINT = 'stock_by_ledger';
    END """


class Posted(Trigger):
    """An entry moves its two balances, and is never changed or removed afterwards."""

    function, events = "resources_entry_posted", "INSERT OR UPDATE OR DELETE"
    body = """
    BEGIN
        IF TG_OP <> 'INSERT' THEN
            RAISE check_violation USING MESSAGE = 'an entry of the ledger is never changed or removed', CONSTRAINT = 'entry_kept';
        END IF;
        IF NEW.source_id IS NOT NULL THEN
            UPDATE resources_stock SET quantity = quantity - NEW.quantity, version = version + 1
                WHERE id = NEW.source_id AND realm_id = NEW.realm_id AND item_id = NEW.item_id;
            IF NOT FOUND THEN RAISE check_violation USING MESSAGE = 'the entry takes from another item or realm', CONSTRAINT = 'entry_fits'; END IF;
        END IF;
        IF NEW.target_id IS NOT NULL THEN
            UPDATE resources_stock SET quantity = quantity + NEW.quantity, version = version + 1
                WHERE id = NEW.target_id AND realm_id = NEW.realm_id AND item_id = NEW.item_id;
            IF NOT FOUND THEN RAISE check_violation USING MESSAGE = 'the entry gives to another item or realm', CONSTRAINT = 'entry_fits'; END IF;
        END IF;
        RETURN NEW;
    END """


class Promised(Trigger):
    """What is promised of a balance is the sum of its open reservations."""

    function, events = "resources_reservation_counted", "INSERT OR UPDATE OR DELETE"
    body = """
    DECLARE delta numeric := 0;
    BEGIN
        IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND (NEW.stock_id <> OLD.stock_id OR OLD.state <> 'open')) THEN
            RAISE check_violation USING MESSAGE = 'a reservation is ended, not removed or moved', CONSTRAINT = 'reservation_kept';
        END IF;
        IF TG_OP = 'UPDATE' THEN delta := - OLD.remaining; END IF;
        IF NEW.state = 'open' THEN delta := delta + NEW.remaining; END IF;
        IF delta <> 0 THEN UPDATE resources_stock SET reserved = reserved + delta WHERE id = NEW.stock_id AND realm_id = NEW.realm_id; END IF;
        RETURN NEW;
    END """


class Stock(Listed, RealmRow):
    """What lies of one lot of an item in a warehouse. Its balance is written by the ledger's entries alone."""

    SCOPE = "resources.read"
    warehouse = models.ForeignKey(Warehouse, verbose_name=_("Warehouse"), on_delete=models.PROTECT, related_name="stock")
    item = models.ForeignKey(Item, verbose_name=pgettext_lazy("supplies", "Item"), on_delete=models.PROTECT, related_name="stock")
    lot = models.CharField(_("Lot"), max_length=60, blank=True)
    layer = models.CharField(_("Layer"), max_length=20)
    made_on = models.DateField(_("Made on"), null=True, blank=True)
    expires_on = models.DateField(_("Expires on"), null=True, blank=True, help_text=_("the last day it may be used"))
    price_yuan = models.DecimalField(_("Unit price"), max_digits=14, decimal_places=2, null=True, blank=True)
    quantity = amount(_("Held"), default=0)
    reserved = amount(_("Promised"), default=0)
    counted_at = models.DateTimeField(_("Last counted"), null=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["realm", "warehouse", "item", "lot"], name="stock_once"),
            models.CheckConstraint(condition=Q(quantity__gte=0), name="stock_not_negative"),
            models.CheckConstraint(condition=Q(reserved__gte=0) & Q(reserved__lte=F("quantity")), name="stock_promised_is_there"),
            ByLedger(name="resources_stock_by_ledger"),
        ]
        indexes = [
            # Which lot goes first, and how much there is of an item in a place.
            models.Index(fields=["realm", "item", "warehouse", "expires_on"], name="stock_first_out"),
            models.Index(fields=["realm", "expires_on"], condition=Q(quantity__gt=0, expires_on__isnull=False), name="stock_expiring"),
        ]

    def __str__(self) -> str:
        return f"{self.item} {self.lot}".strip()

    @property
    def label(self) -> str:
        """What its label says and is typed where no camera reads it: the item's code and the lot."""
        return f"{self.item.code} {self.lot}".strip()

    @property
    def free(self) -> Any:
        """What is held and promised to nobody."""
        return self.quantity - self.reserved


class Movement(RealmRow):
    """One act of the ledger (单据): goods come, go, change place, are lost, counted, given back."""

    SCOPE = "resources.read"
    RECEIVE, ISSUE, TRANSFER, LOSS, COUNT, RETURN, ROTATE, OPENING = "receive", "issue", "transfer", "loss", "count", "return", "rotate", "opening"
    KINDS = [
        (RECEIVE, pgettext_lazy("movement", "Received")), (ISSUE, pgettext_lazy("movement", "Issued")), (TRANSFER, _("Transferred")), (LOSS, _("Written off")), (COUNT, _("Counted")),
        (RETURN, _("Returned")), (ROTATE, _("Rotated out")), (OPENING, _("Carried over")),
    ]
    # The side that is no place of ours, by the kind of the movement: (where it comes from, where it goes).
    OUTSIDE = {
        RECEIVE: (_("Supplier"), ""), RETURN: (_("Use"), ""), OPENING: (_("Carried over"), ""), ISSUE: ("", _("Use")), ROTATE: ("", _("Rotation")), LOSS: ("", _("Loss")),
        COUNT: (_("Count difference"), _("Count difference")), TRANSFER: ("", ""),
    }

    kind = models.CharField(_("Kind"), max_length=10, choices=KINDS)
    warehouse = models.ForeignKey(Warehouse, verbose_name=_("Warehouse"), null=True, on_delete=models.PROTECT, related_name="+")
    other = models.ForeignKey(Warehouse, verbose_name=_("To warehouse"), null=True, on_delete=models.PROTECT, related_name="+")
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    organisation = models.ForeignKey("kernel.Organisation", null=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(_("When"), help_text="when it is said to have happened; created_at says when it was written")
    party = models.CharField(_("From or to whom"), max_length=160, blank=True)
    voucher = models.CharField(_("Voucher"), max_length=60, blank=True)
    reason = models.CharField(_("Reason"), max_length=300, blank=True)
    subject = models.CharField(max_length=80, blank=True, help_text="what it was done for: an order, a release, a count")
    account = models.UUIDField(null=True)
    person = models.UUIDField(null=True)
    by_post = models.UUIDField(null=True)
    lines = models.PositiveIntegerField(default=0)
    fact = models.UUIDField(null=True)

    class Meta:
        indexes = [models.Index(fields=["realm", "-at"], name="movement_newest"), models.Index(fields=["realm", "warehouse", "-at"], name="movement_of_place")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.voucher}".strip()


class Entry(RealmRow):
    """One line of a movement with its two sides: out of `source` into `target`; a missing side is outside, as the movement's kind names it."""

    SCOPE = "resources.read"
    movement = models.ForeignKey(Movement, on_delete=models.PROTECT, related_name="entries")
    item = models.ForeignKey(Item, on_delete=models.PROTECT, related_name="+")
    source = models.ForeignKey(Stock, null=True, on_delete=models.PROTECT, related_name="out_entries")
    target = models.ForeignKey(Stock, null=True, on_delete=models.PROTECT, related_name="in_entries")
    quantity = amount()
    said = amount(help_text="the quantity as it was written, in `unit`")
    unit = models.CharField(max_length=10)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(quantity__gt=0), name="entry_positive"),
            models.CheckConstraint(condition=Q(source__isnull=False) | Q(target__isnull=False), name="entry_has_a_place"),
            models.CheckConstraint(condition=~Q(source=F("target")), name="entry_moves"),
            SameRealm("movement", name="entry_movement_realm", to="resources_movement"),
            SameRealm("source", name="entry_source_realm", to="resources_stock"),
            SameRealm("target", name="entry_target_realm", to="resources_stock"),
            Posted(name="resources_entry_posted"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} {self.item_id}"


class Reservation(RealmRow):
    """A promise (预留): so much of a lot is kept for somebody until then."""

    SCOPE = "resources.read"
    OPEN, USED, ENDED, LAPSED = "open", "used", "ended", "lapsed"
    STATES = [(OPEN, _("open")), (USED, _("used")), (ENDED, _("given back")), (LAPSED, _("lapsed"))]
    stock = models.ForeignKey(Stock, on_delete=models.PROTECT, related_name="reservations")
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    organisation = models.ForeignKey("kernel.Organisation", null=True, on_delete=models.PROTECT, related_name="+")
    quantity = amount()
    remaining = amount(help_text="not yet issued")
    party = models.CharField(_("For whom"), max_length=160)
    reason = models.CharField(_("Reason"), max_length=300, blank=True)
    subject = models.CharField(max_length=80, blank=True, help_text="what it is kept for: an order, a release")
    until = models.DateTimeField(null=True)
    state = models.CharField(max_length=8, choices=STATES, default=OPEN)
    person = models.UUIDField(null=True)
    made_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(quantity__gt=0) & Q(remaining__gte=0) & Q(remaining__lte=F("quantity")), name="reservation_sound"),
            SameRealm("stock", name="reservation_stock_realm", to="resources_stock"),
            Promised(name="resources_reservation_counted"),
        ]
        indexes = [models.Index(fields=["realm", "subject"], condition=Q(state="open"), name="reservation_open")]

    def __str__(self) -> str:
        return f"{self.remaining} {self.party}"


# --- cases ---------------------------------------------------------------------------------------------------------------


class Release(CaseRow):
    """A request to let goods go (动用申请): from a warehouse whose goods leave only after approval."""

    warehouse = models.ForeignKey(Warehouse, verbose_name=_("Warehouse"), on_delete=models.PROTECT, related_name="+")
    item = models.ForeignKey(Item, verbose_name=pgettext_lazy("supplies", "Item"), on_delete=models.PROTECT, related_name="+")
    quantity = amount(pgettext_lazy("supplies", "Quantity"))
    unit = models.CharField(_("Unit"), max_length=10)
    party = models.CharField(_("For whom"), max_length=160)
    purpose = models.CharField(_("Purpose"), max_length=300)


class StockCount(CaseRow):
    """The counting of one lot (盘点), opened by a stock-take of its warehouse; the count is blind: the book's figure is not shown."""

    stock = models.ForeignKey(Stock, verbose_name=_("Stock"), null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    item = models.ForeignKey(Item, verbose_name=pgettext_lazy("supplies", "Item"), null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    lot = models.CharField(_("Lot"), max_length=60, blank=True)
    due_on = models.DateField(_("To be counted by"))
    seen = models.PositiveIntegerField(_("Version of the book"), null=True, blank=True, help_text=_("the book's version when the count was asked for; a later movement makes the count void"))
    counted = amount(_("Counted"), null=True, blank=True)
    unit = models.CharField(_("Unit"), max_length=10, blank=True)
    difference = amount(_("Difference"), null=True, blank=True, help_text=_("counted less book, in the item's own unit"))

    class Meta:
        constraints = [SameRealm("stock", name="count_stock_realm", to="resources_stock")]


class SupplyAlert(CaseRow):
    """Something about supplies that must be put right (储备预警): below minimum, expiring, expired, agreement over, to be replenished."""

    kind = models.CharField(_("Kind"), max_length=20)
    warehouse = models.ForeignKey(Warehouse, verbose_name=_("Warehouse"), null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    item = models.ForeignKey(Item, verbose_name=pgettext_lazy("supplies", "Item"), null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    stock = models.ForeignKey(Stock, verbose_name=_("Stock"), null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    holding = models.ForeignKey(Holding, verbose_name=_("Agreement"), null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    quantity = amount(pgettext_lazy("supplies", "Quantity"), null=True, blank=True)
    since = models.DateTimeField(_("Found at"), null=True, blank=True)

    class Meta:
        constraints = [SameRealm("stock", name="alert_stock_realm", to="resources_stock")]
