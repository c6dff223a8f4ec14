"""The one client for calls out of the house: feeds, gateways, webhooks. Nobody else opens a connection to a stranger.

Judged at the moment of connecting, on the very address that is then used (DNS is resolved once and pinned), again for each
redirect: private, loopback, link-local and reserved ranges are refused unless the host is listed in ANLAN_OUTBOUND_ALLOW.
Only hosts the caller names (the configured address, or the list) are called; size and total time are limited.
"""
from __future__ import annotations

import functools
import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpcore
from django.conf import settings
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from .errors import Kind

REFUSED = Kind("kernel.outbound_refused", 422, _("{host} is not called: {reason}"))
FAILED = Kind("kernel.outbound_failed", 502, _("{host} did not answer as it should: {reason}"), blame="supplier")

MAX_BYTES = 5 * 1024 * 1024
TIMEOUT_S = 10.0
REDIRECTS = 3
NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str]  # names in lower case
    content: bytes
    url: str


def allowed_hosts() -> set[str]:
    """Hosts of ANLAN_OUTBOUND_ALLOW, in lower case."""
    return {host.strip().casefold() for host in settings.OUTBOUND_ALLOW if host.strip()}


def _is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return inner.is_global and not inner.is_multicast
    return ip.is_global and not ip.is_multicast


class _Stream(httpcore.NetworkStream):
    """A connection that ends at the deadline, however slowly the other side drips."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self.stream, self.deadline = stream, deadline

    def _left(self, timeout: float | None) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("out of time")
        return min(left, timeout or left)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.stream.read(max_bytes, self._left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.stream.write(buffer, self._left(timeout))

    def close(self) -> None:
        self.stream.close()

    def start_tls(self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None) -> httpcore.NetworkStream:
        return _Stream(self.stream.start_tls(ssl_context, server_hostname, self._left(timeout)), self.deadline)

    def get_extra_info(self, info: str) -> Any:
        return self.stream.get_extra_info(info)


def pin(host: str, port: int) -> str:
    """The one address to connect to, judged like every other; for protocols that are not HTTP (SMTP)."""
    try:
        found = [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        raise FAILED(host=host, reason=gettext("there is no such host ({error})").format(error=error)) from None
    if host.casefold() not in allowed_hosts():
        for address in found:
            # One private address among several is enough: round-robin DNS is how such a check is slipped past.
            if not _is_public(address):
                raise REFUSED(host=host, reason=gettext("{address} is a private or reserved address, and the host is not in ANLAN_OUTBOUND_ALLOW").format(address=address))
    return found[0]


class _Pinned(httpcore.NetworkBackend):
    """Resolve, judge every address, connect to the one judged."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.backend = httpcore.SyncBackend()

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, local_address: str | None = None, socket_options: Any = None) -> httpcore.NetworkStream:
        address = pin(host, port)
        left = max(0.1, min(timeout or TIMEOUT_S, self.deadline - time.monotonic()))
        return _Stream(self.backend.connect_tcp(address, port, left, local_address, socket_options), self.deadline)


def request(
    method: str, url: str, *, headers: Mapping[str, str] | None = None, content: bytes = b"", hosts: Iterable[str] = (),
    timeout: float = TIMEOUT_S, max_bytes: int = MAX_BYTES, redirects: int = REDIRECTS, verify: ssl.SSLContext | None = None,
) -> Response:
    """One call. The url's own host counts as named; a redirect may lead only to `hosts` or to a listed host.

    Raises kernel.outbound_refused (we do not call that) or kernel.outbound_failed (it did not answer, too slow, too large).
    A redirect of anything but GET is refused: a body meant for one receiver is not handed to another.
    """
    listed = allowed_hosts()
    first = _host(url)
    named = {first, *(host.casefold() for host in hosts), *listed}
    deadline = time.monotonic() + timeout
    for _hop in range(redirects + 1):
        host = _host(url)
        if host not in named:
            raise REFUSED(host=host, reason=gettext("it is neither the configured host nor in ANLAN_OUTBOUND_ALLOW"))
        status, answered, body = _once(method, url, dict(headers or {}), content, _Pinned(deadline), deadline, max_bytes, verify)
        if status in (301, 302, 303, 307, 308) and "location" in answered:
            if method != "GET":
                raise REFUSED(host=host, reason=gettext("it redirects what was meant for it alone"))
            before, url = urlsplit(url), urljoin(url, answered["location"])
            if before.scheme == "https" and urlsplit(url).scheme != "https":
                raise REFUSED(host=host, reason=gettext("it redirects from https to http"))
            if _host(url) != host:
                headers = {name: value for name, value in (headers or {}).items() if name.casefold() not in ("authorization", "cookie")}
            continue
        return Response(status, answered, body, url)
    raise FAILED(host=first, reason=gettext("more than {n} redirects").format(n=redirects))


def get(url: str, **options: Any) -> Response:
    return request("GET", url, **options)


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname or "", parts.port
    except ValueError as error:
        raise REFUSED(host=url[:80], reason=str(error)) from None
    if parts.scheme not in ("http", "https") or not host:
        raise REFUSED(host=url[:80], reason=gettext("only http and https addresses are called"))
    if parts.username is not None or any(ord(one) < 33 for one in url):
        raise REFUSED(host=host, reason=gettext("the address holds a user name or control characters"))
    return host.casefold()


@functools.cache
def _trusted() -> ssl.SSLContext:
    """The system's authorities. Reading them takes longer than a call: a thousand messages must not do it a thousand times."""
    return ssl.create_default_context()


def _once(
    method: str, url: str, headers: dict[str, str], content: bytes, backend: _Pinned, deadline: float, max_bytes: int, verify: ssl.SSLContext | None
) -> tuple[int, dict[str, str], bytes]:
    host = _host(url)
    headers = {"Host": urlsplit(url).netloc, "User-Agent": "Anlan", "Accept-Encoding": "identity", "Connection": "close", **headers}
    if content:
        headers["Content-Length"] = str(len(content))
    left = max(0.1, deadline - time.monotonic())
    limits = {"timeout": {"connect": left, "read": left, "write": left, "pool": left}}
    try:
        with httpcore.ConnectionPool(ssl_context=verify or _trusted(), network_backend=backend, max_connections=1) as pool:
            with pool.stream(method, url, headers=list(headers.items()), content=content or None, extensions=limits) as answer:
                body = bytearray()
                for chunk in answer.iter_stream():
                    body += chunk
                    if len(body) > max_bytes:
                        raise FAILED(host=host, reason=gettext("more than {n} bytes").format(n=f"{max_bytes:,}"))
                names = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
                return answer.status, names, bytes(body)
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, OSError, ValueError) as error:
        raise FAILED(host=host, reason=f"{type(error).__name__}: {error}"[:200]) from None
