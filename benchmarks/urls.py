"""The addresses of the service and, below `/floor/`, what they are compared with."""

from django.urls import URLPattern, URLResolver, include, path, re_path

from benchmarks import evaluate_flags_floor, list_experiments
from experiments_service import urls

handler500 = urls.handler500

urlpatterns: list[URLPattern | URLResolver] = [
    path("floor/experiments/", list_experiments.floor),
    path("floor/flags/", evaluate_flags_floor.floor),
    re_path("^floor/lane/flags/?$", evaluate_flags_floor.floor),
    path("floor/flags/inside/", evaluate_flags_floor.inside),
    path("", include(urls.urlpatterns)),
]
