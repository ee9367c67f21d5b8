from django.contrib import admin
from django.urls import include, path
from rest_framework.routers import DefaultRouter
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView, TokenVerifyView
from students.views import StudentModelViewSet

router = DefaultRouter()
router.register("studentapi", StudentModelViewSet, basename="student")

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include(router.urls)),
    path("gettoken/", TokenObtainPairView.as_view(), name="token_obtain_pair"),
    path("refreshtoken/", TokenRefreshView.as_view(), name="token_refresh"),
    path("verifytoken/", TokenVerifyView.as_view(), name="token_verify"),
]
