"""Statements that Django writes once: they find what the querysets they were made from find."""

from collections.abc import Callable

import pytest
from django.db.models import BigIntegerField, CharField, F, QuerySet
from pytest_django import DjangoAssertNumQueries

from common.compiled import TOTAL, CompiledList, CompiledLookup, CompiledRows, IsOneOf, Slot
from projects import services
from projects.models import Organization, Project, User


@pytest.fixture
def names(organization: Organization) -> list[str]:
    """The names of four projects of an organization, in the order they were made."""
    made = ["Shop", "Blog", "Docs", "Mail"]
    for name in made:
        services.create_project(organization=organization, name=name)
    return made


def of_name() -> QuerySet[Project]:
    named = Project.objects.select_related("organization").annotate(slug=F("organization__slug"))
    return named.filter(name=Slot(CharField()), organization_id__isnull=False)


def test_lookup__found__is_the_object_that_the_queryset_finds(names: list[str]) -> None:
    found = CompiledLookup(of_name).first("Docs")
    expected = Project.objects.get(name="Docs")
    assert found is not None
    assert {field.attname: getattr(found, field.attname) for field in Project._meta.concrete_fields} == {
        field.attname: getattr(expected, field.attname) for field in Project._meta.concrete_fields
    }


def test_lookup__related_object_and_annotation__cost_no_further_query(
    names: list[str], organization: Organization, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        found = CompiledLookup(of_name).first("Docs")
        assert found is not None
        assert found.organization == organization
        assert found.slug == organization.slug  # type: ignore[attr-defined]  # annotated


def test_lookup__used_again__finds_by_the_new_value(names: list[str]) -> None:
    lookup = CompiledLookup(of_name)
    assert [found and found.name for found in map(lookup.first, ("Docs", "Nothing", "Mail"))] == ["Docs", None, "Mail"]


def test_lookup__found_object__can_be_saved(names: list[str]) -> None:
    found = CompiledLookup(of_name).first("Docs")
    assert found is not None
    found.name = "Handbook"
    found.save(update_fields=["name"])
    assert sorted(Project.objects.values_list("name", flat=True)) == ["Blog", "Handbook", "Mail", "Shop"]


def test_lookup__nothing_related__is_null(owner: User) -> None:
    User.objects.update(current_project=None)
    lookup = CompiledLookup(lambda: User.objects.select_related("current_project").filter(email=Slot(CharField())))
    found = lookup.first(owner.email)
    assert found is not None
    assert found.current_project is None


def test_rows__slot_of_a_list__selects_its_members(names: list[str]) -> None:
    rows = CompiledRows(
        lambda: Project.objects.filter(IsOneOf("id", Slot(BigIntegerField()))).order_by("name").values("name")
    )
    ids = dict(Project.objects.values_list("name", "id"))
    assert rows.rows([ids["Shop"], ids["Blog"]]) == [{"name": "Blog"}, {"name": "Shop"}]
    assert rows.rows([]) == []


@pytest.fixture
def projects(names: list[str]) -> CompiledList:
    return CompiledList(lambda: Project.objects.annotate(slug=F("organization__slug")).values("name", "slug"))


@pytest.mark.parametrize(
    ("choose", "expected", "total"),
    [
        (lambda: Project.objects.order_by("name"), ["Blog", "Docs", "Mail", "Shop"], 4),
        (lambda: Project.objects.order_by("-name")[1:3], ["Mail", "Docs"], 4),
        (lambda: Project.objects.filter(name__in=["Mail", "Shop"]).order_by("name")[:1], ["Mail"], 2),
        (lambda: Project.objects.filter(organization__name="Acme", name__gt="D").order_by("pk")[2:], ["Mail"], 3),
    ],
)
def test_list__choice__keeps_its_order_and_knows_the_whole(
    projects: CompiledList,
    choose: Callable[[], QuerySet[Project]],
    expected: list[str],
    total: int,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    with django_assert_num_queries(1):
        rows = projects.rows(choose())
    assert [row["name"] for row in rows] == expected
    assert {row[TOTAL] for row in rows} == {total}


def test_list__nothing_chosen__is_empty(projects: CompiledList) -> None:
    assert projects.rows(Project.objects.filter(name="Nothing")) == []
