"""`gateway init` reads the URLconf: which paths become endpoints, and what routes ask for."""

import re

import pytest

from tests.init.conftest import Project

IMPORTS = """
from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.http import HttpResponse
from django.urls import include, path, re_path
from rest_framework.authentication import SessionAuthentication, TokenAuthentication
from rest_framework.decorators import action, api_view, authentication_classes, permission_classes
from rest_framework.permissions import AllowAny, IsAuthenticated, IsAuthenticatedOrReadOnly
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.serializers import TokenRefreshSerializer
from rest_framework_simplejwt.views import (
    TokenObtainPairView, TokenRefreshView, TokenVerifyView, token_obtain_pair
)

class Closed(APIView):
    authentication_classes = [JWTAuthentication]
    permission_classes = [IsAuthenticated]
    def get(self, request): return Response()

def view(**changes):
    return type("View", (Closed,), changes).as_view()

def page(request): return HttpResponse()
"""
LOGIN = 'path("token/", TokenObtainPairView.as_view())'


def written(
    project: Project, *entries: str, before: str = "", settings: str = ""
) -> dict[str, str]:
    """The routes without those of the login and of files."""
    urls = f"{IMPORTS}{before}\nurlpatterns = [{', '.join([LOGIN, *entries])}]\n"
    project.write(settings=settings, urls=urls)
    routes = project.init().routes
    return {path: auth for path, auth in routes.items() if path not in ("=/token/", "/static/")}


VIEWS = {
    "only a token will do": ("view()", "required"),
    "anybody may read": ("view(permission_classes=[IsAuthenticatedOrReadOnly])", "optional"),
    "anybody": ("view(permission_classes=[AllowAny])", "optional"),
    "a session will do too": (
        "view(authentication_classes=[SessionAuthentication, JWTAuthentication])", "optional",
    ),
    "a session": ("view(authentication_classes=[SessionAuthentication])", "none"),
    "another token": ("view(authentication_classes=[TokenAuthentication])", "none"),
    "nobody is asked": ("view(authentication_classes=[], permission_classes=[])", "none"),
    "permissions that are computed": (
        "view(get_permissions=lambda self: [AllowAny()])", "optional",
    ),
    "an authentication of the project's": (
        'view(authentication_classes=[type("Own", (JWTAuthentication,), {})])', "optional",
    ),
    "a refusal of its own": ("view(handle_exception=lambda self, error: None)", "optional"),
    "permissions that are combined": (
        "view(permission_classes=[IsAuthenticated | AllowAny])", "optional",
    ),
    "a function": (
        "api_view()(authentication_classes([JWTAuthentication])"
        "(permission_classes([IsAuthenticated])(page)))", "required",
    ),
    "a page": ("page", "none"),
}  # fmt: skip


@pytest.mark.parametrize(("view", "auth"), VIEWS.values(), ids=VIEWS)
def test_a_route_asks_for_no_more_than_its_view(project: Project, view: str, auth: str) -> None:
    routes = written(project, f'path("it/", {view})')
    expected = {} if auth == "optional" else {"=/it/": auth}
    assert routes == {**expected, "/": "optional"}


DEFAULTS = """
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
}
"""


def test_what_the_defaults_ask_for_is_asked_for(project: Project) -> None:
    before = "class Plain(APIView): pass"
    assert written(project, 'path("it/", Plain.as_view())', before=before, settings=DEFAULTS) == {
        "=/it/": "required",
        "/": "optional",
    }


ELSEWHERE = {
    "errors of its own": (
        "def words(*args): return None\n"
        'REST_FRAMEWORK = {"EXCEPTION_HANDLER": "shop.settings.words"}'
    ),
    "another language": 'LANGUAGE_CODE = "de"',
    "the client's language": 'MIDDLEWARE += ["django.middleware.locale.LocaleMiddleware"]',
}


@pytest.mark.parametrize("settings", ELSEWHERE.values(), ids=ELSEWHERE)
def test_who_words_a_refusal_in_another_way_words_it_itself(
    project: Project, settings: str
) -> None:
    assert written(project, 'path("it/", view())', settings=settings) == {"/": "optional"}
    assert "warning: the app's errors are its own, or in another language" in project.init().said


def test_a_regular_expression_without_its_end_takes_what_follows(project: Project) -> None:
    assert written(project, 're_path(r"^hook/", page)') == {"/hook/": "none", "/": "optional"}


def test_one_answer_below_a_beginning_is_one_prefix(project: Project) -> None:
    before = """
class Items(ViewSet):
    authentication_classes, permission_classes = [JWTAuthentication], [IsAuthenticated]
    def list(self, request): return Response()
    def retrieve(self, request, pk): return Response()
router = SimpleRouter()
router.register("items", Items, basename="item")
"""
    entries = ['path("api/v1/", include(router.urls))', 'path("api/v1/me/", view())']
    assert written(project, *entries, before=before) == {"/api/": "required", "/": "optional"}


def test_an_action_with_permissions_of_its_own_is_left_to_the_app(project: Project) -> None:
    before = """
class Items(ViewSet):
    authentication_classes, permission_classes = [JWTAuthentication], [IsAuthenticated]
    def list(self, request): return Response()
    @action(detail=False, permission_classes=[AllowAny])
    def open(self, request): return Response()
router = SimpleRouter()
router.register("items", Items, basename="item")
"""
    assert written(project, 'path("", include(router.urls))', before=before) == {
        "=/items/": "required",
        "/": "optional",
    }


def test_an_exception_comes_before_its_many_neighbours(project: Project) -> None:
    entries = [f'path("api/{name}/<int:pk>/", view())' for name in "abc"]
    entries.append('path("api/hook/", view(authentication_classes=[], permission_classes=[]))')
    routes = written(project, *entries)
    assert list(routes.items()) == [
        ("=/api/hook/", "none"),
        ("/api/", "required"),
        ("/", "optional"),
    ]


def test_views_that_can_not_be_told_apart_are_left_to_the_app(project: Project) -> None:
    entries = ['path("<slug:a>/open/", page)', 'path("<slug:a>/closed/", view())']
    assert written(project, *entries) == {"/": "optional"}


def test_a_site_of_pages_is_passed_on_untouched_but_for_its_api(project: Project) -> None:
    entries = ['path("api/", view())', 'path("<path:page>", page)']
    assert written(project, *entries) == {"=/api/": "required", "/": "none"}


PATHS = {
    "included": ('path("a/", include([path("b/", {view})]))', "/a/b/"),
    "a regular expression": (r're_path(r"^v1\.0/in/$", {view})', "/v1.0/in/"),
    "one without its end": (r're_path(r"^in/", {view})', "/in/"),
    "without a slash": ('path("in", {view})', "/in"),
    "the default language": (
        '*i18n_patterns(path("in/", {view}), prefix_default_language=False)', "/in/",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("entry", "path"), PATHS.values(), ids=PATHS)
def test_a_token_view_is_found_where_it_is(project: Project, entry: str, path: str) -> None:
    entry = entry.replace("{view}", "TokenVerifyView.as_view()")
    project.write(
        settings='LANGUAGES = [("de", "German"), ("en-us", "English")]',
        urls=f"{IMPORTS}\nurlpatterns = [{LOGIN}, {entry}]",
    )
    assert project.init().issuer["endpoints"]["verify"] == path


def test_other_languages_keep_their_own_token_paths(project: Project) -> None:
    project.write(
        settings='LANGUAGES = [("de", "German"), ("en-us", "English")]',
        urls=f"{IMPORTS}\nurlpatterns = i18n_patterns({LOGIN})",
    )
    done = project.init()
    assert done.issuer["endpoints"]["obtain"] == "/en-us/token/"
    assert done.routes["=/de/token/"] == "none"
    assert "obtain at /de/token/ stays the app's: an issuer has one path for obtain" in done.said


def test_many_languages_are_one_warning(project: Project) -> None:
    project.write(urls=f"{IMPORTS}\nurlpatterns = i18n_patterns({LOGIN})")
    done = project.init()
    (line,) = done.said.splitlines()
    assert done.issuer["endpoints"]["obtain"] == "/en/token/"
    assert re.search(r"obtain at /af/token/ and \d\d+ more stay the app's: ", line)


def test_a_release_of_another_age_is_worded_as_the_known_one(project: Project) -> None:
    project.write(
        settings="import importlib.metadata\nimportlib.metadata.version = lambda name: '4.8.0'",
        urls=f"{IMPORTS}\nurlpatterns = [{LOGIN}]",
    )
    done = project.init()
    assert "profile_version" not in done.issuer
    assert "djangorestframework-simplejwt 4.8.0 is worded as 5.5" in done.said


SUBCLASSES = {
    "named anew": ("class Own(TokenRefreshView): pass", True),
    "with words of its own": (
        "class Own(TokenRefreshView):\n    def post(self, request): return Response()", False,
    ),
    "with a serializer of its own": (
        "class Mine(TokenRefreshSerializer): pass\nMine.__module__ = 'shop.serializers'\n"
        "class Own(TokenRefreshView): serializer_class = Mine", False,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("view", "is_taken"), SUBCLASSES.values(), ids=SUBCLASSES)
def test_a_refresh_is_taken_over_where_it_answers_as_the_packages(
    project: Project, view: str, is_taken: bool
) -> None:
    project.write(urls=f'{IMPORTS}\n{view}\nurlpatterns = [{LOGIN}, path("again/", Own.as_view())]')
    done = project.init()
    assert done.issuer["endpoints"]["refresh"] == ("/again/" if is_taken else None)
    assert done.routes["=/again/"] == "none"
    assert ("refresh at /again/ stays the app's" in done.said) is not is_taken


def test_a_login_of_the_projects_own_is_still_a_login(project: Project) -> None:
    project.write(
        urls=f"{IMPORTS}\nclass Own(TokenObtainPairView):\n"
        "    def post(self, request): return Response()\n"
        'urlpatterns = [path("in/", Own.as_view())]'
    )
    assert project.init().issuer["endpoints"]["obtain"] == "/in/"


def test_a_path_with_a_parameter_is_no_endpoint(project: Project) -> None:
    project.write(
        urls=f"{IMPORTS}\nurlpatterns = [{LOGIN}, "
        'path("<slug:shop>/verify/", TokenVerifyView.as_view())]'
    )
    done = project.init()
    assert done.issuer["endpoints"]["verify"] is None
    assert "its path varies" in done.said


@pytest.mark.parametrize("hosts", ['["*"]', "[]", '["[::1]"]'])
def test_hosts_that_can_not_be_listed_are_left_to_the_app(project: Project, hosts: str) -> None:
    project.write(settings=f"ALLOWED_HOSTS = {hosts}", urls=f"{IMPORTS}\nurlpatterns = [{LOGIN}]")
    assert "hosts" not in project.init().issuer["endpoints"]


def test_a_view_that_takes_tokens_makes_an_issuer_without_endpoints(project: Project) -> None:
    project.write(urls=f'{IMPORTS}\nurlpatterns = [path("it/", view())]')
    done = project.init()
    endpoints = done.issuer["endpoints"]
    assert {key for key, path in endpoints.items() if path is None} == set(endpoints) - {"hosts"}
    assert done.routes["=/it/"] == "required"


def test_websockets_may_be_opened_where_the_project_has_channels(project: Project) -> None:
    (project.directory / "channels").mkdir()
    (project.directory / "channels" / "__init__.py").touch()
    project.write(
        settings='INSTALLED_APPS += ["channels"]', urls=f"{IMPORTS}\nurlpatterns = [{LOGIN}]"
    )
    assert project.init().config["routes"][-1]["websocket"] is True
