"""Runs the experiment from scratch: trains all twins, measures them, and compares with the profiles stored here.

Run as `python -m norm_twins.run`. What is whole is left alone, so that the same command goes on with what broke off.
The exit code is 1 where a profile is not within 1e-5 of the stored one.
"""

import argparse
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import tomli_w

from aniso_core import store
from aniso_core.errors import AnisoError
from aniso_core.records import Profile
from aniso_core.rigorous import SHARE
from aniso_core.store import Judged
from aniso_twins import plan as plans
from aniso_twins.corpus import SEED, build_corpus, find_books
from aniso_twins.plan import RECORD, Plan
from norm_twins import design
from norm_twins.design import HERE, PROFILES, TRAININGS, Checkpoint, Design
from norm_twins.evidence import PLACES, flat

TOLERANCE = 1e-5
_WORK = HERE.parents[1] / ".cache" / "norm-twins"
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}

logger = logging.getLogger("norm-twins")


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, measure, and compare or store; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=_WORK, help="folder of texts, weights and runs")
    parser.add_argument("--arm", nargs="+", default=(), help="arms of design.toml; all of them unless it is given")
    parser.add_argument("--record", action="store_true", help="store here what is not stored, and compare nothing")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        designed = design.read().only(given.arm)
        train(designed, given.work)
        checkpoints = trained(designed, given.work)
        measure(designed, checkpoints, given.work)
        if given.record:
            return record(designed, checkpoints, given.work)
        return compare(designed, given.work)
    except AnisoError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except (OSError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"Cannot go on: {error}; mend that and give the same command again.\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Stopped; the same command goes on from what is whole.\n")
        return 130


def train(designed: Design, work: Path) -> None:
    """Train all arms, as many trainings at a time as there are cores, each with one thread."""
    texts = work / "texts"
    found = build_corpus(find_books(texts), SEED, designed.recipe["vocabulary"]).sha256
    if found != designed.corpus_sha256:
        message = (
            f"The texts in {texts} make a corpus of SHA-256 {found[:12]}, and design.toml has "
            f"{designed.corpus_sha256[:12]}; give the versions of the texts that the page names."
        )
        raise AnisoError(message)
    commands = [_command(plan, work) for arm in designed.arm for plan in designed.plans(arm)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        # Whether each ended well is read off its record, since one that diverged has its place in the experiment.
        for _ in pool.map(lambda command: subprocess.run(command, check=False, env=os.environ | _ONE_THREAD), commands):
            pass


def _command(plan: Plan, work: Path) -> list[str]:
    options = {"norm": plan.norm, "seed": plan.seed, **asdict(plan.recipe)}
    del options["bfloat16"]
    named = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    folders = [f"--texts={work / 'texts'}", f"--out={work / 'twins'}"]
    return [sys.executable, "-m", "aniso_twins.train", *folders, *named, "--device=cpu"]


def trained(designed: Design, work: Path) -> list[Checkpoint]:
    """Return the checkpoints to measure; those of a training that diverged are none.

    Raises AnisoError where a training did not end, or has no checkpoint that the design wants.
    """
    found = []
    for checkpoint in designed.checkpoints():
        folder = work / "twins" / checkpoint.plan.name
        training = plans.begun(folder, checkpoint.plan)
        if training is None or not training.ended:
            message = f"{folder} holds no training that has ended; what stopped it stands above: give the same command."
            raise AnisoError(message)
        if training.diverged_at is not None:
            logger.warning("%s diverged at step %d and is left out.", checkpoint.name, training.diverged_at)
        elif not checkpoint.is_of(training):
            logger.warning("%s never came down to that loss and is left out.", checkpoint.name)
        elif not (folder / checkpoint.folder).is_dir():
            message = f"{folder} has no checkpoint {checkpoint.folder}; remove the folder to train it again."
            raise AnisoError(message)
        else:
            found.append(checkpoint)
    return found


def measure(designed: Design, checkpoints: Sequence[Checkpoint], work: Path) -> None:
    """Measure all checkpoints by `aniso sweep`, as many at a time as there are cores."""
    cores = min(os.cpu_count() or 1, len(checkpoints))
    files = []
    for part in range(cores):
        files.append(work / f"sweep-{part}.toml")
        files[-1].write_text(_sweep(designed, checkpoints[part::cores], work), encoding="utf-8")
    aniso = str(Path(sys.executable).with_name("aniso"))
    running = [subprocess.Popen([aniso, "sweep", str(file)], env=os.environ | _ONE_THREAD) for file in files]
    if sum(process.wait() for process in running):
        message = "Not all checkpoints were measured; what failed stands above: give the same command again."
        raise AnisoError(message)


def _sweep(designed: Design, checkpoints: Sequence[Checkpoint], work: Path) -> str:
    """Return the file of a sweep over checkpoints."""
    models = {
        whole: [str(work / "twins" / c.plan.name / c.folder) for c in checkpoints if c.whole == whole]
        for whole in (True, False)
    }
    tables = [
        {"model": models[whole], "metric": list(measured.metrics), "no-intervals": not whole}
        for whole, measured in ((True, designed.measured), (False, designed.followed))
        if models[whole]
    ]
    return tomli_w.dumps(
        {
            "out": str(work / "runs"),
            "adapter": "twins",
            "prompts": designed.prompts,
            "tokens": ["all", "bulk"],
            "device": "cpu",
            "dtype": "float32",
            "reporter": ["json"],
            "sweep": tables,
        }
    )


def record(designed: Design, checkpoints: Sequence[Checkpoint], work: Path) -> int:
    """Store what the page is made of: records of trainings, profiles without spectra, pseudo-values of the share."""
    for plan in (plan for arm in designed.arm for plan in designed.plans(arm)):
        TRAININGS.joinpath(plan.name).mkdir(parents=True, exist_ok=True)
        store.write_file(TRAININGS / plan.name / RECORD, (work / "twins" / plan.name / RECORD).read_bytes())
    new = [checkpoint for checkpoint in checkpoints if not (PROFILES / checkpoint.name).exists()]
    for checkpoint in new:
        files = store.run_files(_stored(store.load(work / "runs" / checkpoint.name)), Judged(), {})
        store.save(PROFILES / checkpoint.name, [f for f in files if f.name in {store.PROFILE, store.ARRAYS}], ())
    logger.info("stored %d profiles", len(new))
    return 0


def _stored(profile: Profile) -> Profile:
    share = tuple(pseudo for pseudo in profile.pseudo if pseudo.metric == SHARE)
    return replace(profile, spectra=(), arrays=(), pseudo=share)


def compare(designed: Design, work: Path) -> int:
    """Say how far the new profiles are from those that are stored, and return the exit code.

    A profile without the other, as where a training diverged this time alone, is as far off as can be.
    """
    farthest, where, count = 0.0, "any", 0
    for checkpoint in designed.checkpoints():
        both = [folder / checkpoint.name for folder in (PROFILES, work / "runs")]
        there = [path.exists() for path in both]
        if not any(there):
            continue
        apart, count = distance(*map(store.load, both)) if all(there) else np.inf, count + 1
        if apart > farthest:
            farthest, where = apart, checkpoint.name
    said = "%d profiles; the farthest from the stored one is %s, by %.2g of the largest value of a curve"
    logger.info(said, count, where, farthest)
    return int(farthest > TOLERANCE)


def distance(one: Profile, other: Profile) -> float:
    """Return the largest difference between two profiles, as a share of the largest value of a curve or flatness.

    It is infinite where a value is known in one of them alone.
    """
    found = [0.0]
    for curve in one.curves:
        values, others = curve.array(), other.curve(curve.metric, curve.stream, curve.tokens).array()
        known = ~np.isnan(values)
        if (known == np.isnan(others)).any():
            return float("inf")
        if known.any():  # bulk tokens have no share of the first
            found.append(float(np.abs(values - others)[known].max() / np.abs(values[known]).max()))
    for place in PLACES if one.pseudo else ():
        level = one.curve(SHARE, *place).array().max()
        found.append(abs(flat(one, place) - flat(other, place)) / level)
    return max(found)


if __name__ == "__main__":
    sys.exit(main())
