"""The answers of a project's flags for one asker: what was sent, overlaid on what is stored, put to the evaluator."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from common.matching import Moment
from feature_flags import identities
from feature_flags.evaluation.definitions import Flag
from feature_flags.evaluation.evaluate import Evaluator
from feature_flags.evaluation.outcomes import Evaluation
from feature_flags.evaluation.project import Definitions, Needs, Selection
from feature_flags.evaluation.subject import Subject
from feature_flags.identities import NOBODY, StoredIdentity
from feature_flags.project_definitions import ProjectDefinitions


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """For whom flags are asked, as a request says it.

    `groups` are keys by group type name, `group_properties` likewise. With `reads_person` False the stored properties
    of the person are left aside.
    """

    distinct_id: str
    person_properties: Mapping[str, Any] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    group_properties: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    anonymous_id: str | None = None
    device_id: str | None = None
    reads_person: bool = True


@dataclass(frozen=True, slots=True)
class Answers:
    """Flags and their answers, in the same order. `any_failed` says whether one of the flags could not be evaluated."""

    flags: Sequence[Flag]
    evaluations: Sequence[Evaluation]
    any_failed: bool

    def __iter__(self) -> Iterator[tuple[Flag, Evaluation]]:
        return zip(self.flags, self.evaluations, strict=True)


NO_ANSWERS = Answers((), (), any_failed=False)


def answers(*, project: ProjectDefinitions, asked: Asked, selection: Selection, now: datetime) -> Answers:
    """The answers of the selected flags, in their order.

    Reads the database at most once, and not at all when what was sent suffices. A request that names an anonymous id
    makes the flags with experience continuity keep it for the person.
    """
    definitions, needs = project.definitions, selection.needs
    stored = _stored(project, asked, needs)
    who = subject(definitions, asked, stored, Moment(now, project.zone))
    found = Evaluator(definitions, who).all(selection)
    if asked.anonymous_id and stored.person_id is not None:
        unkept = needs.overrides - stored.overrides.keys()
        if unkept:
            identities.keep_overrides(
                project_id=project.project_id,
                person_id=stored.person_id,
                flags=sorted(unkept),
                hash_key=asked.anonymous_id,
            )
    return Answers(selection.flags, tuple(map(found.__getitem__, selection.ids)), selection.any_fails)


def _stored(project: ProjectDefinitions, asked: Asked, needs: Needs) -> StoredIdentity:
    reads_person = asked.reads_person and (
        needs.person_metadata or not needs.person_keys <= asked.person_properties.keys()
    )
    groups = dict(_unknown_groups(project.definitions.group_types, asked, needs))
    if not (reads_person or needs.static_cohorts or needs.overrides or groups):
        return NOBODY
    return identities.stored_identity(
        project_id=project.project_id,
        distinct_id=asked.distinct_id,
        anonymous_id=asked.anonymous_id,
        groups=groups,
        cohorts=needs.static_cohorts,
        flags=needs.overrides,
    )


def _unknown_groups(group_types: Mapping[int, str], asked: Asked, needs: Needs) -> Iterable[tuple[int, str]]:
    """The groups of which more must be known than was sent, keys by group type index."""
    for index, keys in needs.group_keys.items():
        name = group_types.get(index, "")
        if name in asked.groups and not keys <= asked.group_properties.get(name, {}).keys():
            yield index, asked.groups[name]


def subject(definitions: Definitions, asked: Asked, stored: StoredIdentity, moment: Moment) -> Subject:
    """The subject that results from what is stored and what was sent; of two values the sent one counts."""
    known = stored.properties if asked.reads_person else {}
    groups = {}
    for index, name in definitions.group_types.items():
        if name in asked.groups:
            sent = asked.group_properties.get(name, {})
            groups[name] = {**stored.group_properties.get(index, {}), **sent, "$group_key": asked.groups[name]}
    metadata = {} if stored.created_at is None or not asked.reads_person else {"created_at": _text(stored.created_at)}
    return Subject(
        distinct_id=asked.distinct_id,
        moment=moment,
        person={**known, **asked.person_properties, "distinct_id": asked.distinct_id},
        person_metadata=metadata,
        groups=asked.groups,
        group_properties=groups,
        device_id=asked.device_id,
        anonymous_id=asked.anonymous_id,
        overrides=stored.overrides,
        static_cohorts=stored.static_cohorts,
    )


def _text(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")
