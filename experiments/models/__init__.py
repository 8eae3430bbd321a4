from experiments.models.experiment import Conclusion, Experiment, ExperimentStatus, ExperimentType
from experiments.models.holdout import ExperimentHoldout
from experiments.models.result import StoredAnswer
from experiments.models.saved_metric import ExperimentSavedMetric, ExperimentToSavedMetric
from experiments.models.timeseries import (
    ExperimentMetricResult,
    PointStatus,
    RecalculationStatus,
    TimeseriesRecalculation,
    TimeseriesRun,
)

__all__ = [
    "Conclusion",
    "Experiment",
    "ExperimentHoldout",
    "ExperimentMetricResult",
    "ExperimentSavedMetric",
    "ExperimentStatus",
    "ExperimentToSavedMetric",
    "ExperimentType",
    "PointStatus",
    "RecalculationStatus",
    "StoredAnswer",
    "TimeseriesRecalculation",
    "TimeseriesRun",
]
