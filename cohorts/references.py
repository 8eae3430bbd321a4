"""Whether what filters name is there."""

from cohorts.models import Cohort
from projects.models import Project


def exists(project: Project, cohort_id: int) -> bool:
    """Whether the project has this cohort, deleted ones apart."""
    return Cohort.objects.filter(project=project, pk=cohort_id, deleted=False).exists()
