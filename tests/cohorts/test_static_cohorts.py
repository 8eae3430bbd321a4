"""Static cohorts: from a file, from named persons, as a snapshot of criteria."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from cohorts import calculation, tasks
from cohorts.models import Cohort
from events.identity import natural_id
from events.models import CohortMembership
from projects.models import Project
from tests.capturing import Capture, event, person_of
from tests.cast import error
from tests.cohorts.conftest import URL, criteria, person

NOBODY = "5f0c7d5e-1111-4a51-9b1d-2f6d1c9a8e77"


@pytest.fixture(autouse=True)
def persons(capture: Capture, project: Project) -> None:
    capture(
        event("e", "ada", properties={"$set": {"email": "a@example.com", "plan": "pro"}}),
        event("e", "bob", properties={"$set": {"email": "same@example.com"}}),
        event("e", "eve", properties={"$set": {"email": "same@example.com"}}),
        event("$identify", "zoe", properties={"$anon_distinct_id": "anon-1"}),
    )


def upload(api: Any, content: str | bytes, **fields: Any) -> Any:
    file = SimpleUploadedFile("persons.csv", content if isinstance(content, bytes) else content.encode())
    return api.post(URL, {"name": "x", "is_static": "true", "csv": file, **fields}, format="multipart")


def listed(project: Project, cohort_id: int) -> set[str]:
    by_person = {person_of(project, who).pk: who for who in ("ada", "bob", "eve", "zoe")}
    return {by_person[row.person_id] for row in CohortMembership.objects.filter(cohort_id=cohort_id)}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("ada\nbob\nnobody\n", {"ada", "bob"}),
        ("\ufeffada\r\n\r\n  bob \r\n", {"ada", "bob"}),
        ("distinct_id\nada\nanon-1\n", {"ada", "zoe"}),
        ("Email\nsame@example.com\n", {"bob", "eve"}),
        ("email,distinct_id\na@example.com,bob\n", {"bob"}),
        ("name,Distinct ID\nAda,ada\nshort\n", {"ada"}),
        ('"ada"\n"x,y"\n', {"ada"}),
    ],
)
def test_csv(api: Any, project: Project, content: str, found: set[str]):
    response = upload(api, content)

    assert response.status_code == 201, response.json()
    assert (response.json()["is_static"], response.json()["cohort_type"]) == (True, "static")
    assert (response.json()["count"], response.json()["is_calculating"]) == (len(found), False)
    assert listed(project, response.json()["id"]) == found


def test_csv__person_id__wins_and_follows_merges(api: Any, project: Project):
    rows = [f"{natural_id(project.pk, who)},eve" for who in ("ada", "anon-1")]
    response = upload(api, "\n".join(["person_id,distinct_id", *rows, "no uuid,eve", f"{NOBODY},eve"]))

    assert listed(project, response.json()["id"]) == {"ada", "zoe"}


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        ("", "The submitted file is empty."),
        ("\n\n", "The file is empty."),
        ("email\n", "The file names nobody."),
        ("name,age\nada,5\n", "With several columns, the first row must name one of person_id, distinct_id, email."),
        (b"\xff\xfe\x00", "The file must be encoded in UTF-8."),
        ('"ada\nbob', None),
    ],
)
def test_csv__unusable__refused(api: Any, project: Project, content: str | bytes, detail: str | None):
    response = upload(api, content or b"\n")

    assert (response.status_code, response.json()["attr"]) == (400, "csv")
    if content and detail is not None:
        assert response.json() == error("invalid_input", detail, "csv")
    assert not Cohort.objects.exists()


def test_named_persons(api: Any, project: Project):
    uuids = [str(natural_id(project.pk, who)) for who in ("ada", "anon-1")]
    body = {"name": "x", "is_static": True, "_create_static_person_ids": [*uuids, NOBODY, "no uuid"]}
    response = api.post(URL, body)

    assert response.json()["count"] == 2
    assert listed(project, response.json()["id"]) == {"ada", "zoe"}


def test_snapshot_of_criteria__stays_as_it_was(api: Any, project: Project, capture: Capture):
    made = api.post(URL, {"name": "x", "is_static": True, "filters": criteria(person("plan", "pro"))}).json()
    assert made["is_calculating"]
    calculation.calculate(made["id"])
    capture(event("e", "bob", properties={"$set": {"plan": "pro"}}))

    assert listed(project, made["id"]) == {"ada"}
    assert api.get(f"{URL}{made['id']}/").json()["count"] == 1


def test_without_a_source__refused(api: Any, project: Project):
    response = api.post(URL, {"name": "x", "is_static": True})

    assert response.json() == error(
        "invalid_input",
        "Invalid source for static cohort. Requires criteria, a csv, feature flag, existing cohort or query.",
    )


def test_editing_criteria__refused(api: Any, project: Project):
    made = upload(api, "ada").json()
    response = api.patch(f"{URL}{made['id']}/", {"filters": criteria(person("plan", "pro"))})

    assert response.json() == error(
        "invalid_input",
        "Editing the criteria of a static cohort is not supported yet. Create a new static cohort instead.",
        "filters",
    )
    assert api.patch(f"{URL}{made['id']}/", {"name": "y", "filters": made["filters"]}).json()["name"] == "y"


def test_add_and_remove_persons(api: Any, project: Project):
    made = upload(api, "ada").json()["id"]
    uuids = {who: str(natural_id(project.pk, who)) for who in ("ada", "bob", "eve")}
    added = api.patch(f"{URL}{made}/add_persons_to_static_cohort", {"person_ids": [uuids["bob"], uuids["ada"], NOBODY]})
    assert (added.status_code, added.json()) == (200, {"success": True})
    assert listed(project, made) == {"ada", "bob"}
    removed = api.patch(f"{URL}{made}/remove_person_from_static_cohort", {"person_id": uuids["ada"]})

    assert removed.json() == {"success": True}
    assert listed(project, made) == {"bob"}
    assert api.get(f"{URL}{made}/").json()["count"] == 1
    for gone in (uuids["eve"], NOBODY, "x"):
        body = {"person_id": gone}
        assert api.patch(f"{URL}{made}/remove_person_from_static_cohort", body).status_code == 404


def test_add_persons__to_a_dynamic_cohort__refused(api: Any, make: Any):
    made = make("x", person("plan", "pro"))["id"]
    for address, body in (
        ("add_persons_to_static_cohort", {"person_ids": []}),
        ("remove_person_from_static_cohort", {"person_id": NOBODY}),
    ):
        assert api.patch(f"{URL}{made}/{address}", body).status_code == 400


def test_csv_of_a_cohort__makes_the_same_cohort_again(api: Any, project: Project):
    made = upload(api, "ada\nzoe").json()["id"]
    lines = b"".join(api.get(f"{URL}{made}/persons.csv").streaming_content)
    again = upload(api, lines).json()["id"]

    assert listed(project, again) == {"ada", "zoe"}


def test_recount__after_a_person_is_deleted__counts_who_is_left(api: Any, project: Project, capture: Capture):
    capture(event("e", "ada"), event("e", "bob"))
    uuids = [str(person_of(project, who).uuid) for who in ("ada", "bob")]
    made = api.post(URL, {"name": "x", "is_static": True, "_create_static_person_ids": uuids}).json()
    assert api.get(f"{URL}{made['id']}/").json()["count"] == 2
    person_of(project, "ada").delete()

    assert tasks.recount_static_cohorts(timestamp=0) == 1
    assert tasks.recount_static_cohorts(timestamp=0) == 0
    assert api.get(f"{URL}{made['id']}/").json()["count"] == 1
