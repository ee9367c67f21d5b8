from django.contrib.auth.hashers import make_password
from django.db import migrations


def add_sample_user(apps, schema_editor):
    apps.get_model("auth", "User").objects.create(
        username="shoumitro",
        password=make_password("Ab12345678"),
        is_staff=True,
        is_superuser=True,
    )


class Migration(migrations.Migration):
    dependencies = [("auth", "0012_alter_user_first_name_max_length")]

    operations = [migrations.RunPython(add_sample_user, migrations.RunPython.noop)]
