"""Makes the peer's database: its tables, and users whose keys are 1, 2, 3 … as many as asked."""

import sys

import django
from django.core.management import call_command


def prepare(users: int) -> None:
    django.setup()
    call_command("migrate", verbosity=0)
    from django.contrib.auth.models import User

    numbers = range(1, users + 1)
    User.objects.bulk_create(User(id=number, username=f"user{number}") for number in numbers)


if __name__ == "__main__":
    prepare(int(sys.argv[1]))
