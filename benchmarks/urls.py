"""The addresses of the service and, below `/floor/`, what they are compared with."""

from django.urls import URLPattern, URLResolver, include, path

from benchmarks import list_experiments
from experiments_service import urls

handler500 = urls.handler500

urlpatterns: list[URLPattern | URLResolver] = [
    path("floor/experiments/", list_experiments.floor),
    path("", include(urls.urlpatterns)),
]
