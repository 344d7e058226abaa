"""Checks an adapter: its record, which models it opens, and the states that its probe reads of one."""

import contextlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import torch

from aniso_core.anatomy import dissect, no_cache
from aniso_core.batches import Batch, Layout, plan_batches
from aniso_core.contracts import Adapter, BosRule, ModelRequest, Probe
from aniso_core.errors import AnisoError
from aniso_core.records import STREAMS, Norm, Profile, Site
from aniso_core.testing.models import tiny_model
from aniso_core.testing.rules import Checked, silent, want, wanting
from aniso_core.tokens import Document, Window
from aniso_core.transformer import TransformerProbe

STAND_INS = ("llama", "gpt_neox", "gemma", "gpt2", "bert")
"""Architectures that an adapter is offered as tiny random models; one for a family opens some of them at most."""

_OFF = 2e-5
"""Relative distance of a token's float32 states in two batches, by rounding alone (4.3e-6 in a model of 30 blocks)."""

_SHORT = 9
"""A window, in tokens, that some of the texts do not fit in."""

_TEXTS = ("A river.", "Nobody had asked for it, and few had seen it.", "Seven lamps, eight, nine.", "x")

States = dict[tuple[Site, int, int], torch.Tensor]


def check_adapter(adapter: Adapter, model: str | Path | None = None) -> Checked:
    """Return what was checked of an adapter; raises AssertionError, one sentence, for the first rule that it breaks.

    It refuses other families; its sites and states are those of the model, whatever the batch; the model stays as it
    was. It opens `model` (a preset's name, a folder, a file); without one its bundled preset, or else the first of
    several tiny random models that it takes. Nothing is fetched unless `model` asks for it.
    """
    about = f"Adapter {adapter.name}"
    rules = ["its record is complete", "what it does not open it refuses by AnisoError"]
    rules += ["its sites are in order", "its windows fit", "states do not depend on the batch"]
    with silent(about), tempfile.TemporaryDirectory() as folder:
        _record(adapter, about)
        taken = _family(adapter, about, Path(folder))
        bundled = [preset.name for preset in adapter.presets if preset.bundled]
        chosen = [str(given) for given in (model, *bundled, *taken) if given is not None]
        want(chosen, about, "a model to open: a bundled preset, or one given to check_adapter", "none", "in its record")
        with wanting(about, "a probe", f"opening {chosen[0]}"):
            probe = adapter.open(ModelRequest(chosen[0], device="cpu", dtype="float32"))
        where, before = f"model {probe.info.name}", _condition(probe)
        _sites(about, probe, where)
        windows = _windows(about, probe, where)
        _batches(about, probe, windows, where)
        if isinstance(probe, TransformerProbe):
            _published_states(about, probe, windows, where)
            _break_off(probe, windows)
            for what, now in _condition(probe).items():
                want(now == before[what], about, f"the model's {what} as they were", "others", f"{where}, once read")
            rules += ["its states are those that the model publishes", "the model is left as it was"]
    return Checked("adapter", adapter.name, tuple(rules))


def _record(adapter: Adapter, about: str) -> None:
    want(adapter.summary.strip(), about, "a summary", repr(adapter.summary), "in its record")
    names = [preset.name for preset in adapter.presets]
    want(len(set(names)) == len(names), about, "presets of different names", ", ".join(names), "in its record")
    for preset in adapter.presets:
        where = f"preset {preset.name}"
        want(preset.name and preset.where and preset.summary, about, "a name, a place and a summary", preset, where)
        there = not preset.bundled or Path(preset.where).is_dir()
        want(there, about, "a folder for a bundled preset", preset.where, where)
    with wanting(about, "published profiles by name", "published()"):
        profiles = adapter.published()
        want(isinstance(profiles, Mapping), about, "profiles by name", type(profiles).__name__, "published()")
    for name, profile in profiles.items():
        want(isinstance(profile, Profile), about, "a Profile", type(profile).__name__, f"published:{name}")
        source = profile.model.source
        want(source == "published", about, 'the source "published" of its model', repr(source), f"published:{name}")
        want(profile.curves, about, "curves", "none", f"published:{name}")


def _family(adapter: Adapter, about: str, folder: Path) -> list[Path]:
    """Return which tiny models the adapter opens; whatever else it is offered it must refuse by AnisoError."""
    empty = folder / "empty"
    empty.mkdir()
    want(not _opens(adapter, about, empty), about, "an AnisoError", "a probe", "opening a folder without a model")
    stand_ins = [tiny_model(folder / kind, kind) for kind in STAND_INS]
    taken = [path for path in stand_ins if _opens(adapter, about, path)]
    # Presets are models of a family; an adapter without any is for all.
    strict = not adapter.presets or len(taken) < len(stand_ins)
    where = f"opening tiny models of {', '.join(STAND_INS)}"
    want(strict, about, "an AnisoError for a model of another family than its presets'", "a probe of each", where)
    return taken


def _opens(adapter: Adapter, about: str, folder: Path) -> bool:
    """Return whether the adapter opens what is in a folder; anything but a probe and an AnisoError is a fault."""
    with wanting(about, "a probe or an AnisoError", f"opening a model of {folder.name}"):
        try:
            adapter.open(ModelRequest(str(folder), device="cpu", dtype="float32"))
        except AnisoError:
            return False
        return True


def _sites(about: str, probe: Probe, where: str) -> None:
    wanted = sorted(set(probe.sites), key=lambda site: (STREAMS.index(site.stream), site.layer))
    want(list(probe.sites) == wanted, about, "sites once each, by stream, then layer", list(probe.sites), where)
    layers = [site.layer for site in wanted if site.stream == "residual"]
    depth = probe.info.layers
    want(layers == list(range(depth + 1)), about, f"residual sites 0 to {depth}", layers, where)
    for site in wanted:
        norm = probe.norm_at(site)
        known = norm is None or (
            isinstance(norm, Norm) and site.stream == "normed" and len(norm.gain) == probe.info.width
        )
        want(known, about, "a Norm as wide as the model, or None", norm, f"{where}, site {site.key}")


def _windows(about: str, probe: Probe, where: str) -> tuple[Window, ...]:
    """Return the windows of some texts, the longest of them split."""
    documents = [Document(str(number), text) for number, text in enumerate(_TEXTS)]
    for bos in get_args(BosRule):
        how = f"{where}, --bos {bos}"
        with wanting(about, "windows", how):
            made, again = (probe.tokenize(documents, bos=bos, max_length=_SHORT) for _ in range(2))
        want(made == again, about, "the same windows twice", "others", how)
        longest = max(len(window.ids) for window in made.windows)
        want(longest <= _SHORT, about, f"windows of at most {_SHORT} tokens, as asked for", longest, how)
        numbers = sorted({window.document for window in made.windows})
        want(numbers == list(range(len(_TEXTS))), about, "windows of each document", numbers, how)
    # Numbered anew: states are told apart by document and position, and a document may be several windows.
    windows = probe.tokenize(documents, bos="auto", max_length=None).windows
    return tuple(replace(window, document=number) for number, window in enumerate(windows))


def states_of(probe: Probe, batches: Sequence[Batch]) -> States:
    """Return each token's state float[d] by (site, document, position); windows are one a document."""
    found: States = {}
    for batch in batches:
        layout = Layout(batch, torch.device("cpu"))

        def sink(site: Site, states: torch.Tensor, layout: Layout = layout) -> None:
            tokens = layout.tokens(states)
            places = zip(tokens.document.tolist(), tokens.position.tolist(), tokens.states, strict=True)
            found.update({(site, document, position): state.clone() for document, position, state in places})

        with probe.reading(probe.sites, sink) as run:
            run(batch)
    return found


def _batches(about: str, probe: Probe, windows: Sequence[Window], where: str) -> None:
    with wanting(about, "states of every site", where):
        alone = states_of(probe, plan_batches(windows, 1))
        ways = {
            "padded beside longer windows": states_of(probe, plan_batches(windows, 10_000)),
            "in another order": states_of(probe, plan_batches(windows[::-1], 40)),
        }
        if probe.row_tokens:
            ways["packed into rows"] = states_of(probe, plan_batches(windows, 10_000, probe.row_tokens))
    count = len(probe.sites) * len({(w.document, p) for w in windows for p in range(len(w.ids))})
    want(len(alone) == count, about, f"{count} states", len(alone), where)
    for way, states in ways.items():
        want(states.keys() == alone.keys(), about, "a state of each token at each site", "others", f"{where}, {way}")
        for key, state in alone.items():
            site, document, position = key
            place = f"{where}, site {site.key}, document {document}, token {position}, {way}"
            want(len(state) == probe.info.width, about, f"states of width {probe.info.width}", len(state), place)
            off = float((states[key] - state).norm() / state.norm())
            want(off <= _OFF, about, "the state that the window has alone", f"one that is {off:.2g} of it off", place)


def _published_states(about: str, probe: TransformerProbe, windows: Sequence[Window], where: str) -> None:
    """Hold what the probe reads against `output_hidden_states`; that they agree at all is what dissect looks at."""
    with wanting(about, "a model whose published states are its blocks'", where):
        anatomy = dissect(probe.anatomy.trunk)
    want(anatomy.sites == probe.sites, about, f"the sites {anatomy.sites}", probe.sites, where)
    window, last = max(windows, key=lambda window: len(window.ids)), probe.info.layers
    with torch.inference_mode():
        trunk: Any = probe.anatomy.trunk
        asked = {"output_hidden_states": True, **no_cache(trunk)}
        published = trunk(input_ids=torch.tensor([window.ids]), **asked).hidden_states
    read = states_of(probe, plan_batches([window], 1))
    final = Site(last, "normed") if Site(last, "normed") in probe.sites else Site(last, "residual")
    for layer, states in enumerate(published):
        site = final if layer == last else Site(layer, "residual")
        ours = torch.stack([read[site, window.document, at] for at in range(len(window.ids))])
        off = float((ours - states[0]).norm() / states.norm())
        got = f"some that are {off:.2g} off"
        want(off <= _OFF, about, "the states of output_hidden_states", got, f"{where}, site {site.key}")


def _break_off(probe: Probe, windows: Sequence[Window]) -> None:
    """Read up to an exception."""

    def raising(_site: Site, _states: torch.Tensor) -> None:
        raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt), probe.reading(probe.sites, raising) as run:
        run(plan_batches(windows, 10_000)[0])


def _condition(probe: Probe) -> dict[str, list[float]]:
    """Return what of a transformers model a reading may not change."""
    if not isinstance(probe, TransformerProbe):
        return {}
    trunk = probe.anatomy.trunk
    # torch has no public way to count hooks.
    hooks = [(module._forward_hooks, module._forward_pre_hooks) for module in trunk.modules()]  # noqa: SLF001
    return {
        "training modes": [module.training for module in trunk.modules()],
        "hooks": [len(after) + len(before) for after, before in hooks],
        "parameters": [float(parameter.detach().double().sum()) for parameter in trunk.parameters()],
    }
