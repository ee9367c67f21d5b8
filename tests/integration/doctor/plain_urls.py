"""A project without a login page, and without a view that asks who it is."""

from typing import Any

from django.http import HttpResponse
from django.urls import path


def hello(request: Any) -> Any:
    return HttpResponse("hello")


urlpatterns = [path("", hello), path("api/me/", hello)]
