// What the charts share: elements, numbers and scales. All foreign text becomes a text node, never markup.

const page = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const SERIES = 7;
const MARKERS = [
  "M-3.4 0a3.4 3.4 0 1 0 6.8 0a3.4 3.4 0 1 0-6.8 0z", "M-3-3h6v6h-6z", "M0-4L3.8 3H-3.8z", "M0 4L3.8-3H-3.8z",
  "M-1.3-4h2.6v2.7H4v2.6H1.3V4h-2.6V1.3H-4v-2.6h2.7z", "M-4-2.4L-2.4-4L0-1.6L2.4-4L4-2.4L1.6 0L4 2.4L2.4 4L0 1.6L-2.4 4L-4 2.4L-1.6 0z",
  "M-4 0L3 3.8V-3.8z",
];
const DIAMOND = "M0-5.5L5.5 0L0 5.5L-5.5 0z";
const SHEET = 640; // pixels across a printed sheet, whatever the width of the screen
const room = (live) => (document.body.classList.contains("printed") ? SHEET : Math.max(280, live.clientWidth || SHEET));
const TOKENS = { all: 1, bulk: 2, "no-first": 3 };

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
const html = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

// A number in three digits or more, as the tables beside the charts write it.
function number(value) {
  if (value === null || value === undefined) return "no value";
  const size = Math.abs(value);
  if (size >= 1e5 || (size > 0 && size < 1e-3)) return value.toExponential(1).replace("e+", "e");
  return value.toFixed(size < 10 ? 3 : size < 1000 ? 1 : 0);
}

// A scale from numbers to pixels, with its ticks; a logarithmic one when asked.
function scale(low, high, from, to, log) {
  const shape = log ? Math.log10 : (x) => x;
  const [a, b] = [shape(low), shape(high)];
  const at = (x) => from + ((shape(x) - a) / (b - a || 1)) * (to - from);
  at.ticks = (most) => (log ? powers(low, high, most) : evenly(low, high, most));
  return at;
}

function evenly(low, high, most) {
  const rough = (high - low) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough || 1));
  const step = power * ([1, 2, 5].find((s) => s * power >= rough) || 10);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(Number((i * step).toPrecision(12)));
  return found;
}

function powers(low, high, most) {
  const found = [];
  for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high); e++) {
    for (const k of [1, 2, 5]) if (k * 10 ** e >= low && k * 10 ** e <= high) found.push(k * 10 ** e);
  }
  const tens = found.filter((x) => /^1e/.test(x.toExponential()));
  const kept = found.length <= most ? found : tens;
  return kept.filter((_, i) => i % Math.ceil(kept.length / most) === 0);
}

function tick(value) {
  const size = Math.abs(value);
  if (size === 0 || (size >= 1e-3 && size < 1e5)) return String(Number(value.toPrecision(6)));
  const [digit, power] = value.toExponential(0).split("e");
  const raised = [...power.replace("+", "")].map((c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]).join("");
  return `${digit === "1" ? "" : `${digit}×`}10${raised}`;
}

// Neighbouring layers as spans, each half a layer wider on both sides.
function spans(layers) {
  const found = [];
  for (const layer of layers) {
    const last = found[found.length - 1];
    if (last && last[1] === layer - 0.5) last[1] = layer + 0.5;
    else found.push([layer - 0.5, layer + 0.5]);
  }
  return found;
}

function options(select, names, chosen, labels = {}) {
  const kept = names.includes(select.value) ? select.value : names.includes(chosen) ? chosen : names[0];
  select.replaceChildren(...names.map((name) => html("option", { value: name }, labels[name] || name)));
  select.value = kept ?? "";
  select.closest("label").hidden = names.length === 0;
}

// Rows of text as a table inside the `details` of a chart; made when it is opened or printed.
function table(figure, headings, rows) {
  const details = figure.querySelector("details");
  const make = () =>
    details.querySelector(".scroll").replaceChildren(
      html("table", {},
        html("thead", {}, html("tr", {}, ...headings.map((text) => html("th", { scope: "col", class: "n" }, text)))),
        html("tbody", {}, ...rows().map(([head, ...cells]) => html("tr", {},
          html("th", { scope: "row", class: "n" }, head), ...cells.map((text) => html("td", { class: "n" }, text)))))));
  details.ontoggle = () => details.open && make();
  if (details.open) make();
}
