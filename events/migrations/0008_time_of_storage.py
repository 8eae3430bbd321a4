from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("events", "0007_imported_files")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE events_event ALTER COLUMN created_at SET DEFAULT now()",
            reverse_sql="ALTER TABLE events_event ALTER COLUMN created_at DROP DEFAULT",
        )
    ]
