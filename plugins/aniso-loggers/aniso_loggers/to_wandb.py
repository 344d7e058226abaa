"""The reporter `wandb`: a run of Weights & Biases for each profile."""

import os
from typing import Any

from aniso_core.records import Profile, Report, ReportFile
from aniso_core.text import short
from aniso_loggers import content


def render(report: Report) -> list[ReportFile]:
    """Log each profile, and return wandb.txt, which says where; raises AnisoError where wandb is missing."""
    wandb = content.package("wandb")
    return content.receipt("wandb", *[_logged(wandb, report, profile) for profile in report.profiles])


def _logged(wandb: Any, report: Report, profile: Profile) -> str:
    """Return where a profile went, in a line."""
    run = wandb.init(
        project=os.environ.get("WANDB_PROJECT") or content.DEFAULT,
        name=short(profile.model.name),
        config=content.facts(profile),
        reinit="create_new",
        settings=wandb.Settings(console="off", silent=True),
    )
    try:
        run.define_metric("layer")
        run.define_metric("*", step_metric="layer")
        for layer, values in content.by_layer(profile):
            run.log({"layer": layer, "depth": profile.depth(layer), **values})
        run.summary.update({f"verdict/{name}": outcome for name, outcome in content.outcomes(report, profile).items()})
        with content.files(report) as folder:
            if folder is not None:
                artifact = wandb.Artifact(f"run-{run.id}", type="aniso-run")
                artifact.add_dir(str(folder))
                run.log_artifact(artifact)
            where = f"run {run.id}, kept here for `wandb sync`" if run.offline else run.url
            run.finish()
    except BaseException:
        run.finish(exit_code=1)
        raise
    return f"{profile.model.name} was logged to Weights & Biases: {where}"
