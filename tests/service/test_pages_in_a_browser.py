"""The pages for people, in a browser: they work there, complain of nothing and load nothing from elsewhere."""

from urllib.parse import urlsplit

from playwright.sync_api import Page, expect

from tests.browser import Noticed, screenshot, sign_in
from tests.live_service import LiveService


def host_of(service: LiveService) -> str:
    return urlsplit(service.base_url).netloc


def test_sign_in__leads_to_the_landing_page(page: Page, noticed: Noticed, service: LiveService) -> None:
    page.goto(f"{service.base_url}/login/")
    screenshot(page, "login")
    sign_in(page, service)
    expect(page.get_by_text(f"Signed in as {service.credentials['email']}")).to_be_visible()
    expect(page.get_by_role("heading", name="Browse the project")).to_be_visible()
    screenshot(page, "landing")
    assert noticed.errors == []
    assert noticed.hosts == {host_of(service)}


def test_sign_in__wrong_password__stays_and_says_so(page: Page, service: LiveService) -> None:
    page.goto(f"{service.base_url}/login/")
    page.get_by_label("E-mail address").fill(service.credentials["email"])
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_text("Not signed in")).to_be_visible()


def test_swagger_ui__shows_the_operations(page: Page, noticed: Noticed, service: LiveService) -> None:
    page.goto(f"{service.base_url}/api/schema/swagger-ui/")
    # Of a long document it shows what the window has room for.
    expect(page.locator(".opblock-summary").filter(has_text="Create an experiment")).to_be_visible()
    screenshot(page, "swagger-ui")
    assert noticed.errors == []
    assert noticed.hosts == {host_of(service)}


def test_redoc__shows_the_operations_without_the_logo_from_elsewhere(
    page: Page, noticed: Noticed, service: LiveService
) -> None:
    page.goto(f"{service.base_url}/api/schema/redoc/")
    expect(page.get_by_role("heading", name="operation/experiments_create Create an experiment")).to_be_attached()
    expect(page.get_by_role("link", name="API docs by Redocly")).to_be_attached()
    # Redoc takes away what it cannot load.
    expect(page.get_by_alt_text("redocly logo")).to_have_count(0)
    assert noticed.errors == []
    assert noticed.hosts == {host_of(service)}


def test_admin_site__is_called_by_the_name_of_the_service(page: Page, noticed: Noticed, service: LiveService) -> None:
    sign_in(page, service)
    page.goto(f"{service.base_url}/admin/")
    expect(page.get_by_role("link", name="Personal API keys", exact=True)).to_be_visible()
    expect(page).to_have_title("Administration | Experiments service")
    screenshot(page, "admin")
    assert noticed.errors == []
    assert noticed.hosts == {host_of(service)}


def test_landing__narrow_window__does_not_break_addresses_or_scroll_sideways(page: Page, service: LiveService) -> None:
    sign_in(page, service)
    page.set_viewport_size({"width": 380, "height": 800})
    screenshot(page, "landing-narrow")
    address = page.locator(".cards code").bounding_box()
    assert address is not None
    assert address["height"] < 30
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
