"""Client of Samewise, a feature store whose training values and serving values are one computation."""

from samewise._aio import AsyncFeatureStore, AsyncTrainingJob
from samewise._calls import PushResult
from samewise._errors import (
    Conflict,
    InvalidRequest,
    NotFound,
    Overloaded,
    SamewiseError,
    ServerFailure,
    TimedOut,
    Unreachable,
)
from samewise._online import OnlineResponse
from samewise._progress import Progress
from samewise._registry import Feature, FeatureDetails, FeatureService
from samewise._retry import Retry
from samewise._store import FeatureStore, TrainingJob
from samewise._training import TrainingSet
from samewise._version import __version__

__all__ = [
    "AsyncFeatureStore",
    "AsyncTrainingJob",
    "Conflict",
    "Feature",
    "FeatureDetails",
    "FeatureService",
    "FeatureStore",
    "InvalidRequest",
    "NotFound",
    "OnlineResponse",
    "Overloaded",
    "Progress",
    "PushResult",
    "Retry",
    "SamewiseError",
    "ServerFailure",
    "TimedOut",
    "TrainingJob",
    "TrainingSet",
    "Unreachable",
    "__version__",
]
