"""A Django project in one file that has django-cors-headers, as an app before the gateway came."""

from django.conf import settings

settings.configure(
    DEBUG=False,
    SECRET_KEY="cors",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["corsheaders"],
    MIDDLEWARE=["corsheaders.middleware.CorsMiddleware"],
    CORS_ALLOWED_ORIGINS=["https://app.example"],
    CORS_ALLOW_CREDENTIALS=True,
    CORS_EXPOSE_HEADERS=["X-App"],
)

from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpRequest, HttpResponse, JsonResponse  # noqa: E402
from django.urls import re_path  # noqa: E402


def answer(request: HttpRequest, status: str) -> HttpResponse:
    return JsonResponse({"method": request.method}, status=int(status), headers={"Vary": "Cookie"})


urlpatterns = [re_path(r"^\w+/([0-9]{3})/$", answer)]
application = get_wsgi_application()
