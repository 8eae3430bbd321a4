"""What the activity log says of a project."""

from typing import Any

from projects.keys import mask_key
from projects.models import Project

SETTINGS = (
    "name",
    "timezone",
    "test_account_filters",
    "default_experiment_stats_method",
    "default_experiment_confidence_level",
    "default_cuped_enabled",
    "default_cuped_lookback_days",
    "default_sequential_testing_enabled",
    "default_sequential_tuning_parameter",
    "default_minimum_detectable_effect",
    "default_only_count_matured_users",
    "flags_persistence_default",
)


def snapshot(project: Project) -> dict[str, Any]:
    """The project as the activity log compares it: its settings, and of its tokens what may be shown."""
    return {
        **{name: getattr(project, name) for name in SETTINGS},
        "experiment_recalculation_time": f"{project.experiment_recalculation_time:%H:%M}",
        "api_token": mask_key(project.api_token),
        "secret_api_token": project.secret_token_mask,
        "secret_api_token_backup": project.secret_token_backup_mask,
    }
