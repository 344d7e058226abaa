// One chart of lines: pointer and arrow keys move a cursor, and the values under it are read out.
//
// A chart is { x, y, logX, logY, from0, series, sets, flags, start, at }: labels of the axes, whether they are logarithmic,
// lists of what is drawn, and the place where the cursor is first. A series is { name, look, x, y, lo, hi, open, thin }; `open` is drawn as a diamond of its own.

const MARGIN = { left: 54, right: 12, top: 10, bottom: 40 };

function plot(figure, chart, small = false) {
  const live = figure.querySelector(".live");
  const wide = small ? 168 : room(live);
  const high = small ? 96 : Math.round(Math.min(380, Math.max(250, wide * 0.42)));
  const margin = small ? { left: 4, right: 4, top: 4, bottom: 4 } : MARGIN;
  const finite = (values) => values.filter((v) => v !== null && Number.isFinite(v) && (!chart.logY || v > 0));
  const ys = chart.range || finite(chart.series.flatMap((s) => [...s.y, ...(s.lo || []), ...(s.hi || [])]));
  const xs = chart.series.flatMap((s) => s.x);
  if (!ys.length || !xs.length) {
    live.replaceChildren(html("p", { class: "note" }, "There is nothing to draw here."));
    if (!small) figure.querySelector(".readout").hidden = true;
    return;
  }
  let [low, high_] = [Math.min(...ys), Math.max(...ys)];
  if (!chart.logY && chart.from0 && low > 0) low = 0;
  const above = chart.logY ? 0 : (high_ - low || Math.abs(high_) || 1) * 0.04;
  [low, high_] = chart.logY ? [low / 1.15, high_ * 1.15] : [low === 0 ? 0 : low - above, high_ + above];
  const [first, last] = [Math.min(...xs), Math.max(...xs)];
  const aside = chart.logX ? 0 : (last - first || 1) * 0.015;
  const X = scale(first - aside, last + aside, margin.left, wide - margin.right, chart.logX);
  const Y = scale(low, high_, high - margin.bottom, margin.top, chart.logY);
  const drawing = svg("svg", { viewBox: `0 0 ${wide} ${high}`, width: wide, height: high });
  if (!small) axes(drawing, chart, X, Y, wide, high);
  for (const { look, layers } of chart.sets || []) {
    for (const [a, b] of spans(layers)) {
      const [left, right] = [Math.max(X(a), margin.left), Math.min(X(b), wide - margin.right)];
      const bar = margin.top + 6 * (look - 1); // tells whose a set is where two lie over each other
      drawing.append(svg("rect", { class: `set f${look}`, x: left, y: margin.top, width: right - left, height: high - margin.bottom - margin.top }));
      drawing.append(svg("rect", { class: `f${look}`, x: left, y: bar, width: right - left, height: 4 }));
    }
  }
  for (const layer of small ? [] : chart.flagged || []) {
    drawing.append(svg("path", { class: "flag", d: `M${X(layer)} ${high - margin.bottom - 9}l4.5 8h-9z` }));
  }
  for (const series of chart.series) draw(drawing, series, X, Y, small, chart.logY, low);
  live.replaceChildren(drawing);
  if (small) {
    drawing.setAttribute("aria-hidden", "true");
    return;
  }
  cursor(figure, drawing, chart, X, Y, high);
}

function axes(drawing, chart, X, Y, wide, high) {
  const bottom = high - MARGIN.bottom;
  for (const value of Y.ticks(Math.floor(high / 55))) {
    drawing.append(svg("line", { class: "rule", x1: MARGIN.left, x2: wide - MARGIN.right, y1: Y(value), y2: Y(value) }));
    drawing.append(svg("text", { x: MARGIN.left - 7, y: Y(value) + 4, "text-anchor": "end" }, tick(value)));
  }
  for (const value of X.ticks(Math.floor(wide / 60)).filter((v) => !chart.whole || Number.isInteger(v))) {
    drawing.append(svg("line", { class: "axis", x1: X(value), x2: X(value), y1: bottom, y2: bottom + 4 }));
    drawing.append(svg("text", { x: X(value), y: bottom + 17, "text-anchor": "middle" }, tick(value)));
  }
  drawing.append(svg("line", { class: "axis", x1: MARGIN.left, x2: wide - MARGIN.right, y1: bottom, y2: bottom }));
  drawing.append(svg("text", { class: "title", x: wide - MARGIN.right, y: high - 6, "text-anchor": "end" }, chart.x));
  drawing.append(svg("text", { class: "title", x: 12, y: MARGIN.top, transform: `rotate(-90 12 ${MARGIN.top})`, "text-anchor": "end" }, chart.logY ? `${chart.y}, log scale` : chart.y));
}

function draw(drawing, series, X, Y, small, log, lowest) {
  const known = (v) => v !== null && v !== undefined && (!log || v > 0);
  const place = (i, v) => `${X(series.x[i]).toFixed(1)} ${Y(v).toFixed(1)}`;
  if (series.lo && !small) {
    const there = series.x.map((_, i) => i).filter((i) => series.lo[i] != null && known(series.hi[i]));
    const floor = (v) => (log ? Math.max(v, lowest) : v); // what lies below a logarithmic axis ends at its foot
    const [up, down] = [there.map((i) => place(i, series.hi[i])), there.map((i) => place(i, floor(series.lo[i]))).reverse()];
    if (there.length > 1) drawing.append(svg("path", { class: `band f${series.look}`, d: `M${[...up, ...down].join("L")}z` }));
    else if (there.length) drawing.append(svg("path", { class: `s${series.look}`, d: `M${up[0]}L${down[0]}` }));
  }
  let path = "";
  let pen = "M";
  series.y.forEach((v, i) => {
    if (known(v)) path += pen + place(i, v);
    pen = known(v) ? "L" : "M";
  });
  const looks = series.thin ? "other" : series.open ? `s${series.look} join` : `s${series.look} d${series.look}`;
  drawing.append(svg("path", { class: `line ${looks}${small ? " thin" : ""}`, d: path }));
  if (series.thin || small) return;
  const from = series.open ? series.y.length - 1 : 0;
  const every = series.open ? 1 : Math.max(1, Math.ceil(series.y.length / 40));
  for (let i = from; i < series.y.length; i += every) {
    if (!known(series.y[i])) continue;
    const shape = series.open ? DIAMOND : MARKERS[series.look - 1];
    drawing.append(svg("path", { class: series.open ? `open s${series.look}` : `mark f${series.look}`, d: shape, transform: `translate(${place(i, series.y[i])})` }));
  }
}

// The cursor: a slider over all places on the x axis, as the platform knows sliders.
function cursor(figure, drawing, chart, X, Y, high) {
  const places = [...new Set(chart.series.flatMap((s) => s.x))].sort((a, b) => a - b);
  const readout = figure.querySelector(".readout");
  const moving = svg("g");
  drawing.append(moving);
  fill(drawing, { tabindex: 0, role: "slider", "aria-label": `${figure.dataset.label}: ${chart.y || ""} over ${chart.x}. Arrow keys move along.`, "aria-valuemin": 0, "aria-valuemax": places.length - 1 }, []);
  const show = (index) => {
    const at = places[index];
    figure.dataset.cursor = index;
    moving.replaceChildren(svg("line", { class: "cursor", x1: X(at), x2: X(at), y1: MARGIN.top, y2: high - MARGIN.bottom }));
    const said = [];
    for (const series of chart.series) {
      const i = series.x.indexOf(at);
      const hidden = series.open && i < series.x.length - 1;
      if (i < 0 || hidden || (series.thin && !series.told)) continue;
      const value = series.y[i];
      const bounds = series.lo && series.lo[i] != null ? ` (${chart.band || "95 % interval"} ${number(series.lo[i])} to ${number(series.hi[i])})` : "";
      said.push(`${series.name} ${number(value)}${bounds}${(series.no && series.no[at]) ? `: ${series.no[at]}` : ""}`);
      if (value !== null && !(chart.logY && value <= 0)) moving.append(svg("circle", { class: "hit open", cx: X(at), cy: Y(value), r: 4.5 }));
    }
    said.push(...(chart.flags || []).filter((f) => f.layers.includes(at)).map((f) => `⚑ ${f.said}`));
    readout.textContent = `${chart.at(at)}: ${said.join(" · ")}`;
    fill(drawing, { "aria-valuenow": index, "aria-valuetext": chart.at(at) }, []);
  };
  drawing.onpointermove = drawing.onpointerdown = (event) => {
    const box = drawing.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * drawing.viewBox.baseVal.width;
    show(places.reduce((best, p, i) => (Math.abs(X(p) - x) < Math.abs(X(places[best]) - x) ? i : best), 0));
  };
  drawing.onkeydown = (event) => {
    const now = Number(figure.dataset.cursor);
    const to = { ArrowLeft: now - 1, ArrowDown: now - 1, ArrowRight: now + 1, ArrowUp: now + 1, Home: 0, End: places.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    show(Math.min(places.length - 1, Math.max(0, to)));
  };
  readout.hidden = false;
  show(Math.min(places.length - 1, Number(figure.dataset.cursor ?? Math.max(0, places.indexOf(chart.start)))));
}

// The key under a chart: line and marker of each series, what shading and flags mean.
function key(figure, chart) {
  const list = figure.querySelector(".key");
  const entries = chart.series.filter((s) => !s.thin).map(({ look, open, name }) => [
    name,
    open
      ? svg("path", { class: `open s${look}`, d: DIAMOND, transform: "translate(15 7)" })
      : svg("g", {}, svg("path", { class: `line s${look} d${look}`, d: "M0 7H30" }), svg("path", { class: `f${look}`, d: MARKERS[look - 1], transform: "translate(15 7)" })),
  ]);
  for (const { look, name } of chart.sets || []) {
    entries.push([name, svg("g", {}, svg("rect", { class: `set f${look}`, x: 8, width: 14, height: 14 }), svg("rect", { class: `f${look}`, x: 8, width: 14, height: 3 }))]);
  }
  if (chart.series.some((s) => s.lo)) entries.push([`bands along the lines: ${chart.band || "95 % interval"}`, svg("path", { class: "band f1", d: "M0 4L30 1V10L0 13z" })]);
  if (chart.series.some((s) => s.thin && !s.told)) entries.push(["the other layers", svg("path", { class: "line other", d: "M0 7H30" })]);
  for (const said of new Set((chart.flags || []).map((f) => f.said))) entries.push([said, svg("path", { class: "flag", d: "M15 3l4.5 8h-9z" })]);
  list.replaceChildren(...entries.map(([name, sign]) => html("li", {}, svg("svg", { "aria-hidden": "true" }, sign), name)));
  list.hidden = false;
}
