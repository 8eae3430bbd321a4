from django.urls import URLPattern, URLResolver, re_path

from experiments.pages import views

_PROJECT = r"^projects/(?P<project_id>[^/]+)/experiments"

urlpatterns: list[URLPattern | URLResolver] = [
    re_path(rf"{_PROJECT}/?$", views.experiment_list, name="experiment-pages"),
    re_path(rf"{_PROJECT}/(?P<experiment_id>[^/]+)/?$", views.experiment_page, name="experiment-page"),
]
