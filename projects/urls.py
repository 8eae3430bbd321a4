from django.urls import URLPattern, URLResolver, path, re_path

from projects import pages

urlpatterns: list[URLPattern | URLResolver] = [
    path("", pages.landing, name="landing"),
    path("favicon.ico", pages.no_icon),
    re_path(r"^login/?$", pages.SignInView.as_view(), name="login"),
    re_path(r"^logout/?$", pages.SignOutView.as_view(), name="logout"),
]
