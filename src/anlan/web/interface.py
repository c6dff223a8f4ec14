"""The HTTP API: each room's router under /api/v1/<room>/, one session, one shape of errors."""
from __future__ import annotations

import importlib
import importlib.util
import logging
import zlib
from typing import Any

import orjson
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.parser import Parser
from ninja.renderers import BaseRenderer

from anlan.kernel import pages
from anlan.kernel.errors import FORBIDDEN, INVALID, NOT_FOUND, SIGN_IN, UNEXPECTED, Problem
from anlan.kernel.ids import new_id
from anlan.kernel.session_auth import Session

log = logging.getLogger("anlan.api")
MAX_BODY = 16 * 1024 * 1024  # bytes, unpacked


class Body(Parser):
    """JSON, also gzipped (Content-Encoding: gzip): a telephone on a slow link pays for every byte."""

    def parse_body(self, request: HttpRequest) -> Any:
        body = request.body
        if request.headers.get("Content-Encoding", "") == "gzip":
            inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
            body = inflate.decompress(body, MAX_BODY)
            if inflate.unconsumed_tail:
                raise ValueError(f"more than {MAX_BODY} bytes")
        return orjson.loads(body)


class Orjson(BaseRenderer):
    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> bytes:
        return orjson.dumps(data, default=str, option=orjson.OPT_NON_STR_KEYS)


def make_api() -> NinjaAPI:
    api = NinjaAPI(
        title="Anlan", version="1", description="Emergency management: readings in, warnings, plans and orders out.",
        auth=Session(), docs_url=None, openapi_url="/openapi.json", urls_namespace="api", renderer=Orjson(), parser=Body(),
    )

    def answer(request: HttpRequest, problem: Problem) -> HttpResponse:
        return HttpResponse(orjson.dumps(problem.as_json()), status=problem.kind.status, content_type="application/json")

    @api.exception_handler(Problem)
    def _problem(request: HttpRequest, error: Problem) -> HttpResponse:
        return answer(request, error)

    @api.exception_handler(AuthenticationError)
    def _nobody(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
        return answer(request, SIGN_IN())

    @api.exception_handler(ValidationError)
    def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
        fields = [{"field": ".".join(str(part) for part in fault.get("loc", ())[1:]), "why": str(fault.get("msg", ""))} for fault in error.errors]
        return answer(request, INVALID(fields=fields))

    @api.exception_handler(Http404)
    def _missing(request: HttpRequest, error: Http404) -> HttpResponse:
        return answer(request, NOT_FOUND(kind="", key=request.path))

    @api.exception_handler(HttpError)
    def _http(request: HttpRequest, error: HttpError) -> HttpResponse:
        kinds = {401: SIGN_IN(), 403: FORBIDDEN(capability=str(error)), 404: NOT_FOUND(kind="", key=request.path)}
        return answer(request, kinds.get(error.status_code) or INVALID(fields=[{"field": "", "why": str(error)}]))

    @api.exception_handler(Exception)
    def _ours(request: HttpRequest, error: Exception) -> HttpResponse:
        reference = str(new_id())[-12:]
        log.exception("unexpected error %s at %s", reference, request.path)
        return answer(request, UNEXPECTED(reference=reference))

    for part, module in pages.parts("api"):
        api.add_router(f"/{part}", module.router, tags=[part])
    for room in settings.ROOMS:
        name = f"anlan.{room}.api"
        if f"anlan.{room}" in settings.INSTALLED_APPS and importlib.util.find_spec(name):
            module = importlib.import_module(name)
            if hasattr(module, "router"):
                api.add_router(f"/{room}", module.router, tags=[room])
    return api
