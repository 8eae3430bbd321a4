"""What happened, and to whom: events, the persons and groups they belong to, and named sets of events.

Stored events are read and written through `events.store` only; `Event` describes their table.

Where a unique constraint begins with the project, the project has no index of its own: it would cost every write, and
mislead the planner of a young database into reading all rows of a project.
"""

from events.models.kept import (
    AggregatedDay,
    ChangedDay,
    DeletedPerson,
    ExposureAggregation,
    ExposureWindow,
    PreaggregatedExposure,
    Rollup,
    RollupMeasure,
    RollupUnit,
    RollupValue,
)
from events.models.recorded import (
    MAX_DISTINCT_ID,
    MAX_EVENT_NAME,
    MAX_FLAG_KEY,
    MAX_GROUP_KEY,
    MAX_GROUP_TYPE,
    MAX_GROUP_TYPES,
    Action,
    CohortMembership,
    ContinuityOverride,
    Event,
    EventDefinition,
    Group,
    GroupType,
    ImportedFile,
    Person,
    PersonDistinctId,
    PersonOverride,
)

__all__ = [
    "MAX_DISTINCT_ID",
    "MAX_EVENT_NAME",
    "MAX_FLAG_KEY",
    "MAX_GROUP_KEY",
    "MAX_GROUP_TYPE",
    "MAX_GROUP_TYPES",
    "Action",
    "AggregatedDay",
    "ChangedDay",
    "CohortMembership",
    "ContinuityOverride",
    "DeletedPerson",
    "Event",
    "EventDefinition",
    "ExposureAggregation",
    "ExposureWindow",
    "Group",
    "GroupType",
    "ImportedFile",
    "Person",
    "PersonDistinctId",
    "PersonOverride",
    "PreaggregatedExposure",
    "Rollup",
    "RollupMeasure",
    "RollupUnit",
    "RollupValue",
]
