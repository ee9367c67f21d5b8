from django.contrib.auth.hashers import make_password
from django.db import migrations


def add_sample_data(apps, schema_editor):
    apps.get_model("auth", "User").objects.create(
        username="Srinivas",
        password=make_password("admin123"),
        is_staff=True,
        is_superuser=True,
    )
    employee = apps.get_model("employees", "Employee")
    employee.objects.create(empid=101, empname="Anjali", salary=50000.0, location="Hyderabad")
    employee.objects.create(empid=102, empname="Ravi", salary=42000.0, location="Chennai")


class Migration(migrations.Migration):
    dependencies = [
        ("employees", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [migrations.RunPython(add_sample_data, migrations.RunPython.noop)]
