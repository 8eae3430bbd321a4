"""The running service sends a cohort's persons whole, with their number of bytes in advance."""

import httpx

from tests.live_service import LiveService

NUMBER = 2500


def test_persons_csv__several_pages__arrive_whole(service: LiveService) -> None:
    projects = f"{service.base_url}/api/organizations/@current/projects/"
    made = httpx.post(projects, headers=service.headers, json={"name": "Downloads"}).json()
    with httpx.Client(base_url=service.base_url, headers=service.headers, timeout=60) as client:
        people = [{"event": "seen", "distinct_id": f"visitor-{number}"} for number in range(NUMBER)]
        assert client.post("/batch/", json={"api_key": made["api_token"], "batch": people}).status_code == 200
        cohorts = f"/api/projects/{made['id']}/cohorts/"
        persons: list[str] = []
        while page := client.get(f"/api/projects/{made['id']}/persons/?limit=1000&offset={len(persons)}").json():
            persons += [person["uuid"] for person in page["results"]]
            if page["next"] is None:
                break
        cohort = client.post(cohorts, json={"name": "All", "is_static": True, "_create_static_person_ids": persons})
        answer = client.get(f"{cohorts}{cohort.json()['id']}/persons.csv")
    lines = answer.text.splitlines()
    assert len(lines) == 1 + NUMBER
    assert {line.split(",")[1] for line in lines[1:]} == {f"visitor-{number}" for number in range(NUMBER)}
    assert answer.headers["Content-Length"] == str(len(answer.content))
    assert "Transfer-Encoding" not in answer.headers
