from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("projects", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="RequestCount",
            fields=[
                ("counter", models.CharField(max_length=100, primary_key=True, serialize=False)),
                ("minute_started", models.DateTimeField()),
                ("minute_count", models.IntegerField()),
                ("hour_started", models.DateTimeField()),
                ("hour_count", models.IntegerField()),
            ],
        ),
        # Unlogged: one small write a request must not wait for the disk. Room in each page keeps updates in place.
        migrations.RunSQL(
            sql=[
                "ALTER TABLE projects_requestcount SET UNLOGGED",
                "ALTER TABLE projects_requestcount SET (fillfactor = 50)",
            ],
            reverse_sql=migrations.RunSQL.noop,
        ),
    ]
