"""Exchange's error codes."""
from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from anlan.kernel.errors import Kind

CAP_REFUSED = Kind("exchange.cap_refused", 422, _("The message was not taken: {reason}. It is kept for inspection under Exchange."))
TOO_LARGE = Kind("exchange.too_large", 413, _("The document has {size} bytes; at most {limit} are taken."))
BAD_TOKEN = Kind("exchange.bad_token", 401, _("This credential is not known, or its link is switched off."))
BAD_ADDRESS = Kind("exchange.bad_address", 422, _("The address must begin with http:// or https:// and hold no user name."))
BAD_CERTIFICATE = Kind("exchange.bad_certificate", 422, _("The certificate cannot be read; paste it as PEM."))
BAD_KEY = Kind("exchange.bad_key", 422, _("This pair of key and certificate cannot sign: {reason}. Both must be PEM, belong together, be RSA of 2048 bits or more and be valid now."))
