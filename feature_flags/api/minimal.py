"""The minimal flag: what experiments, my_flags and the definitions feed show of a flag."""

from collections.abc import Mapping
from typing import Any

import orjson
from django.db.models import F
from django.db.models.expressions import Combinable

from common import documents
from common.documents import as_text, fragment
from feature_flags import encryption

_FIELDS = (
    "id",
    "project_id",
    "name",
    "key",
    "deleted",
    "active",
    "ensure_experience_continuity",
    "has_encrypted_payloads",
    "version",
    "evaluation_runtime",
    "bucketing_identifier",
    "evaluation_contexts",
)


def minimal_flag_columns(relation: str = "") -> dict[str, Combinable]:
    """Annotations that select what `minimal_flag_of_row` reads, of the row itself or through a foreign key."""
    path = f"{relation}__" if relation else ""
    columns: dict[str, Combinable] = {f"flag_{name}": F(f"{path}{name}") for name in _FIELDS}
    return columns | {"flag_text_filters": as_text(f"{path}filters")}


def minimal_flag_of_row(row: Mapping[str, Any], *, in_clear: bool = False) -> dict[str, Any]:
    """The minimal flag of a `values()` row selected with `minimal_flag_columns`; `filters` is spliced in unparsed.

    An encrypted payload shows as the marker, unless the caller may read it `in_clear`.
    """
    return {
        "id": row["flag_id"],
        "team_id": row["flag_project_id"],
        "name": row["flag_name"],
        "key": row["flag_key"],
        "filters": shown_filters(
            row["flag_text_filters"], encrypted=row["flag_has_encrypted_payloads"], in_clear=in_clear
        ),
        "deleted": row["flag_deleted"],
        "active": row["flag_active"],
        "ensure_experience_continuity": row["flag_ensure_experience_continuity"],
        "has_encrypted_payloads": row["flag_has_encrypted_payloads"],
        "version": row["flag_version"],
        "evaluation_runtime": row["flag_evaluation_runtime"],
        "bucketing_identifier": row["flag_bucketing_identifier"],
        "evaluation_contexts": row["flag_evaluation_contexts"],
    }


def shown_filters(text: str, *, encrypted: bool, in_clear: bool) -> orjson.Fragment | dict[str, Any] | None:
    """Stored filters as a caller may see them, unparsed unless a payload in them is encrypted."""
    if encrypted:
        return encryption.shown(documents.loads(text), in_clear=in_clear)
    return fragment(text)
