"""Whether the process answers, and whether it can work. Neither needs a key."""

from functools import cache

from django.db import Error, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe


@csrf_exempt
@require_safe
def livez(request: HttpRequest) -> JsonResponse:
    """200 while the process answers."""
    return JsonResponse({"status": "ok"})


@csrf_exempt
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when the database is reachable and has every migration of this release, else 503."""
    try:
        ready = is_migrated()
    except Error:
        connection.close()
        ready = False
    return JsonResponse({"status": "ok"}) if ready else JsonResponse({"status": "unavailable"}, status=503)


def is_migrated() -> bool:
    """Whether the database has every migration of this release. Raises django.db.Error when it cannot be asked."""
    return _newest_migrations() <= MigrationRecorder(connection).applied_migrations().keys()


@cache
def _newest_migrations() -> frozenset[tuple[str, str]]:
    return frozenset(MigrationLoader(None).graph.leaf_nodes())
