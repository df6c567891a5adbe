from mlregistry.models.artefacts import ModelArtefact
from mlregistry.models.canaries import Canary, CanaryObservation
from mlregistry.models.datasets import Dataset
from mlregistry.models.drift import DriftReport
from mlregistry.models.shadows import ShadowDecision, ShadowTrack
from mlregistry.models.training import TrainingRun, TrainingStudy
from mlregistry.models.truth import TruthReport
from mlregistry.models.verdicts import GateVerdict
from mlregistry.models.versions import ModelFamily, ModelVersion, StageChange

__all__ = [
    "Canary",
    "CanaryObservation",
    "Dataset",
    "DriftReport",
    "GateVerdict",
    "ModelArtefact",
    "ModelFamily",
    "ModelVersion",
    "ShadowDecision",
    "ShadowTrack",
    "StageChange",
    "TrainingRun",
    "TrainingStudy",
    "TruthReport",
]
