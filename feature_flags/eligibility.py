"""Which flags an experiment can be made on. The one test of it; in SQL, so that lists are filtered by it too."""

from django.db.models import BooleanField, Func, Q

MIN_VARIANTS = 2
MAX_VARIANTS = 20
CONTROL = "control"


class _HasExperimentVariants(Func):
    template = (
        "(COALESCE(json_array_length(%(expressions)s #> '{multivariate,variants}'), 0)"
        f" BETWEEN {MIN_VARIANTS} AND {MAX_VARIANTS}"
        f" AND COALESCE(%(expressions)s #>> '{{multivariate,variants,0,key}}', '') = '{CONTROL}')"
    )
    output_field = BooleanField()


def eligible() -> Q:
    """The condition on FeatureFlag: neither deleted nor archived, 2 to 20 variants, the first of them the control."""
    return Q(_HasExperimentVariants("filters"), deleted=False, archived=False)
