from django.db import migrations


class Migration(migrations.Migration):
    """How the admin site writes the names of keys; nothing in the database changes."""

    dependencies = [("projects", "0003_email_addresses_ignore_case")]

    operations = [
        migrations.AlterModelOptions(name="personalapikey", options={"verbose_name": "personal API key"}),
        migrations.AlterModelOptions(name="projectsecretapikey", options={"verbose_name": "project secret API key"}),
    ]
