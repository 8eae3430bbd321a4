"""How the OpenAPI document describes each operation.

Everything is read off the views: names from the router, access from what a viewset declares, refusals from what an
operation can run into. Words come from `@extend_schema` or from a viewset's `summaries`, never from docstrings.
"""

import re
from collections.abc import Mapping
from typing import Any

from django.db import models
from drf_spectacular.drainage import warn
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import build_basic_type, is_list_serializer
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.pagination import BasePagination

from common.api.openapi_errors import ErrorSerializer, refusal

Schema = dict[str, Any]

VERBS = {"GET": "retrieve", "POST": "create", "PATCH": "partial_update", "DELETE": "destroy"}
SUMMARIES = {
    "list": "List {plural}",
    "create": "Create {one}",
    "retrieve": "Get {one}",
    "partial_update": "Change {one}",
    "destroy": "Delete {one}",
}
REFUSED_DELETE = 'Always refused. Delete by PATCH with `{"deleted": true}`.'
OWNERS: Mapping[str, str] = {
    "project_id": "The id of a project, or `@current`.",
    "organization_id": "The id of an organization, or `@current`.",
}
IF_MATCH = (
    "The `ETag` of the version this change is meant for, several of them, or `*`. "
    "Any other version refuses it. Without the header the last write wins."
)
ETAG = {"ETag": {"schema": {"type": "string"}, "description": "Names this version of the object."}}
ALWAYS_POSSIBLE = frozenset({400, 401, 403, 429, 500})
OF_A_REFUSED_DELETE = (401, 403, 405, 429)


class OperationSchema(AutoSchema):
    """How one operation is described. A view may declare, beside its access:

    - `summaries`: action name to the operation's summary, where no `@extend_schema` gives one;
    - `path_texts`: path parameter to what it takes, where that is more than an id;
    - `action_refusals`: action name to the error statuses that only this action has (409, 504);
    - `entity_tagged`: single objects carry an `ETag`, and writes to one of them heed `If-Match`.
    """

    # --- Names and words -----------------------------------------------------------------------------------------

    @property
    def action(self) -> str:
        return getattr(self.view, "action", None) or VERBS[self.method]

    @property
    def is_standard(self) -> bool:
        """Whether the action is one of the five that every resource may have."""
        return self.action in SUMMARIES

    def get_operation_id(self) -> str:
        basename: str | None = getattr(self.view, "basename", None)
        if basename is None:
            return super().get_operation_id()
        verb = "list" if self.method == "GET" and self._is_list_view() else VERBS[self.method]
        if self.is_standard:
            return f"{basename}_{verb}"
        address = getattr(getattr(self.view, self.action), "url_path", self.action)
        return f"{basename}_{re.sub(r'[^a-z0-9]+', '_', address).strip('_')}_{verb}"

    def get_tags(self) -> list[str]:
        segments = self.path.strip("/").split("/")[1:]
        owned = len(segments) > 2 and segments[1].strip("{}") in OWNERS and segments[1] != f"{{{self._lookup}}}"
        return [segments[2] if owned else segments[0]]

    @property
    def _lookup(self) -> str | None:
        return getattr(self.view, "lookup_url_kwarg", None)

    def get_summary(self) -> str:
        chosen: str | None = getattr(self.view, "summaries", {}).get(self.action)
        if chosen is not None:
            return chosen
        if not self.is_standard:
            warn(f"{self.get_operation_id()} has no summary: give it one by @extend_schema or in `summaries`")
            return ""
        plural = getattr(self.view, "basename", self.get_tags()[0]).replace("_", " ").replace("api", "API")
        singular = f"{plural.removesuffix('ies')}y" if plural.endswith("ies") else plural.removesuffix("s")
        article = "an" if singular[0] in "aeio" else "a"
        return SUMMARIES[self.action].format(plural=plural, one=f"{article} {singular}")

    def get_description(self) -> str:  # type: ignore[override]  # as the parent has it too
        return REFUSED_DELETE if self._is_refused_delete else ""

    @property
    def _is_refused_delete(self) -> bool:
        return self.method == "DELETE" and getattr(self.view, "deleted_by_patch", False)

    def is_deprecated(self) -> bool:
        return self._is_refused_delete

    def _get_serializer_name(self, serializer: Any, direction: Any, bypass_extensions: bool = False) -> str:
        """`X` for answers, `XCreate` or `XRequest` for requests, `PatchedX` for changes."""
        name: str = super()._get_serializer_name(serializer, direction, bypass_extensions)
        if direction != "request" or is_list_serializer(serializer):
            return name
        base = re.sub("(Update|Write)$", "", name.removesuffix("Request"))
        return base if base.startswith("Patched") or base.endswith(("Create", "Request")) else f"{base}Request"

    # --- Access --------------------------------------------------------------------------------------------------

    def get_auth(self) -> list[Schema]:
        declared = getattr(self.view, "security_requirements", None)
        return [] if declared is None else declared()

    # --- Parameters ----------------------------------------------------------------------------------------------

    def _get_paginator(self) -> BasePagination | None:
        paginator: BasePagination | None = super()._get_paginator()
        return paginator if self.action == "list" else None

    def _resolve_path_parameters(self, variables: list[str]) -> list[Schema]:
        return [self._path_parameter(variable) for variable in variables]

    def _path_parameter(self, variable: str) -> Schema:
        shown: Schema = {"in": "path", "name": variable, "required": True, "schema": {"type": "string"}}
        text = {**OWNERS, **getattr(self.view, "path_texts", {})}.get(variable)
        if text is not None:
            return {**shown, "description": text}
        queryset = getattr(self.view, "queryset", None)
        key = None if queryset is None else queryset.model._meta.pk
        if isinstance(key, models.IntegerField):
            shown["schema"] = build_basic_type(OpenApiTypes.INT64)
        elif isinstance(key, models.UUIDField):
            shown["schema"] = build_basic_type(OpenApiTypes.UUID)
        return shown

    def get_override_parameters(self) -> list[Any]:
        if not self._heeds_if_match:
            return []
        return [OpenApiParameter("If-Match", OpenApiTypes.STR, OpenApiParameter.HEADER, description=IF_MATCH)]

    @property
    def _heeds_if_match(self) -> bool:
        return self._is_tagged and bool(getattr(self.view, "detail", False)) and self.method in {"POST", "PATCH"}

    @property
    def _is_tagged(self) -> bool:
        tagged: bool = getattr(self.view, "entity_tagged", False)
        return tagged

    # --- Bodies --------------------------------------------------------------------------------------------------

    def map_parsers(self) -> list[str]:
        # Forms are read too, but nested data has no form of its own in them, and generators take one body best.
        return ["application/json"]

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> Schema:
        shown: Schema = super()._map_basic_serializer(serializer, direction)
        if getattr(serializer, "extra_properties", False):
            shown["additionalProperties"] = {}
        return shown

    def _get_serializer_field_meta(self, field: Any, direction: Any) -> Schema:
        meta: Schema = super()._get_serializer_field_meta(field, direction)
        # Labels come from names; and a request component holds what is written, so it need not say so.
        return {key: value for key, value in meta.items() if key not in {"title", "writeOnly"}}

    def _map_serializer_field(self, field: Any, direction: Any, bypass_extensions: bool = False) -> Schema | None:
        shown: Schema | None = super()._map_serializer_field(field, direction, bypass_extensions)
        if shown is not None and any(isinstance(value, float) for value in shown.get("enum", ())):
            # Generators know enums of texts and of integers only.
            values = ", ".join(str(value) for value in shown.pop("enum"))
            shown["description"] = f"One of {values}."
        return shown

    def _get_response_bodies(self, direction: Any = "response") -> Schema:
        if self._is_refused_delete:
            return {str(status): self._refusal(status) for status in OF_A_REFUSED_DELETE}
        bodies: Schema = super()._get_response_bodies(direction)
        for status, shown in bodies.items():
            if status.startswith("2") and not shown["description"]:
                shown["description"] = "Done."
        for refused in self._possible_refusals():
            bodies.setdefault(str(refused), self._refusal(refused))
        return dict(sorted(bodies.items()))

    def _possible_refusals(self) -> set[int]:
        possible = set(ALWAYS_POSSIBLE)
        possible.update(getattr(self.view, "action_refusals", {}).get(self.action, ()))
        if self._held_back_body() is not None:
            possible.add(409)
        if "{" in self.path:
            possible.add(404)
        if self._get_request_body() is not None:
            possible.update((413, 415))
        if self._heeds_if_match:
            possible.add(412)
        return possible

    def _refusal(self, status: int) -> Schema:
        if status == 405:
            return refusal(status, None)
        held_back = self._held_back_body() if status == 409 else None
        if held_back is not None:
            return refusal(status, self._map_serializer(held_back, "response"))
        return refusal(status, self.resolve_serializer(ErrorSerializer, "response").ref)

    def _held_back_body(self) -> Any:
        """What a write answers that has to wait for approval; None where none does."""
        described = getattr(self.view, "conflict_body", None)
        own = 409 in getattr(self.view, "action_refusals", {}).get(self.action, ())
        return None if described is None else described(self.action, edits_conflict=own)

    def _get_response_headers_for_code(self, status_code: str, direction: Any = "response") -> Schema:
        headers: Schema = super()._get_response_headers_for_code(status_code, direction)
        if status_code.startswith("2") and self._answers_one_tagged_object(status_code):
            headers.update(ETAG)
        return headers

    def _answers_one_tagged_object(self, status_code: str) -> bool:
        if not self._is_tagged or self._is_list_view():
            return False
        answered: Any = self.get_response_serializers()
        if isinstance(answered, dict):
            answered = {str(code): shown for code, shown in answered.items()}.get(status_code)
        kind = answered if isinstance(answered, type) else type(answered)
        return kind is getattr(self.view, "serializer_class", None)
