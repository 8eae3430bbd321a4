"""Locks on single rows."""

from typing import TypeVar

from django.db.models import Model

from common.errors import Missing

Row = TypeVar("Row", bound=Model)


def locked(row: Row) -> Row:
    """The row as it is now, locked until the transaction ends. Raises Missing when it was deleted meanwhile."""
    # By its class as Django knows it: the user of a session is a lazy stand-in.
    rows = row.__class__._default_manager
    found = rows.select_for_update(of=("self",)).filter(pk=row.pk).first()
    if found is None:
        raise Missing
    return found
