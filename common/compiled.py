"""SELECTs that Django writes once, for what every request asks: writing such a statement costs more than running it.

A statement is built from a queryset at its first use. What changes from call to call is a `Slot` in the queryset, or,
for lists with conditions that users choose, a second queryset that goes into the statement as a subquery.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import BooleanField, Count, Expression, F, Field, Func, Model, QuerySet, Window
from django.db.models.query import get_related_populators

TOTAL = "total"
M = TypeVar("M", bound=Model)


class Slot(Expression):
    """Stands in a queryset where each call puts a value of its own."""

    def __init__(self, output_field: "Field[Any, Any]") -> None:
        super().__init__(output_field=output_field)

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        return "%s", (self,)


class IsOneOf(Func):
    """The condition that a column holds one of the values of a list, which may be a slot."""

    template = "%(expressions)s)"
    arg_joiner = " = ANY("
    output_field = BooleanField()

    def __init__(self, column: str, values: Expression) -> None:
        super().__init__(F(column), values)


def _filled(parameters: Sequence[Any], values: Sequence[Any]) -> list[Any]:
    """The parameters with the values in their slots."""
    waiting = iter(values)
    return [next(waiting) if isinstance(parameter, Slot) else parameter for parameter in parameters]


class CompiledRows:
    """The rows of a `values()` queryset. `queryset` is a function without arguments."""

    def __init__(self, queryset: Callable[[], QuerySet[Any, Any]]) -> None:
        self._queryset = queryset

    @cached_property
    def _statement(self) -> tuple[str, Sequence[Any], Sequence[str]]:
        query = self._queryset().query
        return *query.sql_with_params(), tuple(query.selected or ())

    def rows(self, *values: Any) -> list[dict[str, Any]]:
        """The rows for these values of the slots, in the order of their mention. One query."""
        sql, parameters, names = self._statement
        with connection.cursor() as cursor:
            cursor.execute(sql, _filled(parameters, values))
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


class CompiledList:
    """The rows of a `values()` queryset without conditions, for any choice among them."""

    def __init__(self, queryset: Callable[[], QuerySet[Any, Any]]) -> None:
        self._queryset = queryset

    @cached_property
    def _statement(self) -> tuple[str, Sequence[Any], Sequence[str]]:
        queryset = self._queryset().order_by()
        sql, parameters = queryset.query.sql_with_params()
        key = f'"{queryset.model._meta.db_table}"."id"'
        joined = f"{sql.removeprefix('SELECT ')} INNER JOIN chosen ON chosen.id = {key} ORDER BY chosen.position"
        return f"SELECT chosen.total, {joined}", parameters, (TOTAL, *(queryset.query.selected or ()))

    def rows(self, chosen: QuerySet[Any]) -> list[dict[str, Any]]:
        """The rows that `chosen` selects, in its order. One query.

        Each also has `total`: how many `chosen` would select were it not sliced.
        """
        statement, parameters, names = self._statement
        keys = chosen.annotate(total=Window(Count("*"))).values_list("id", "total")
        try:
            keys_sql, keys_parameters = keys.query.sql_with_params()
        except EmptyResultSet:  # its conditions can never hold
            return []
        numbered = f"SELECT *, row_number() OVER () AS position FROM ({keys_sql}) AS keys"  # noqa: S608  (Django's SQL)
        with connection.cursor() as cursor:
            cursor.execute(f"WITH chosen AS MATERIALIZED ({numbered}) {statement}", (*keys_parameters, *parameters))
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


class CompiledLookup(Generic[M]):
    """The one object of a queryset, with what it selects of related objects and its annotations."""

    def __init__(self, queryset: Callable[[], QuerySet[M]]) -> None:
        self._queryset = queryset

    @cached_property
    def _compiler(self) -> Any:
        return self._queryset().query.get_compiler(connection=connection)

    @cached_property
    def _statement(self) -> tuple[str, Sequence[Any]]:
        sql, parameters = self._compiler.as_sql()
        return sql, parameters

    @cached_property
    def _read(self) -> Callable[[Sequence[Any]], M]:
        """What turns a row into the object, as Django's own ModelIterable does it."""
        self._statement  # noqa: B018  (compiling finds out what is selected)
        compiler = self._compiler
        select, klass_info, annotations = compiler.select, compiler.klass_info, compiler.annotation_col_map or {}
        fields = klass_info["select_fields"]
        start, end = fields[0], fields[-1] + 1
        names = [column[0].target.attname for column in select[start:end]]
        related = get_related_populators(klass_info, select, connection.alias)  # type: ignore[call-arg]  # later stubs
        converters = compiler.get_converters([column[0] for column in select])

        def read(row: Sequence[Any]) -> M:
            if converters:
                (row,) = compiler.apply_converters([row], converters)
            found = klass_info["model"].from_db(connection.alias, names, row[start:end])
            for populator in related:
                populator.populate(row, found)
            for name, position in annotations.items():
                setattr(found, name, row[position])
            return found  # type: ignore[no-any-return]  # of the model that the queryset is of

        return read

    def first(self, *values: Any) -> M | None:
        """The object for these values of the slots, in the order of their mention; None when there is none."""
        sql, parameters = self._statement
        with connection.cursor() as cursor:
            cursor.execute(sql, _filled(parameters, values))
            row = cursor.fetchone()
        return None if row is None else self._read(row)
