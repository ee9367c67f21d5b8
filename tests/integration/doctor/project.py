"""An ordinary Django project in one file, whose settings DOCTOR_SETTINGS (JSON) changes.

It has the admin's login, and an API that refuses without a token, or believes a header where
DOCTOR_BELIEVES names one. Nothing that it is asked here needs a database.
"""

import json
import os
from typing import Any

from django.conf import settings

BELIEVED = os.environ.get("DOCTOR_BELIEVES", "")

settings.configure(
    **{
        "DEBUG": False,
        "SECRET_KEY": os.environ["DOCTOR_SECRET"],
        "ALLOWED_HOSTS": ["127.0.0.1", "localhost"],
        "ROOT_URLCONF": __name__,
        "INSTALLED_APPS": [
            "django.contrib.admin",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "rest_framework",
        ],
        "MIDDLEWARE": [
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        "TEMPLATES": [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        "STATIC_URL": "/static/",
        **json.loads(os.environ.get("DOCTOR_SETTINGS", "{}")),
    }
)

from django.core.wsgi import get_wsgi_application  # noqa: E402

application = get_wsgi_application()

from django.contrib import admin  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework.authentication import BaseAuthentication  # noqa: E402
from rest_framework.permissions import IsAuthenticated  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView, exception_handler  # noqa: E402
from rest_framework_simplejwt.authentication import JWTStatelessUserAuthentication  # noqa: E402
from rest_framework_simplejwt.models import TokenUser  # noqa: E402


class HeaderAuthentication(BaseAuthentication):  # type: ignore[misc]
    """Believes whoever names a user in a header."""

    def authenticate(self, request: Any) -> Any:
        name = request.META.get("HTTP_" + BELIEVED.upper().replace("-", "_"))
        return (TokenUser({"user_id": name}), None) if name else None

    def authenticate_header(self, request: Any) -> str:
        return "Header"


class Me(APIView):  # type: ignore[misc]
    authentication_classes = (HeaderAuthentication if BELIEVED else JWTStatelessUserAuthentication,)
    permission_classes = (IsAuthenticated,)

    def get(self, request: Any) -> Any:
        return Response({"id": request.user.id})


def own_words(error: Any, context: Any) -> Any:
    """An exception handler of the project's own."""
    response = exception_handler(error, context)
    response.data = {"error": response.data.get("detail")}
    return response


urlpatterns = [path("admin/", admin.site.urls), path("api/me/", Me.as_view())]
