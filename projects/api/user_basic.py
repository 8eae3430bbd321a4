"""UserBasic: the short form of a user in every `created_by` and the like."""

from collections.abc import Collection, Mapping
from typing import Any

from django.db.models import BigIntegerField, F, QuerySet
from rest_framework import serializers

from common.compiled import CompiledRows, IsOneOf, Slot
from projects.models import User

_FIELDS = ("id", "uuid", "distinct_id", "first_name", "last_name", "email", "is_email_verified")


def user_basic_columns(relation: str) -> dict[str, F]:
    """Annotations that select, through the foreign key `relation`, what `user_basic_of_row` reads."""
    alias = _alias(relation)
    return {f"{alias}_{name}": F(f"{relation}__{name}") for name in _FIELDS}


def user_basic_of_row(row: Mapping[str, Any], relation: str) -> dict[str, Any] | None:
    """UserBasic of a `values()` row selected with `user_basic_columns(relation)`; None without a user."""
    alias = _alias(relation)
    if row[f"{alias}_id"] is None:
        return None
    return _shape({name: row[f"{alias}_{name}"] for name in _FIELDS})


def _alias(relation: str) -> str:
    return f"user_of_{relation}"


def user_basic(user: User | None) -> dict[str, Any] | None:
    """UserBasic of a loaded user; None without one."""
    return None if user is None else _shape({name: getattr(user, name) for name in _FIELDS})


def user_basics(user_ids: Collection[int]) -> dict[int, dict[str, Any]]:
    """UserBasic of each of these users, by id. One query; none for nobody."""
    rows = _BY_ID.rows(list(user_ids)) if user_ids else ()
    return {row["id"]: _shape(row) for row in rows}


def _rows_by_id() -> QuerySet[User, dict[str, Any]]:
    selected: QuerySet[User, dict[str, Any]] = User.objects.filter(IsOneOf("id", Slot(BigIntegerField()))).values(
        *_FIELDS
    )
    return selected


_BY_ID = CompiledRows(_rows_by_id)


def _shape(fields: dict[str, Any]) -> dict[str, Any]:
    # Neither is kept by this service; clients of the API expect the keys.
    return {**fields, "hedgehog_config": None, "role_at_organization": None}


class UserBasicSerializer(serializers.Serializer[Any]):
    """Describes UserBasic."""

    id = serializers.IntegerField()
    uuid = serializers.UUIDField()
    distinct_id = serializers.CharField()
    first_name = serializers.CharField()
    last_name = serializers.CharField()
    email = serializers.EmailField()
    is_email_verified = serializers.BooleanField(allow_null=True)
    hedgehog_config = serializers.DictField(allow_null=True)
    role_at_organization = serializers.CharField(allow_null=True)
