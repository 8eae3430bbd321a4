"""Which saved metrics a request links to an experiment, before anyone looks whether they exist."""

from dataclasses import dataclass
from typing import Any

from common.errors import Invalid
from projects.access import parse_id

ATTR = "saved_metrics_ids"
UNKNOWN = "Saved metric does not exist or does not belong to this project"


@dataclass(frozen=True, kw_only=True)
class LinkRequest:
    """One wanted link. `metadata` has a `type`: `primary`, or any other text for a secondary metric."""

    saved_metric_id: int
    metadata: dict[str, Any]


def parse_links(value: Any) -> list[LinkRequest]:
    """The wanted links, in the order sent and each saved metric once; null wants none. Raises Invalid."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise Invalid(f'Expected a list of items but got type "{type(value).__name__}".', code="not_a_list", attr=ATTR)
    links = [LinkRequest(saved_metric_id=_id(sent), metadata=_metadata(sent)) for sent in value]
    if len({link.saved_metric_id for link in links}) < len(links):
        raise unknown()
    return links


def unknown() -> Invalid:
    """The refusal of an id that is nobody's, another project's, named twice or no id at all."""
    return Invalid(UNKNOWN, attr=ATTR)


def _id(sent: Any) -> int:
    if not isinstance(sent, dict):
        raise Invalid("Saved metric must be an object", attr=ATTR)
    if "id" not in sent:
        raise Invalid("Saved metric must have an id", attr=ATTR)
    named = sent["id"]
    if isinstance(named, bool) or not isinstance(named, int) or parse_id(str(named)) is None:
        raise unknown()
    return named


def _metadata(sent: dict[str, Any]) -> dict[str, Any]:
    metadata = sent.get("metadata")
    if metadata is None:
        return {"type": "primary"}
    if not isinstance(metadata, dict):
        raise Invalid("Metadata must be an object", attr=ATTR)
    if not isinstance(metadata.get("type"), str):
        raise Invalid("Metadata must have a type key", attr=ATTR)
    return metadata
