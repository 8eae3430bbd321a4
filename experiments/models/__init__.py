from experiments.models.experiment import Conclusion, Experiment, ExperimentStatus, ExperimentType
from experiments.models.holdout import ExperimentHoldout
from experiments.models.result import StoredAnswer
from experiments.models.saved_metric import ExperimentSavedMetric, ExperimentToSavedMetric

__all__ = [
    "Conclusion",
    "Experiment",
    "ExperimentHoldout",
    "ExperimentSavedMetric",
    "ExperimentStatus",
    "ExperimentToSavedMetric",
    "ExperimentType",
    "StoredAnswer",
]
