"""The admin site: every page opens, and writes keep what the API keeps."""

import re
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from activity.models import ActivityEntry
from events.models import Person, PersonDistinctId
from projects import roles, secret_keys, services
from projects.authentication import find_secret
from projects.models import Level, Organization, OrganizationMembership, PersonalAPIKey, Project, Role, User
from tests.cast import key_for


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def staff(organization: Organization) -> User:
    return services.create_user(
        email="staff@example.com", password=None, level=Level.ADMIN, organization=organization, is_staff=True
    )


@pytest.fixture
def site(staff: User, owner: User, project: Project) -> Client:
    client = Client()
    client.force_login(staff)
    return client


def url(model: str, page: str, *args: object) -> str:
    return reverse(f"admin:projects_{model}_{page}", args=args)


def fields_of(page: Any) -> dict[str, str]:
    """What a browser would send of the page's form if nobody typed anything."""
    html = page.content.decode()
    form = html[html.index('id="') : html.index("</form>", html.index('class="submit-row"'))]
    sent: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        named, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
        kind = re.search(r'type="([^"]*)"', tag)
        if (
            named is None
            or (kind and kind[1] == "submit")
            or (kind and kind[1] == "checkbox" and " checked" not in tag)
        ):
            continue
        sent[named[1]] = (value[1] if value else "on").replace("&quot;", '"')
    for named_select, options in re.findall(r'<select[^>]*name="([^"]*)"[^>]*>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options)
        sent[named_select] = chosen[1] if chosen else ""
    for named_area, text in re.findall(r'<textarea[^>]*name="([^"]*)"[^>]*>\s*(.*?)</textarea>', form, re.DOTALL):
        sent[named_area] = text.replace("&quot;", '"')
    return sent


def submit(site: Client, path: str, **typed: object) -> Any:
    return site.post(path, {**fields_of(site.get(path)), **typed}, follow=True)


def refusals(page: Any) -> list[str]:
    return [str(message) for message in page.context["messages"] if message.level_tag == "error"]


def test_pages__staff__all_open(site: Client, project: Project, owner: User, organization: Organization):
    role = roles.create_role(organization=organization, name="Approvers", user=owner)
    roles.add_to_role(role=role, user_uuid=owner.uuid)
    key_for(owner)
    key, _ = secret_keys.create_secret_key(project=project, user=owner, label="CI", scopes=["experiment:read"])
    objects = {
        "organization": organization.pk,
        "project": project.pk,
        "user": owner.pk,
        "role": role.pk,
        "personalapikey": owner.personal_api_keys.get().pk,
        "projectsecretapikey": key.pk,
    }

    index = site.get("/admin/").content.decode()
    assert "Experiments service" in index
    assert "Personal API keys" in index
    assert "Django" not in index
    for model, key_of_object in objects.items():
        assert site.get(url(model, "changelist"), {"q": "x"}).status_code == 200
        assert site.get(url(model, "change", key_of_object)).status_code == 200
        assert site.get(url(model, "delete", key_of_object)).status_code == 200
        assert site.get(url(model, "add")).status_code == (403 if "apikey" in model else 200)


def test_site__member_who_is_no_staff__is_sent_to_sign_in(member: User):
    client = Client()
    client.force_login(member)

    answer = client.get("/admin/")

    assert (answer.status_code, answer["Location"]) == (302, "/admin/login/?next=/admin/")


def test_organization__add__makes_a_slug(site: Client):
    page = submit(site, url("organization", "add"), name="Acme")

    assert refusals(page) == []
    made = Organization.objects.latest("created_at")
    assert (made.name, made.members_can_use_personal_api_keys) == ("Acme", True)
    assert made.slug.startswith("acme-")


def test_organization__change__keeps_slug(site: Client, organization: Organization):
    submit(site, url("organization", "change", organization.pk), name="Renamed")

    organization.refresh_from_db()
    assert (organization.name, organization.slug) == ("Renamed", "acme")


def row(number: int, **fields: object) -> dict[str, object]:
    return {f"memberships-{number}-{name}": value for name, value in fields.items()}


def test_members__add_raise_and_remove__goes_through_the_services(
    site: Client, organization: Organization, owner: User, staff: User, member: User
):
    newcomer = User.objects.create_user("new@example.com")
    path = url("organization", "change", organization.pk)
    order = list(organization.memberships.order_by("joined_at").values_list("user", flat=True))
    assert order == [staff.pk, owner.pk, member.pk]  # the rows of the page
    typed = {
        **row(0, level=15),
        **row(1, DELETE="on"),
        **row(3, user=newcomer.pk, level=8, id="", organization=str(organization.pk)),
        "memberships-TOTAL_FORMS": 4,
    }

    page = submit(site, path, **typed)

    assert refusals(page) == []
    assert dict(organization.memberships.values_list("user__email", "level")) == {
        "staff@example.com": 15,
        "member@example.com": 1,
        "new@example.com": 8,
    }
    newcomer.refresh_from_db()
    owner.refresh_from_db()
    assert newcomer.current_organization == organization
    assert owner.current_organization is None


@pytest.mark.parametrize("typed", [{"level": 8}, {"DELETE": "on"}])
def test_members__last_owner__stays(site: Client, organization: Organization, owner: User, typed: dict[str, object]):
    page = submit(site, url("organization", "change", organization.pk), name="Renamed", **row(1, **typed))

    assert refusals(page) == ["An organization must keep at least one owner."]
    assert owner.memberships.get().level == Level.OWNER
    organization.refresh_from_db()
    assert organization.name == "Acme"


def test_members__who_is_in_already__is_refused(site: Client, organization: Organization, owner: User):
    typed = row(3, user=owner.pk, level=1, id="", organization=str(organization.pk))

    page = submit(site, url("organization", "change", organization.pk), **typed, **{"memberships-TOTAL_FORMS": 4})

    assert page.status_code == 200
    assert "errornote" in page.content.decode()
    assert organization.memberships.count() == 3


def test_organization__delete__goes_with_its_projects(site: Client, organization: Organization, staff: User):
    page = site.post(url("organization", "delete", organization.pk), {"post": "yes"}, follow=True)

    assert refusals(page) == []
    assert not Project.objects.exists()
    staff.refresh_from_db()
    assert (staff.current_organization, staff.current_project) == (None, None)


def test_user__add__joins_an_organization(site: Client, organization: Organization, project: Project):
    page = submit(
        site,
        url("user", "add"),
        email="new@example.com",
        password1="correct horse battery",
        password2="correct horse battery",
        organization=str(organization.pk),
        level="8",
    )

    assert refusals(page) == []
    made = User.objects.get(email="new@example.com")
    assert made.memberships.get().level == Level.ADMIN
    assert made.current_project == project
    assert made.check_password("correct horse battery")
    assert (made.is_staff, made.is_superuser) == (False, False)


def deactivate(site: Client, user: User) -> Any:
    path = url("user", "change", user.pk)
    sent = fields_of(site.get(path))
    del sent["is_active"]
    return site.post(path, sent, follow=True)


def test_user__last_owner__is_not_deactivated(site: Client, owner: User):
    page = deactivate(site, owner)

    assert refusals(page) == ["An organization must keep at least one owner."]
    owner.refresh_from_db()
    assert owner.is_active


def test_user__one_of_two_owners__is_deactivated_and_the_other_then_stays(
    site: Client, organization: Organization, owner: User, member: User
):
    organization.memberships.filter(user=member).update(level=Level.OWNER)

    assert refusals(deactivate(site, owner)) == []

    owner.refresh_from_db()
    assert not owner.is_active
    # An owner who may not sign in does not count.
    assert refusals(deactivate(site, member)) == ["An organization must keep at least one owner."]


def test_user__member__is_deactivated(site: Client, member: User):
    assert refusals(deactivate(site, member)) == []
    member.refresh_from_db()
    assert not member.is_active


def test_user__taken_email_in_other_case__is_refused(site: Client, organization: Organization, owner: User):
    page = submit(
        site,
        url("user", "add"),
        email="OWNER@example.com",
        password1="correct horse battery",
        password2="correct horse battery",
        organization=str(organization.pk),
        level="1",
    )

    assert "There is already a user with this e-mail address." in page.content.decode()
    assert not User.objects.filter(email="OWNER@example.com").exists()


def test_user__made_staff__may_use_the_site(site: Client, owner: User):
    submit(site, url("user", "change", owner.pk), is_staff="on", first_name="Olivia")

    owner.refresh_from_db()
    assert (owner.is_staff, owner.is_superuser, owner.first_name) == (True, True, "Olivia")
    other = Client()
    other.force_login(owner)
    assert other.get("/admin/").status_code == 200


def test_user__password__can_be_set(site: Client, owner: User):
    path = reverse("admin:auth_user_password_change", args=[owner.pk])

    page = site.post(path, {"password1": "correct horse battery", "password2": "correct horse battery"}, follow=True)

    assert page.status_code == 200
    owner.refresh_from_db()
    assert owner.check_password("correct horse battery")


def test_user__delete__last_owner__stays(site: Client, owner: User):
    page = site.post(url("user", "delete", owner.pk), {"post": "yes"}, follow=True)

    assert refusals(page) == ["An organization must keep at least one owner."]
    assert User.objects.filter(pk=owner.pk).exists()
    assert owner.memberships.exists()


def test_user__delete_by_action__is_all_or_nothing(site: Client, owner: User, member: User):
    page = site.post(
        url("user", "changelist"),
        {"action": "delete_selected", "_selected_action": [member.pk, owner.pk], "post": "yes"},
        follow=True,
    )

    assert refusals(page) == ["An organization must keep at least one owner."]
    assert User.objects.filter(pk__in=[owner.pk, member.pk]).count() == 2


def test_user__delete__member__is_gone(site: Client, member: User):
    site.post(url("user", "delete", member.pk), {"post": "yes"})

    assert not User.objects.filter(pk=member.pk).exists()


def test_project__add__is_logged_and_becomes_current(site: Client, organization: Organization, staff: User):
    page = submit(
        site,
        url("project", "add"),
        organization=str(organization.pk),
        name="Blog",
        timezone="Europe/Berlin",
        test_account_filters='[{"key": "email", "type": "person", "operator": "is_set"}]',
    )

    assert refusals(page) == []
    made = Project.objects.get(name="Blog")
    assert made.timezone == "Europe/Berlin"
    assert made.test_account_filters == [{"key": "email", "type": "person", "operator": "is_set"}]
    assert made.secret_token_mask is not None
    entry = ActivityEntry.objects.latest("created_at")
    assert (entry.scope, entry.activity, entry.user) == ("Team", "created", staff)


def test_project__change__is_logged_once(site: Client, project: Project, staff: User):
    before = ActivityEntry.objects.count()

    submit(
        site, url("project", "change", project.pk), default_cuped_enabled="on", experiment_recalculation_time="03:30"
    )

    project.refresh_from_db()
    assert (project.default_cuped_enabled, f"{project.experiment_recalculation_time:%H:%M}") == (True, "03:30")
    assert ActivityEntry.objects.count() == before + 1
    changes = ActivityEntry.objects.latest("created_at").detail["changes"]
    assert [change["field"] for change in changes] == ["default_cuped_enabled", "experiment_recalculation_time"]


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("timezone", "Mars/Base", "is not a valid choice."),
        ("default_experiment_confidence_level", "0.8", "is not a valid choice."),
        ("default_cuped_lookback_days", "31", "less than or equal to 30"),
        ("default_minimum_detectable_effect", "0", "greater than 0"),
        ("default_sequential_tuning_parameter", "nan", ""),
        ("test_account_filters", "[", "Expecting value"),
        ("test_account_filters", "[NaN]", "not JSON compliant"),
        ("test_account_filters", '[{"type": "hogql", "key": "1"}]', "cannot be computed."),
    ],
)
def test_project__what_the_api_refuses__is_refused(site: Client, project: Project, field: str, value: str, told: str):
    page = submit(site, url("project", "change", project.pk), **{field: value, "name": "Renamed"})

    assert page.status_code == 200
    assert told in page.content.decode()
    assert "errornote" in page.content.decode()
    assert Project.objects.get().name == "Shop"


def test_project__delete__takes_persons_along(site: Client, project: Project):
    person = Person.objects.create(project=project, uuid=uuid4())
    PersonDistinctId.objects.create(project=project, person=person, distinct_id="ada")

    page = site.post(url("project", "delete", project.pk), {"post": "yes"}, follow=True)

    assert refusals(page) == []
    assert not Project.objects.exists()
    assert not Person.objects.exists()


def test_project__tokens__are_shown_by_mask_and_not_editable(site: Client, project: Project):
    secret = "phs_" + "x" * 43
    path = url("project", "change", project.pk)

    html = site.get(path).content.decode()
    submit(site, path, secret_token_mask="x", api_token="x", secret_token_hash=secret)

    assert project.secret_token_mask is not None
    assert project.secret_token_mask in html
    assert (project.secret_token_hash or "?") not in html
    assert Project.objects.values("secret_token_mask", "secret_token_hash", "api_token").get() == {
        "secret_token_mask": project.secret_token_mask,
        "secret_token_hash": project.secret_token_hash,
        "api_token": project.api_token,
    }


def test_keys__are_shown_by_mask_and_only_deletable(site: Client, project: Project, owner: User):
    value = key_for(owner)
    key = PersonalAPIKey.objects.get()
    path = url("personalapikey", "change", key.pk)

    html = site.get(path).content.decode()

    assert key.mask_value in html
    assert value not in html
    assert key.value_hash not in html
    assert site.post(path, {"label": "mine"}).status_code == 403
    site.post(url("personalapikey", "delete", key.pk), {"post": "yes"})
    assert not PersonalAPIKey.objects.exists()


def test_secret_key__delete__is_logged(site: Client, project: Project, owner: User, staff: User):
    key, value = secret_keys.create_secret_key(project=project, user=owner, label="CI", scopes=["experiment:read"])

    site.post(url("projectsecretapikey", "delete", key.pk), {"post": "yes"})

    assert find_secret(value) is None
    entry = ActivityEntry.objects.latest("created_at")
    assert (entry.scope, entry.activity, entry.user) == ("ProjectSecretAPIKey", "deleted", staff)


def test_role__add_and_members__go_through_the_services(
    site: Client, organization: Organization, owner: User, outsider: User
):
    page = submit(site, url("role", "add"), organization=str(organization.pk), name="Approvers")
    assert refusals(page) == []
    role = Role.objects.get()
    path = url("role", "change", role.pk)
    mine = owner.memberships.get()
    place = {"role_memberships-0-membership": str(mine.pk), "role_memberships-0-role": str(role.pk)}

    page = submit(site, path, **place, **{"role_memberships-TOTAL_FORMS": 1})

    assert refusals(page) == []
    assert [one.membership for one in role.role_memberships.all()] == [mine]
    theirs = OrganizationMembership.objects.get(user=outsider)
    submit(
        site,
        path,
        **{"role_memberships-1-membership": str(theirs.pk), "role_memberships-1-role": str(role.pk)},
        **{"role_memberships-TOTAL_FORMS": 2},
    )
    assert role.role_memberships.count() == 1


def test_role__taken_name__is_refused(site: Client, organization: Organization, owner: User):
    roles.create_role(organization=organization, name="Approvers", user=owner)

    page = submit(site, url("role", "add"), organization=str(organization.pk), name="approvers")

    assert Role.objects.count() == 1
    assert refusals(page) or "errornote" in page.content.decode()


def test_writes__leave_a_line_in_the_sites_own_log(site: Client, organization: Organization, staff: User):
    submit(site, url("organization", "change", organization.pk), name="Renamed")

    assert LogEntry.objects.get().user == staff
