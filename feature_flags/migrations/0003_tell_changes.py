"""Notify the listening processes of each project whose flags are to be compiled anew."""

from django.db import migrations

CREATE_FUNCTIONS = """
CREATE FUNCTION tell_flag_definitions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM pg_notify('flag_definitions', OLD.project_id::text);
    ELSE
        PERFORM pg_notify('flag_definitions', NEW.project_id::text);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION tell_flag_definitions_of_project() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('flag_definitions', OLD.id::text);
    RETURN NULL;
END $$;
"""
DROP_FUNCTIONS = """
DROP FUNCTION tell_flag_definitions();
DROP FUNCTION tell_flag_definitions_of_project();
"""

CREATE_TRIGGERS = """
CREATE TRIGGER tell_flag_definitions AFTER INSERT OR UPDATE OR DELETE ON feature_flags_featureflag
    FOR EACH ROW EXECUTE FUNCTION tell_flag_definitions();

CREATE TRIGGER tell_flag_definitions AFTER INSERT OR DELETE ON cohorts_cohort
    FOR EACH ROW EXECUTE FUNCTION tell_flag_definitions();
-- Calculations write the row often; only the criteria matter here.
CREATE TRIGGER tell_flag_definitions_of_update AFTER UPDATE ON cohorts_cohort FOR EACH ROW
    WHEN (OLD.deleted <> NEW.deleted OR OLD.is_static <> NEW.is_static
          OR OLD.filters::text <> NEW.filters::text OR OLD.project_id <> NEW.project_id)
    EXECUTE FUNCTION tell_flag_definitions();

CREATE TRIGGER tell_flag_definitions AFTER INSERT OR UPDATE OR DELETE ON events_grouptype
    FOR EACH ROW EXECUTE FUNCTION tell_flag_definitions();

CREATE TRIGGER tell_flag_definitions AFTER DELETE ON projects_project
    FOR EACH ROW EXECUTE FUNCTION tell_flag_definitions_of_project();
CREATE TRIGGER tell_flag_definitions_of_update AFTER UPDATE ON projects_project FOR EACH ROW
    WHEN (OLD.api_token <> NEW.api_token OR OLD.timezone <> NEW.timezone)
    EXECUTE FUNCTION tell_flag_definitions_of_project();
"""
DROP_TRIGGERS = """
DROP TRIGGER tell_flag_definitions ON feature_flags_featureflag;
DROP TRIGGER tell_flag_definitions ON cohorts_cohort;
DROP TRIGGER tell_flag_definitions_of_update ON cohorts_cohort;
DROP TRIGGER tell_flag_definitions ON events_grouptype;
DROP TRIGGER tell_flag_definitions ON projects_project;
DROP TRIGGER tell_flag_definitions_of_update ON projects_project;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('feature_flags', '0002_initial'),
        ('cohorts', '0002_initial'),
        ('events', '0003_persons_groups_definitions'),
        ('projects', '0001_initial'),
    ]

    operations = [
        migrations.RunSQL(CREATE_FUNCTIONS, DROP_FUNCTIONS),
        migrations.RunSQL(CREATE_TRIGGERS, DROP_TRIGGERS),
    ]
