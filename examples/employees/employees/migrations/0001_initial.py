from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Employee",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("empid", models.IntegerField()),
                ("empname", models.CharField(max_length=64)),
                ("salary", models.FloatField()),
                ("location", models.CharField(max_length=64)),
            ],
        ),
    ]
