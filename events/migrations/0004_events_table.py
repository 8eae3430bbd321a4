from django.db import migrations

# Every partition has the unique index besides; it holds an expression, which an index of the parent may not
# (see events.partitions).
TABLE = """
CREATE TABLE events_event (
    project_id bigint NOT NULL,
    uuid uuid NOT NULL,
    event text NOT NULL,
    distinct_id text NOT NULL,
    person_id uuid NOT NULL,
    timestamp timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    session_id text,
    flag_key text,
    flag_response text,
    group_0 text,
    group_1 text,
    group_2 text,
    group_3 text,
    group_4 text,
    properties jsonb NOT NULL
) PARTITION BY RANGE (timestamp);
CREATE INDEX event_newest ON events_event (project_id, timestamp);
CREATE INDEX event_by_name ON events_event (project_id, event, timestamp);
CREATE INDEX event_by_person ON events_event (project_id, person_id, timestamp);
CREATE INDEX event_flag_calls ON events_event (project_id, flag_key, timestamp)
    WHERE event = '$feature_flag_called';
CREATE TABLE events_event_rest PARTITION OF events_event DEFAULT;
CREATE UNIQUE INDEX events_event_rest_unique ON events_event_rest
    (project_id, ((timestamp AT TIME ZONE 'UTC')::date), uuid);
"""


class Migration(migrations.Migration):
    dependencies = [("events", "0003_persons_groups_definitions")]

    operations = [migrations.RunSQL(TABLE, reverse_sql="DROP TABLE events_event")]
