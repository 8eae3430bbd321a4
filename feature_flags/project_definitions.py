"""The flags of a project as they are evaluated, read from the database and compiled."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db.models import BooleanField, ExpressionWrapper

from cohorts.models import Cohort
from common.documents import as_text
from events.models import GroupType
from feature_flags import encryption, usage
from feature_flags.evaluation.definitions import Flag, compile_flag
from feature_flags.evaluation.outcomes import Evaluation
from feature_flags.evaluation.project import Definitions, Selection, compile_cohorts, relate
from feature_flags.models import BucketingIdentifier, FeatureFlag
from feature_flags.visibility import is_visible
from projects.models import Project

# Callers that name ever new sets of contexts are answered without keeping more.
_MAX_SELECTIONS = 100


class FlagRow(NamedTuple):
    id: int
    key: str
    name: str
    active: bool
    version: int
    bucketing_identifier: str
    ensure_experience_continuity: bool
    evaluation_runtime: str
    evaluation_contexts: tuple[str, ...]
    is_remote_configuration: bool
    has_encrypted_payloads: bool
    has_experiment: bool
    text_filters: str


class _Source(NamedTuple):
    """Everything the definitions are made of. Equal sources make equal definitions."""

    token: str
    timezone: str
    flags: tuple[FlagRow, ...]
    cohorts: tuple[tuple[int, bool, str], ...]
    group_types: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectDefinitions:
    """The compiled definitions of one project.

    `rendered` is what the endpoints keep of their answers; it lives as long as the definitions do.
    """

    project_id: int
    token: str
    zone: ZoneInfo
    definitions: Definitions
    # The evaluation contexts that flags are bound to.
    contexts: frozenset[str]
    source: _Source
    compiled: Mapping[FlagRow, Flag]
    rendered: dict[Any, bytes] = field(default_factory=dict)
    # The answers that have been written, by shape. They are as many as the definitions know.
    records: dict[str, dict[Evaluation, bytes]] = field(default_factory=dict)
    selections: dict[tuple[str | None, frozenset[str]], Selection] = field(default_factory=dict)

    @property
    def has_active_flags(self) -> bool:
        return any(flag.active for flag in self.definitions.flags)

    def visible(self, *, runtime: str | None, contexts: Iterable[str]) -> Selection:
        """The active flags that a caller of this runtime which names these contexts sees, in the order of keys."""
        named = self.contexts.intersection(contexts)
        kept = self.selections.get((runtime, named))
        if kept is None:
            flags = self.definitions.by_key.values()
            kept = self.definitions.select(flag for flag in flags if is_visible(flag, runtime=runtime, contexts=named))
            if len(self.selections) < _MAX_SELECTIONS:
                self.selections[runtime, named] = kept
        return kept

    def memoized(self, key: Any, render: Callable[[], bytes]) -> bytes:
        """The bytes kept under `key`, rendered at the first call."""
        kept = self.rendered.get(key)
        if kept is None:
            kept = self.rendered[key] = render()
        return kept


def load(
    *, project_id: int | None = None, token: str | None = None, known: ProjectDefinitions | None = None
) -> ProjectDefinitions | None:
    """The definitions of the project with this id or token, None when there is none. Four short queries.

    What has not changed since `known` is taken from it, so that only changed flags are compiled.
    """
    by = {"pk": project_id} if token is None else {"api_token": token}
    project = Project.objects.filter(**by).values_list("pk", "api_token", "timezone").first()
    if project is None:
        return None
    found_id, found_token, timezone = project
    source = _Source(found_token, timezone, *_rows(found_id))
    if known is not None and known.source == source and known.project_id == found_id:
        return known
    before = {} if known is None else known.compiled
    compiled = {row: before.get(row) or compile_row(row) for row in source.flags}
    cohorts = {cohort_id: (is_static, parsed(text)) for cohort_id, is_static, text in source.cohorts}
    return ProjectDefinitions(
        project_id=found_id,
        token=found_token,
        zone=_zone(timezone),
        definitions=relate(
            flags=compiled.values(), cohorts=compile_cohorts(cohorts), group_types=dict(source.group_types)
        ),
        contexts=frozenset().union(*(flag.contexts for flag in compiled.values())),
        source=source,
        compiled=compiled,
    )


def row_of(flag: FeatureFlag, **changed: Any) -> FlagRow:
    """The row of a loaded flag with some columns changed; `filters` is the parsed document."""
    filters = changed.pop("filters", flag.filters)
    columns = {name: getattr(flag, name) for name in FlagRow._fields if hasattr(flag, name)} | changed
    return FlagRow(
        **columns
        | {
            "evaluation_contexts": tuple(columns["evaluation_contexts"]),
            "has_experiment": False,
            "text_filters": json.dumps(filters),
        }
    )


def _rows(
    project_id: int,
) -> tuple[tuple[FlagRow, ...], tuple[tuple[int, bool, str], ...], tuple[tuple[int, str], ...]]:
    flags = (
        FeatureFlag.objects.filter(project_id=project_id, deleted=False)
        .annotate(
            has_experiment=ExpressionWrapper(usage.in_use(), output_field=BooleanField()),
            text_filters=as_text("filters"),
        )
        .order_by("pk")
        .values_list(*FlagRow._fields)
    )
    cohorts = (
        Cohort.objects.filter(project_id=project_id, deleted=False)
        .order_by("pk")
        .values_list("pk", "is_static", as_text("filters"))
    )
    group_types = GroupType.objects.filter(project_id=project_id).order_by("group_type_index")
    return (
        tuple(FlagRow(*row)._replace(evaluation_contexts=tuple(row[8])) for row in flags),
        tuple(cohorts),
        tuple(group_types.values_list("group_type_index", "group_type")),
    )


def parsed(text: str) -> Any:
    """A stored document; None for one nested deeper than Python reads."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def compile_row(row: FlagRow) -> Flag:
    """The flag of a row, not yet put in relation to the others."""
    filters = parsed(row.text_filters)
    if row.has_encrypted_payloads and isinstance(filters, dict):
        # Ciphertext leaves the service nowhere.
        filters = {**filters, "payloads": {"true": encryption.MARKER}} if filters.get("payloads") else filters
    return compile_flag(
        filters=filters,
        id=row.id,
        key=row.key,
        active=row.active,
        version=row.version,
        by_device=row.bucketing_identifier == BucketingIdentifier.DEVICE_ID,
        continuity=row.ensure_experience_continuity,
        runtime=row.evaluation_runtime,
        contexts=frozenset(row.evaluation_contexts),
        has_experiment=row.has_experiment,
        is_remote_configuration=row.is_remote_configuration,
    )
