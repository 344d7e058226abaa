"""`aniso compare`: several models side by side, what weakens the comparison, and the claims that compare them."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import click

from aniso_core import engine, store
from aniso_core.cli.completion import repeatable
from aniso_core.cli.parts import PARTLY_FAILED, tell_remarks
from aniso_core.cli.runs import choose, end, find_profiles, in_folders, seeded, tell, told_differences, told_in
from aniso_core.cli.say import note, out, out_json, paragraph, plugins, table, talking
from aniso_core.comparing import pairwise
from aniso_core.errors import AnisoError
from aniso_core.records import Profile, Verdict
from aniso_core.text import names_in, short


@dataclass(frozen=True)
class Row:
    """A model's line: the top-eigenvalue share over the view `paper`, all tokens; None where it is not known.

    `L_star` is the layer of the largest share, `max_anisotropy` that share, `profile_range` the range over layers.
    """

    model: str
    norm: str | None
    layers: int
    L_star: int | None
    max_anisotropy: float | None
    profile_range: float | None


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@repeatable("--hypothesis", "hypotheses", "hypothesis", "Hypothesis to test")
@seeded
@click.option("--json", "as_json", is_flag=True, help="Write models, notes and verdicts as JSON, with all fields.")
@talking()
def compare(runs: tuple[str, ...], hypotheses: tuple[str, ...], seed: int, *, as_json: bool) -> None:
    """Compare two runs or more, if they can be compared; RUN is a run directory, a folder of them or published:NAME."""
    runs = in_folders(runs)
    if len(runs) == 1:
        message = "One run has nothing to be compared with; give two or more."
        raise click.UsageError(message)
    known = plugins()
    chosen = choose(known, hypotheses)
    profiles = find_profiles(known, runs)
    pairs = [(a.model.name, b.model.name, found) for a, b, found in pairwise(profiles)]
    if all(found.refused for *_, found in pairs):
        first, second, found = pairs[0]
        message = f"{short(first)} and {short(second)} are not comparable: {found.refused}."
        raise AnisoError(message)
    judged = engine.judge(chosen, profiles, seed, owners=known.owners("hypothesis"))
    tell_remarks(judged.remarks)
    names = [profile.model.name for profile in profiles]
    clashing = [{first, second} for first, second, found in pairs if found.refused]
    # Who names a hypothesis wants to know why it compares nothing, too.
    shown = [
        verdict
        for verdict in judged.verdicts
        if (hypotheses or len(_models(verdict, names)) != 1)
        and (verdict.outcome == "not_testable" or _models(verdict, names) not in clashing)
    ]
    rows = [_row(profile) for profile in profiles]
    if as_json:
        notes = [{"models": pair, "note": note} for *pair, found in pairs for note in told_in(found)]
        out_json({"models": list(map(asdict, rows)), "notes": notes, "verdicts": store.to_plain(shown)})
    else:
        _show(rows)
        for pair, difference in told_differences(profiles):
            paragraph(f"Note: {pair}", difference)
        out("")
        tell(shown)
        if not shown:
            note("Note: no hypothesis compares these models; `aniso test` judges each alone.")
    end(judged.failures)
    if clashing:
        sys.exit(PARTLY_FAILED)


def _models(verdict: Verdict, names: Sequence[str]) -> set[str]:
    """Return which models a verdict names, in its subject and in what it was held against.

    One that names none is about all of them, as where there are too many pairs to test.
    """
    return names_in(f"{verdict.subject}\n{verdict.reference}", names)


def _row(profile: Profile) -> Row:
    from aniso_core.paper import paper_shares

    model, share = profile.model, paper_shares(profile)
    if share is None:
        return Row(model.name, model.norm, model.layers, None, None, None)
    highest, lowest = float(share.max()), float(share.min())
    return Row(model.name, model.norm, model.layers, int(share.argmax()), highest, highest - lowest)


def _show(rows: Sequence[Row]) -> None:
    paragraph("Top-eigenvalue share over the layers, view paper, all tokens", "")
    table(
        ("model", "norm", "layers", "L*", "max", "range"),
        [
            (
                short(row.model),
                row.norm or "none",
                row.layers,
                "-" if row.L_star is None else row.L_star,
                *("-" if share is None else f"{share:.3f}" for share in (row.max_anisotropy, row.profile_range)),
            )
            for row in rows
        ],
    )
    out("")
