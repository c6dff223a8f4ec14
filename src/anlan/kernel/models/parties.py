"""Who: organisations, posts, persons and accounts are different things (design §3.5)."""
from __future__ import annotations

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.utils.translation import gettext_lazy as _

from ..ids import new_id
from .base import Row
from .places import Region
from .registers import Listed


class Organisation(Row):
    """A unit: government, bureau, township, enterprise, team."""

    name = models.CharField(max_length=160)
    name_en = models.CharField(max_length=160, blank=True)
    kind = models.CharField(max_length=24, default="department")
    business_line = models.CharField(max_length=40, blank=True, help_text="条线: water, housing, transport, …")
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    region = models.ForeignKey(Region, null=True, on_delete=models.PROTECT, related_name="+")

    def __str__(self) -> str:
        return self.name


class Post(Row):
    """A position that work waits for. Silence goes to its superior."""

    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="posts")
    name = models.CharField(max_length=120)
    name_en = models.CharField(max_length=120, blank=True)
    kind = models.CharField(max_length=40, blank=True, help_text="code of the post's role: duty_officer, commander, …")
    region = models.ForeignKey(Region, null=True, on_delete=models.PROTECT, related_name="posts")
    superior = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="subordinates")
    phone = models.CharField(max_length=40, blank=True, help_text="duty telephone of the post, not of a person")
    active = models.BooleanField(default=True)

    class Meta:
        indexes = [models.Index(fields=["kind", "region"], name="post_kind_region")]

    def __str__(self) -> str:
        return self.name


class Person(Listed, Row):  # type: ignore[misc]  # both parents are abstract and say only that in their Meta
    """A natural person: an entry of the contact list (通讯录, `kernel/contacts.py`). Who has left it is no longer `active`."""

    # Declared for every personal field: purpose, legal basis, retention, mask (design §3.10).
    PERSONAL = {
        "name": ("identify who acts", "duty of the post", "ten years after the last post ended", ""),
        "mobile": ("reach the person on duty", "duty of the post", "90 days after the last post ended", "138****0000"),
        "email": ("reach the person on duty", "duty of the post", "90 days after the last post ended", "a***@…"),
    }
    name = models.CharField(_("Full name"), max_length=80)
    pinyin = models.CharField(max_length=160, blank=True)
    initials = models.CharField(max_length=40, blank=True, db_index=True)
    mobile = models.CharField(_("Mobile number"), max_length=40, blank=True)
    email = models.CharField(_("E-mail"), max_length=160, blank=True)
    organisation = models.ForeignKey(Organisation, verbose_name=_("Organisation"), null=True, on_delete=models.PROTECT, related_name="people")
    title = models.CharField(_("Job title"), max_length=80, blank=True)
    verified_at = models.DateTimeField(_("Last verified"), null=True, editable=False, help_text="when the contact data were last checked")
    verified_by = models.UUIDField(null=True, editable=False, help_text="person")
    active = models.BooleanField(default=True)

    def __str__(self) -> str:
        return self.name


class AccountManager(BaseUserManager["Account"]):
    def create_account(self, name: str, password: str | None = None, **extra: Any) -> Account:
        account = self.model(name=name, **extra)
        account.set_password(password)
        account.save(using=self._db)
        return account

    create_user = create_account


class Account(AbstractBaseUser):
    """A way to sign in: of a person, or of a machine (a named process, an outside system)."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=60, unique=True)
    person = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="accounts")
    machine = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    must_change_password = models.BooleanField(default=False)
    totp_secret = models.CharField(max_length=64, blank=True)
    totp_last = models.BigIntegerField(default=0, help_text="last time step accepted: a code counts once")
    pin_hash = models.CharField(max_length=200, blank=True, help_text="short code for changing person on the shared duty PC")
    language = models.CharField(max_length=10, default="zh-hans")
    created_at = models.DateTimeField(auto_now_add=True)

    USERNAME_FIELD = "name"
    objects = AccountManager()

    def __str__(self) -> str:
        return self.name


class Assignment(Row):
    """A person holds a post, dated, as A, B, acting, or for this shift."""

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="assignments")
    post = models.ForeignKey(Post, on_delete=models.PROTECT, related_name="assignments")
    role = models.CharField(max_length=8, default="A", choices=[("A", "A"), ("B", "B"), ("acting", "acting"), ("shift", "shift")])
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["person", "starts_at"], name="assignment_person"), models.Index(fields=["post", "starts_at"], name="assignment_post")]
        constraints = [models.CheckConstraint(condition=models.Q(ends_at=None) | models.Q(ends_at__gt=models.F("starts_at")), name="assignment_ends_after_start")]

    def __str__(self) -> str:
        return f"{self.person} – {self.post} ({self.role})"


class Grant(Row):
    """A post may do something, somewhere, for a time. Scope: a region's subtree, an organisation, a business line, own objects, an incident."""

    post = models.ForeignKey(Post, on_delete=models.PROTECT, related_name="grants")
    capability = models.CharField(max_length=60)
    region = models.ForeignKey(Region, null=True, on_delete=models.PROTECT, related_name="+", help_text="subtree; empty = everywhere")
    organisation = models.ForeignKey(Organisation, null=True, on_delete=models.PROTECT, related_name="+")
    business_line = models.CharField(max_length=40, blank=True)
    own_only = models.BooleanField(default=False)
    incident = models.UUIDField(null=True)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True)
    given_by = models.UUIDField(null=True, help_text="person who asked for it")
    confirmed_by = models.UUIDField(null=True, help_text="another person who confirmed it")

    class Meta:
        indexes = [models.Index(fields=["post", "capability"], name="grant_post_capability")]
        constraints = [
            models.CheckConstraint(condition=models.Q(given_by=None) | models.Q(confirmed_by=None) | ~models.Q(given_by=models.F("confirmed_by")), name="grant_two_persons"),
        ]

    def __str__(self) -> str:
        return f"{self.post}: {self.capability}"
