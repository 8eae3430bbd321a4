"""The document and its two readers over HTTP: without a credential, and without any address elsewhere."""

import re
from pathlib import Path

import pytest
import yaml
from django.conf import settings
from django.test import Client

COMMITTED = Path(settings.BASE_DIR) / "openapi.yaml"


def test_schema__yaml_of_the_committed_file(client: Client) -> None:
    answer = client.get("/api/schema/")

    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("application/vnd.oai.openapi")
    assert answer.content == COMMITTED.read_bytes()


@pytest.mark.parametrize(
    ("address", "accept"), [("/api/schema/?format=json", "*/*"), ("/api/schema", "application/json")]
)
def test_schema__json_on_request(client: Client, address: str, accept: str) -> None:
    answer = client.get(address, headers={"accept": accept})

    assert answer.status_code == 200
    assert "json" in answer.headers["Content-Type"]
    assert answer.json() == yaml.safe_load(COMMITTED.read_text())


def test_schema__same_bytes_each_time(client: Client) -> None:
    assert client.get("/api/schema/?format=json").content == client.get("/api/schema/?format=json").content


@pytest.mark.parametrize("reader", ["swagger-ui", "redoc"])
def test_reader__loads_only_from_the_service_itself(db: None, client: Client, reader: str) -> None:
    # Closing an answer looks at the database connection that an earlier test may have opened.
    page = client.get(f"/api/schema/{reader}/")
    html = page.content.decode()
    assets = re.findall(r"""(?:src|href)=["']([^"']+)["']""", html)

    assert page.status_code == 200
    assert "/api/schema" in html
    assert assets
    assert not re.search(r"""["'(]\s*(?:https?:)?//""", html)
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    for asset in assets:
        found = client.get(asset)
        assert found.status_code == 200, asset
        assert found.getvalue()  # reading to the end closes the file
