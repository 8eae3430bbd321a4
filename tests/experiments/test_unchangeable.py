"""What a PATCH may name but not change: type, feature_flag_key and the folder."""

from typing import Any

import pytest

from feature_flags.models import FeatureFlag
from tests.experiments.conftest import Experiments, everything


@pytest.mark.parametrize("state", ["draft", "running", "stopped"])
@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({"type": "web"}, "type"),
        ({"type": None}, "type"),
        ({"feature_flag_key": "other"}, "get_feature_flag_key"),
        ({"feature_flag_key": "BLUE-BUTTON"}, "get_feature_flag_key"),
        ({"_create_in_folder": "Shop"}, "_create_in_folder"),
        ({"_create_in_folder": ""}, "_create_in_folder"),
        ({"type": "web", "feature_flag_key": "other"}, "get_feature_flag_key, type"),
        (
            {"type": "web", "feature_flag_key": "other", "_create_in_folder": "x"},
            "_create_in_folder, get_feature_flag_key, type",
        ),
        ({"type": "web", "feature_flag_key": "blue-button"}, "type"),
    ],
    ids=str,
)
def test_update__of_an_unchangeable_key__is_refused(
    experiments: Experiments, state: str, changes: dict[str, Any], keys: str
) -> None:
    made = {"draft": experiments.made, "running": experiments.running, "stopped": experiments.stopped}[state]()
    before = everything()

    experiments.refused(
        experiments.patch(made["id"], {"name": "Never", **changes}), f"Can't update keys: {keys} on Experiment"
    )
    assert everything() == before


@pytest.mark.parametrize("folder", ["Shop", "Shop/Deeper"])
def test_update__present_values__are_taken(experiments: Experiments, folder: str) -> None:
    made = experiments.made(type="web", _create_in_folder=folder)
    changed = experiments.changed(
        made["id"], type="web", feature_flag_key="blue-button", _create_in_folder=folder, name="Green"
    )

    assert (changed["name"], changed["type"], changed["folder"]) == ("Green", "web", folder)


@pytest.mark.parametrize("suffixed", [True, False])
def test_update__key_of_a_deleted_flag__is_taken_with_and_without_the_suffix(
    experiments: Experiments, suffixed: bool, owner_api: Any
) -> None:
    made = experiments.stopped()
    flag_id = made["feature_flag"]["id"]
    url = f"/api/projects/{experiments.project.pk}/feature_flags/{flag_id}/"
    assert owner_api.patch(url, {"deleted": True}).status_code == 200
    assert FeatureFlag.objects.get().key == f"blue-button:deleted:{flag_id}"
    sent = f"blue-button:deleted:{flag_id}" if suffixed else "blue-button"

    assert experiments.changed(made["id"], feature_flag_key=sent)["feature_flag_key"] == "blue-button"
    experiments.refused(
        experiments.patch(made["id"], {"feature_flag_key": "blue-button:deleted:1234567"}),
        "Can't update keys: get_feature_flag_key on Experiment",
    )
