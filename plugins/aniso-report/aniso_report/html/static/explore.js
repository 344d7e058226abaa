// One model, layer by layer: its profile in any metric, its spectra, its norms.

const LAYER = "layer (0: input of the first block)";
let shown = 0; // the model that is looked at

const model = () => page.models[shown];
const STREAMS = { residual: "residual, before the final norm", normed: "normed, after each norm", paper: "paper, as the model publishes it" };

// A curve as series: the last state of the view `paper` lies after the final norm and is drawn apart.
function series(of, metric, stream, tokens, name, look, relative) {
  const curve = of.curves[metric]?.[stream]?.[tokens];
  if (!curve) return [];
  const layers = curve.x || curve.v.map((_, i) => i);
  const x = relative ? layers.map((l) => l / of.layers) : layers;
  const whole = { name, look, x, y: curve.v, lo: curve.lo, hi: curve.hi, no: curve.no };
  const last = layers.length - 1;
  if (stream !== "paper" || last < 1 || layers[last] !== of.layers) return [whole];
  const cut = (list, a, b) => list && list.slice(a, b);
  const part = (a, b, more) => ({ ...whole, x: cut(x, a, b), y: cut(whole.y, a, b), lo: cut(whole.lo, a, b), hi: cut(whole.hi, a, b), ...more });
  return [part(0, last, {}), part(last - 1, last + 1, { name: `${name}, after the final norm`, open: true, lo: undefined, hi: undefined })];
}

function drawProfile() {
  const of = model();
  options(byId("explore-metric"), Object.keys(of.curves), page.share);
  const metric = byId("explore-metric").value; // empty where no metric has a value
  const streams = of.curves[metric] || {};
  options(byId("explore-stream"), Object.keys(streams), of.main, STREAMS);
  const stream = byId("explore-stream").value;
  const there = Object.keys(streams[stream] || {});
  boxes(byId("explore-tokens"), there, ["all", "bulk"], drawProfile);
  const tokens = checked(byId("explore-tokens"));
  const flags = (of.flags || [])
    .filter(([s, t, m]) => s === stream && tokens.includes(t) && (!m || m === metric))
    .map(([, t, , layers, said]) => ({ layers, said: `${said} (${t} tokens)` }));
  const isShare = metric === page.share;
  const sets = of.peaks.filter(([s, t]) => isShare && s === stream && tokens.includes(t))
    .map(([, t, layers]) => ({ look: TOKENS[t] || 4, layers, name: `95 % set of L*, ${t} tokens` }));
  const chart = {
    x: LAYER, y: unit(metric), whole: true, from0: isShare, logY: byId("explore-log").checked,
    series: tokens.flatMap((t, i) => series(of, metric, stream, t, `${t} tokens`, TOKENS[t] || 4 + (i % 4))),
    sets, flags, flagged: [...new Set(flags.flatMap((f) => f.layers))], at: (layer) => `Layer ${layer} of ${of.layers}`,
    start: tokens.length ? top(streams[stream][tokens[0]]) : 0,
  };
  const about = page.metrics[metric]?.[1];
  byId("explore-said").textContent = [about && `${metric}: ${about}.`, ...tokens.map((t) => highest(streams[stream][t], t))].filter(Boolean).join(" ");
  finish("explore-chart", chart, metric ? `${of.name}: ${metric}, ${stream} stream` : of.name);
}

function unit(metric) {
  const own = page.metrics[metric]?.[0];
  return metric === page.share ? "share of variance" : own === "1" ? metric : own;
}

function best(values) {
  return values.reduce((b, v, i) => (v !== null && (b < 0 || v > values[b]) ? i : b), -1);
}

// The layer where a curve is highest.
function top(curve) {
  const i = best(curve.v);
  return curve.x ? curve.x[i] : i;
}

const highest = (curve, tokens) => `Of ${tokens} tokens highest at layer ${top(curve)} (${number(curve.v[best(curve.v)])}).`;

function finish(id, chart, label) {
  const figure = byId(id);
  const fixed = figure.querySelector(".static");
  if (fixed) fixed.hidden = true;
  if (label) {
    figure.dataset.label = label;
    figure.querySelector(".shown").textContent = label;
  }
  plot(figure, chart);
  key(figure, chart);
  const places = [...new Set(chart.series.flatMap((s) => s.x))].sort((a, b) => a - b);
  const told = chart.series.filter((s) => !s.thin || s.told);
  const cell = (s, x) => {
    const i = s.x.indexOf(x);
    if (i < 0 || s.y[i] === null || (s.open && i < s.x.length - 1)) return "";
    return number(s.y[i]) + (s.lo && s.lo[i] != null ? ` (${number(s.lo[i])} to ${number(s.hi[i])})` : "");
  };
  table(figure, [chart.x, ...told.map((s) => s.name)], () => places.map((x) => [tick(x), ...told.map((s) => cell(s, x))]));
}

function boxes(fieldset, names, chosen, changed) {
  const before = checked(fieldset);
  const kept = before.filter((name) => names.includes(name));
  const start = kept.length ? kept : names.filter((name) => chosen.includes(name)).concat(names).slice(0, Math.max(1, names.filter((n) => chosen.includes(n)).length));
  if (fieldset.dataset.names === names.join("\n")) return;
  fieldset.dataset.names = names.join("\n");
  for (const label of fieldset.querySelectorAll("label")) label.remove();
  for (const name of names) {
    const box = html("input", { type: "checkbox", value: name });
    box.checked = start.includes(name);
    box.onchange = () => (checked(fieldset).length ? changed() : (box.checked = true));
    fieldset.append(html("label", { class: "check" }, box, ` ${name}`));
  }
}
const checked = (fieldset) => [...fieldset.querySelectorAll("input:checked")].map((box) => box.value);

function drawSpectra() {
  const held = model().spectra || {};
  const streams = Object.keys(held);
  byId("spectra").hidden = !streams.length;
  if (!streams.length) return;
  options(byId("spectra-stream"), streams, "residual");
  const sets = held[byId("spectra-stream").value];
  options(byId("spectra-tokens"), Object.keys(sets), "all");
  const spectra = sets[byId("spectra-tokens").value];
  const layers = Object.keys(spectra).map(Number);
  const slider = byId("spectra-layer");
  fill(slider, { min: Math.min(...layers), max: Math.max(...layers) }, []);
  const layer = layers.reduce((best, l) => (Math.abs(l - slider.value) < Math.abs(best - slider.value) ? l : best));
  byId("spectra-number").textContent = `${layer} of ${model().layers}`;
  const line = (l, name, look, more) => ({ name, look, x: spectra[l][0], y: spectra[l][1], ...more });
  const ends = [layers[0], layers[layers.length - 1]].filter((l) => l !== layer);
  finish("spectra-chart", {
    x: "rank of the direction", y: "share of variance", logX: true, logY: true,
    series: [
      ...layers.filter((l) => l !== layer && !ends.includes(l)).map((l) => line(l, "", 4, { thin: true })),
      ...ends.map((l) => line(l, `layer ${l}`, l === layers[0] ? 2 : 3, {})), line(layer, `layer ${layer}`, 1, {}),
    ],
    at: (rank) => `Direction ${rank}`,
  }, `${model().name}: spectrum of layer ${layer}`);
}

const NORMS = { "norm-mean": "mean norm, ± one sd", "norm-cv": "variation of norms", gains: "gain of each norm" };

function drawNorms() {
  const of = model();
  const held = Object.keys(NORMS).filter((name) => (name === "gains" ? (of.gains || []).length : of.curves[name]));
  byId("norms").hidden = !held.length;
  if (!held.length) return;
  options(byId("norms-show"), held, "norm-mean", NORMS);
  const what = byId("norms-show").value;
  const streams = Object.keys(of.curves[what] || {});
  options(byId("norms-stream"), streams, of.main, STREAMS);
  const stream = byId("norms-stream").value;
  const spread = (s, t) => {
    const sd = what === "norm-mean" && of.curves["norm-sd"]?.[stream]?.[t]?.v;
    return sd && !s.open ? { ...s, lo: s.y.map((v, i) => (v === null ? null : v - sd[i])), hi: s.y.map((v, i) => (v === null ? null : v + sd[i])) } : s;
  };
  const gains = of.gains || [];
  const lines = what === "gains"
    ? [{ name: "mean gain, ± one sd", look: 1, x: gains.map((g) => g[0]), y: gains.map((g) => g[1]), lo: gains.map((g) => g[1] - g[2]), hi: gains.map((g) => g[1] + g[2]) }]
    : ["all", "bulk"].flatMap((t) => series(of, what, stream, t, `${t} tokens`, TOKENS[t]).map((s) => spread(s, t)));
  const units = { "norm-mean": "state units", "norm-cv": "sd / mean", gains: "gain" };
  const band = what === "norm-cv" ? undefined : "one sd about it:";
  finish("norms-chart", { x: LAYER, y: units[what], whole: true, logY: what === "norm-mean", series: lines, band, start: of.layers, at: (layer) => `Layer ${layer} of ${of.layers}` }, `${of.name}: ${NORMS[what]}`);
}
