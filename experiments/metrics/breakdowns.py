"""Breakdowns: splitting a metric's units by a property of their first exposure."""

from typing import Annotated

from pydantic import Field

from common.shapes import Shape

MAX_BREAKDOWNS = 3
TOO_MANY = f"Maximum of {MAX_BREAKDOWNS} breakdowns are supported for experiment metrics"


class Breakdown(Shape):
    """One property to split by; of the event unless `type` says otherwise."""

    property: str | int
    type: str | None = None
    group_type_index: Annotated[int, Field(ge=0, le=4)] | None = None
    normalize_url: bool | None = None
    histogram_bin_count: int | None = None


class BreakdownFilter(Shape):
    """The breakdowns of a metric. `breakdowns` is the form to use; the `breakdown*` fields are an older one."""

    breakdowns: Annotated[list[Breakdown], Field(fail_fast=True)] | None = None
    breakdown_limit: Annotated[int, Field(ge=1)] | None = None
    breakdown: str | int | Annotated[list[str | int], Field(fail_fast=True)] | None = None
    breakdown_type: str | None = None
    breakdown_group_type_index: Annotated[int, Field(ge=0, le=4)] | None = None
    breakdown_histogram_bin_count: int | None = None
    breakdown_hide_other_aggregation: bool | None = None
    breakdown_normalize_url: bool | None = None
