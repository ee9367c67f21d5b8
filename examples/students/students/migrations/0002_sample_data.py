from django.contrib.auth.hashers import make_password
from django.db import migrations


def add_sample_data(apps, schema_editor):
    apps.get_model("auth", "User").objects.create(
        username="user1",
        password=make_password("#beta123"),
        is_staff=True,
        is_superuser=True,
    )
    student = apps.get_model("students", "Student")
    student.objects.create(name="ronaldo", roll=101, city="Lisbon")
    student.objects.create(name="messi", roll=102, city="argentina")


class Migration(migrations.Migration):
    dependencies = [
        ("students", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [migrations.RunPython(add_sample_data, migrations.RunPython.noop)]
