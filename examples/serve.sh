#!/bin/sh
# Serves one sample app in its container: the secret from a file, the database brought up to date.
set -eu
DJANGO_SECRET_KEY=$(cat "$DJANGO_SECRET_KEY_FILE")
export DJANGO_SECRET_KEY
python manage.py migrate --verbosity 0
exec gunicorn --bind "${BIND:-0.0.0.0:8000}" --worker-tmp-dir /dev/shm --no-control-socket \
    --access-logfile - "$@" project.wsgi
