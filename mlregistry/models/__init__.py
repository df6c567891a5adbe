from mlregistry.models.artefacts import ModelArtefact
from mlregistry.models.datasets import Dataset
from mlregistry.models.training import TrainingRun, TrainingStudy
from mlregistry.models.verdicts import GateVerdict
from mlregistry.models.versions import ModelFamily, ModelVersion, StageChange

__all__ = [
    "Dataset",
    "GateVerdict",
    "ModelArtefact",
    "ModelFamily",
    "ModelVersion",
    "StageChange",
    "TrainingRun",
    "TrainingStudy",
]
