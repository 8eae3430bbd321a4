"""Unmodified posthog-js in a browser, on a page of another origin than the running service."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from playwright.sync_api import Page

from tests.browser import Noticed
from tests.clients import storefront
from tests.clients.conftest import SERIES, Shop
from tests.clients.storefront import Visitor


@pytest.fixture(scope="session")
def origin(node_directory: Path) -> Iterator[str]:
    with storefront.serving(node_directory / "node_modules") as started:
        yield started


@pytest.fixture
def visitor(page: Page, origin: str, shop: Shop) -> Visitor:
    return Visitor(page, origin, shop)


def known_as(distinct_id: str) -> dict[str, Any]:
    """The option of a page whose server has told who the visitor is."""
    return {"bootstrap": {"distinctID": distinct_id, "isIdentifiedID": True}}


def eventually(found: Callable[[], list[Any]], *, count: int = 1) -> list[Any]:
    """What is found when it is `count` things: the library holds events back for some seconds."""
    deadline = time.monotonic() + 30
    while len(answer := found()) != count and time.monotonic() < deadline:
        time.sleep(0.2)
    assert len(answer) == count
    return answer


def events_of(shop: Shop, name: str, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = shop.call("GET", "events/", event=name, **query)["results"]
    return found


# --- Flags ---------------------------------------------------------------------------------------------------------


def test_flags__have_the_documented_values_and_payloads(visitor: Visitor, noticed: Noticed) -> None:
    heard = visitor.arrive(**known_as("user-61"))

    assert heard["errorsLoading"] is False
    assert heard["values"]["beta-search-rollout"] is True
    assert heard["values"]["checkout-layout"] == "compact"
    # Inactive flags, and those that are off for the visitor, are not told of.
    assert {"off-flag", "org-dashboard"}.isdisjoint(heard["keys"])
    assert visitor.sees("posthog.getFeatureFlag('checkout-layout')") == "compact"
    assert visitor.sees("posthog.getFeatureFlagPayload('checkout-layout')") == {"density": "compact"}
    assert visitor.sees("posthog.isFeatureEnabled('needs-layout')") is True
    assert visitor.sees("posthog.getFeatureFlag('org-dashboard')") is False
    assert visitor.sees("posthog.getFeatureFlag('off-flag')") is None
    assert noticed.errors == []


def test_library__asks_the_service_alone_and_is_always_answered(visitor: Visitor, noticed: Noticed, shop: Shop) -> None:
    visitor.arrive()
    asked = {urlsplit(url).path for url in noticed.requests if not url.startswith(visitor.origin)}
    assert noticed.hosts == {urlsplit(visitor.origin).netloc, urlsplit(shop.base_url).netloc}
    assert asked >= {f"/array/{shop.token}/config.js", "/flags/", "/e/"}
    assert noticed.errors == []


def test_series__values_are_those_of_every_other_client(visitor: Visitor) -> None:
    visitor.arrive()
    for series in SERIES:
        ids = [f"{series['id_prefix']}{position}" for position in range(len(series["expected"]))]
        values = visitor.page.evaluate(
            """async ([token, options, flag, ids]) => Promise.all(ids.map(id => new Promise(resolve => {
                const bootstrap = { distinctID: id, isIdentifiedID: true }
                const own = { ...options, bootstrap, persistence_name: id, capture_pageview: false }
                const one = posthog.init(token, own, `${flag} ${id}`)
                one.onFeatureFlags(() => resolve(one.getFeatureFlag(flag, { send_event: false })))
            })))""",
            [visitor.shop.token, {"api_host": visitor.shop.base_url}, series["flag_key"], ids],
        )
        assert values == series["expected"]


def test_person_properties__given_for_flags__decide(visitor: Visitor) -> None:
    assert visitor.arrive(**known_as("user-17"))["values"]["checkout-layout"] == "control"
    heard = visitor.causes("posthog.setPersonPropertiesForFlags({ plan: 'enterprise' })")
    assert heard["values"]["checkout-layout"] == "spacious"


def test_group__decides_for_the_company(visitor: Visitor) -> None:
    assert "org-dashboard" not in visitor.arrive(**known_as("user-61"))["keys"]
    assert visitor.causes("posthog.group('company', 'org-9')")["values"]["org-dashboard"] is True
    assert "org-dashboard" not in visitor.causes("posthog.group('company', 'org-12')")["keys"]


def test_kill_switch__is_seen_by_the_next_reload(page: Page, origin: str, own_shop: Shop) -> None:
    visitor = Visitor(page, origin, own_shop)
    assert visitor.arrive(**known_as("user-61"))["values"]["beta-search-rollout"] is True
    own_shop.call("PATCH", f"feature_flags/{own_shop.flag_ids['beta-search-rollout']}/", {"active": False})

    heard = visitor.causes("posthog.reloadFeatureFlags()")

    assert "beta-search-rollout" not in heard["keys"]
    assert heard["values"]["checkout-layout"] == "compact"
    assert visitor.sees("posthog.getFeatureFlag('beta-search-rollout')") is None


def test_unknown_token__reaches_the_page_as_no_flags(page: Page, noticed: Noticed, origin: str, shop: Shop) -> None:
    visitor = Visitor(page, origin, Shop(shop.service, 0, f"phc_{uuid4().hex}", ""))
    heard = visitor.arrive(**known_as("user-61"))
    assert heard == {"keys": [], "values": {}, "errorsLoading": True}
    assert visitor.sees("posthog.getFeatureFlag('beta-search-rollout')") is None
    assert visitor.sees("posthog.getFeatureFlagPayload('checkout-layout')") is None
    visitor.sees("posthog.capture('lost')")
    visitor.leave()
    assert noticed.exceptions == []
    assert events_of(shop, "lost") == []


# --- Events --------------------------------------------------------------------------------------------------------


def test_visitor__identified__keeps_what_was_captured_before(visitor: Visitor, shop: Shop, noticed: Noticed) -> None:
    who, event = f"{uuid4().hex}@example.com", f"bought {uuid4().hex}"
    visitor.arrive()
    anonymous = visitor.sees("posthog.get_distinct_id()")
    visitor.sees(f"posthog.capture('{event}', {{ amount: 42.5 }})")
    visitor.causes(f"posthog.identify('{who}', {{ plan: 'pro' }}, {{ source: 'advert' }})")
    visitor.sees(f"posthog.capture('{event}', {{ amount: 7 }})")
    visitor.leave()

    bought = eventually(lambda: events_of(shop, event), count=2)

    assert {one["distinct_id"]: one["properties"]["amount"] for one in bought} == {anonymous: 42.5, who: 7}
    assert {one["properties"]["$lib"] for one in bought} == {"web"}
    person = shop.call("GET", "persons/", distinct_id=who)["results"][0]
    assert set(person["distinct_ids"]) == {anonymous, who}
    assert person["properties"].items() >= {("plan", "pro"), ("source", "advert")}
    of_the_person = shop.call("GET", "events/", person_id=person["uuid"])["results"]
    assert [one["event"] for one in of_the_person].count(event) == 2
    assert noticed.errors == []


def test_page_view__is_captured_by_itself_and_clicks_are_not(visitor: Visitor, shop: Shop) -> None:
    who = f"clicker-{uuid4().hex}"
    visitor.arrive(**known_as(who))
    visitor.page.get_by_role("button", name="Buy").click()
    visitor.leave()
    (view,) = eventually(lambda: events_of(shop, "$pageview", distinct_id=who))
    eventually(lambda: events_of(shop, "$pageleave", distinct_id=who))
    assert view["properties"]["$current_url"] == f"{visitor.origin}/"
    assert events_of(shop, "$autocapture", distinct_id=who) == []


@pytest.mark.parametrize("options", [{}, {"disable_compression": True}, {"request_batching": False}], ids=str)
def test_events__arrive_however_they_are_sent(visitor: Visitor, shop: Shop, options: dict[str, bool]) -> None:
    who = f"sender-{uuid4().hex}"
    visitor.arrive(**known_as(who), **options)
    visitor.sees("posthog.capture('sent', { text: 'Grüße 🎁' })")
    (sent,) = eventually(lambda: events_of(shop, "sent", distinct_id=who))
    assert sent["properties"]["text"] == "Grüße 🎁"


def test_exposure__is_sent_once_and_counted(page: Page, origin: str, own_shop: Shop) -> None:
    held_out = f"holdout-{own_shop.holdout_id}"
    for who, value in (("user-77", "test"), ("user-31", held_out)):
        visitor = Visitor(page, origin, own_shop)
        visitor.arrive(**known_as(who), persistence="memory")
        assert [visitor.sees("posthog.getFeatureFlag('checkout-experiment')") for _ in range(2)] == [value, value]
        visitor.leave()

    called = eventually(lambda: events_of(own_shop, "$feature_flag_called"), count=2)

    assert sorted((one["distinct_id"], one["properties"]["$feature_flag_response"]) for one in called) == [
        ("user-31", held_out),
        ("user-77", "test"),
    ]
    assert [one["properties"]["$feature_flag_has_experiment"] for one in called] == [True, True]
    assert own_shop.exposures() == {"test": 1}
    assert own_shop.exposed_persons() == [{"user-31"}, {"user-77"}]


def test_exposure__of_somebody_who_signs_in_later__counts_one_person(page: Page, origin: str, own_shop: Shop) -> None:
    visitor = Visitor(page, origin, own_shop)
    visitor.arrive(bootstrap={"distinctID": "user-77", "isIdentifiedID": False})
    assert visitor.sees("posthog.getFeatureFlag('checkout-experiment')") == "test"
    visitor.causes("posthog.identify('ada@example.com')")
    visitor.leave()
    eventually(lambda: events_of(own_shop, "$identify"))

    assert own_shop.exposures() == {"test": 1}
    assert own_shop.exposed_persons() == [{"ada@example.com", "user-77"}]
