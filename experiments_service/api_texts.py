"""What the OpenAPI document says before its first operation."""

DESCRIPTION = """\
A/B experiments and feature flags.

**Credentials.** Send a personal API key as `Authorization: Bearer phx_...`. Each operation lists the scopes of which
the key needs one; `write` includes `read`. Some operations also take a project secret API key (`phs_...`).

**Projects.** `project_id` is the number of a project, or `@current` for the one the caller works in.

**Lists** come in pages: `limit` and `offset` choose one, `next` and `previous` are the addresses of its neighbours.

**Refusals** have one form: `type`, `code` for programs, `detail` for people, and `attr`, the field at fault or null.
Only the first mistake of a request is told.

**Concurrent changes.** One experiment comes with an `ETag`. Sent back as `If-Match` it refuses a change when somebody
else was faster.

**Times** are ISO 8601 in UTC, such as `2021-12-01T10:23:00Z`.
"""

TAGS = [
    {"name": "experiments", "description": "Questions asked with a feature flag: who sees what, and what it changes."},
    {"name": "experiment_holdouts", "description": "Shares of all users that experiments leave out."},
    {"name": "experiment_saved_metrics", "description": "Metrics that several experiments use."},
    {"name": "query", "description": "Questions about experiments whose metric or exposures need not be stored."},
    {"name": "feature_flags", "description": "Switches and variants, and the conditions under which users get them."},
    {"name": "scheduled_changes", "description": "Changes of feature flags at a set time, once or again and again."},
    {"name": "events", "description": "What happened, as client libraries sent it."},
    {"name": "event_definitions", "description": "The names of events."},
    {"name": "actions", "description": "Named sets of events that metrics and cohorts refer to."},
    {"name": "cohorts", "description": "Sets of persons, computed from conditions or listed."},
    {"name": "persons", "description": "Whom events are about, whatever ids they were sent with."},
    {"name": "groups", "description": "Companies, teams and the like that events name."},
    {"name": "groups_types", "description": "The kinds of groups that events name."},
    {"name": "approval_policies", "description": "Which changes need the approval of others."},
    {"name": "change_requests", "description": "Changes that wait for approval, and votes on them."},
    {"name": "activity_log", "description": "Who changed what, and when."},
    {"name": "projects", "description": "Each project has its own experiments, flags and events."},
    {"name": "project_secret_api_keys", "description": "Keys of a project, for servers."},
    {"name": "organizations", "description": "Organizations own projects and have members."},
    {"name": "members", "description": "Who belongs to an organization, and at which level."},
    {"name": "roles", "description": "Groups of members who approve changes."},
    {"name": "users", "description": "The caller."},
    {"name": "personal_api_keys", "description": "Keys of the caller."},
]
