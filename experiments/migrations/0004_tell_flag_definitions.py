"""Clients are told which flags experiments use: notify the processes that keep flag definitions when that changes."""

from django.db import migrations

CREATE = """
CREATE TRIGGER tell_flag_definitions AFTER INSERT OR DELETE ON experiments_experiment
    FOR EACH ROW EXECUTE FUNCTION tell_flag_definitions();
CREATE TRIGGER tell_flag_definitions_of_update AFTER UPDATE ON experiments_experiment FOR EACH ROW
    WHEN (OLD.deleted <> NEW.deleted OR OLD.feature_flag_id <> NEW.feature_flag_id)
    EXECUTE FUNCTION tell_flag_definitions();
"""
DROP = """
DROP TRIGGER tell_flag_definitions ON experiments_experiment;
DROP TRIGGER tell_flag_definitions_of_update ON experiments_experiment;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('experiments', '0003_flag_goes_with_its_project'),
        ('feature_flags', '0003_tell_changes'),
    ]

    operations = [
        migrations.RunSQL(CREATE, DROP),
    ]
