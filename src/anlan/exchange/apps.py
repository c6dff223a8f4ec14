"""Exchange's Django app."""
from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ExchangeConfig(AppConfig):
    name = "anlan.exchange"
    label = "exchange"
    verbose_name = "Exchange"

    def ready(self) -> None:
        from anlan.kernel import access, parties, shell, subjects

        from . import actions, errors, facts, keys  # noqa: F401

        parties.declare(keys.SIGNING_KEY, parties.Elsewhere(_("Key that signs our warnings"), actions.check_key, actions.change_key, actions.describe_key, by=("exchange.manage",)))
        parties.declare(actions.LINK_TRUST, parties.Elsewhere(_("How a link proves who speaks"), actions.check_trust, actions.change_trust, actions.describe_trust, by=("exchange.manage",)))

        access.declare("exchange.read", _("See links to other systems"))
        access.declare("exchange.manage", _("Manage links to other systems"), second_factor=True)
        subjects.register("feed_source", "exchange.FeedSource", "exchange:source", _("Link"))
        shell.words_for({
            "exchange.MessagesTakenIn": _("{source}: {received} messages taken in, {duplicates} known already, {refused} refused"),
            "exchange.SourceChanged": _("Link {subject}: {change}"),
            "exchange.FeedFailed": _("{name} cannot be read: {cause}"),
            "exchange.FeedRecovered": _("{name} can be read again"),
            "exchange.PagePublished": _("The public page was written by hand ({by})"),
            "exchange.FeedSilent": _("{name} has said nothing new for {minutes} minutes"),
            "exchange.FeedHeard": _("{name} speaks again"),
            "exchange.SigningKeyChanged": _("Our warnings are signed with another key: {key_id}"),
            "exchange.AlertSigned": _("Signed for the CAP feed ({algorithm})"),
        })
