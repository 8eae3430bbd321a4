"""Addresses of client libraries, at the root of the service; with and without trailing slash, never a redirect."""

from django.urls import URLPattern, URLResolver, re_path

from feature_flags.api import browser_config, definitions, evaluation, ofrep

urlpatterns: list[URLPattern | URLResolver] = [
    re_path(r"^flags/?$", evaluation.flags, name="flags"),
    re_path(r"^flags/definitions/?$", definitions.definitions, name="flag_definitions"),
    re_path(r"^ofrep/v1/evaluate/flags/?$", ofrep.every, name="ofrep_bulk"),
    re_path(r"^ofrep/v1/evaluate/flags/(?P<key>[^/]+)/?$", ofrep.one, name="ofrep_one"),
    re_path(r"^decide/?$", evaluation.decide, name="decide"),
    re_path(r"^array/(?P<token>[^/]+)/config/?$", browser_config.config, name="browser_config"),
    re_path(r"^array/(?P<token>[^/]+)/config\.js/?$", browser_config.config_script, name="browser_config_script"),
    re_path(r"^static/(?:[^/]+/)?surveys\.js$", browser_config.surveys_script),
]
