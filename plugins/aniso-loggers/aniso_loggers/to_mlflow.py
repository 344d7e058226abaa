"""The reporter `mlflow`: a run of MLflow for each profile."""

import os
import re
from collections.abc import Mapping
from typing import Any

from aniso_core.records import Profile, Report, ReportFile
from aniso_core.text import short
from aniso_loggers import content

_LONGEST = 500  # characters of a value that every tracking server takes


def render(report: Report) -> list[ReportFile]:
    """Log each profile, and return mlflow.txt, which says where; raises AnisoError where mlflow is missing."""
    mlflow = content.package("mlflow")
    mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME") or content.DEFAULT)
    return content.receipt("mlflow", *[_logged(mlflow, report, profile) for profile in report.profiles])


def _logged(mlflow: Any, report: Report, profile: Profile) -> str:
    """Return where a profile went, in a line."""
    with mlflow.start_run(run_name=short(profile.model.name)) as run:
        mlflow.log_params({name: str(value)[:_LONGEST] for name, value in content.facts(profile).items()})
        for layer, values in content.by_layer(profile):
            mlflow.log_metrics(_legal(values), step=layer)
        mlflow.set_tags(_legal(content.outcomes(report, profile)))
        with content.files(report) as folder:
            if folder is not None:
                mlflow.log_artifacts(str(folder))
    server = without_login(mlflow.get_tracking_uri())
    return f"{profile.model.name} was logged to MLflow: run {run.info.run_id} at {server}"


def without_login(uri: str) -> str:
    """Return an address without the name and password that may stand in it."""
    return re.sub(r"//[^/]*@", "//", uri)


def _legal(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values under names that every tracking server takes."""
    return {re.sub(r"[^\w.\- /]", "_", name): value for name, value in values.items()}
