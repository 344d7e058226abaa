// A map: one row for each model, one cell for each layer, colour for the value. Arrow keys and pointer read cells out.

const STOPS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]]; // viridis, even in lightness

function colour(share) {
  const at = Math.min(0.999999, Math.max(0, share)) * (STOPS.length - 1);
  const [i, rest] = [Math.floor(at), at % 1];
  return `rgb(${STOPS[i].map((a, k) => Math.round(a + (STOPS[i + 1][k] - a) * rest)).join(" ")})`;
}

// `rows` are { name, x, depth, y, states }: the layer and relative depth of each value, and how many states the model has.
function heat(figure, rows, title) {
  const live = figure.querySelector(".live");
  const wide = room(live);
  const left = Math.min(190, wide * 0.34);
  const each = rows.length > 60 ? 9 : rows.length > 24 ? 15 : 22;
  const top = 6;
  const high = top + rows.length * each + 74;
  const values = rows.flatMap((row) => row.y).filter((v) => v !== null);
  const [low, most] = [Math.min(...values), Math.max(...values)];
  const drawing = svg("svg", { viewBox: `0 0 ${wide} ${high}`, width: wide, height: high, tabindex: 0, role: "application", "aria-roledescription": "map", "aria-label": `${figure.dataset.label}: ${title}. Arrow keys move from cell to cell.` });
  const letters = Math.floor(left / 7);
  const every = Math.ceil(13 / each);
  rows.forEach(({ name, x, y, states }, r) => {
    const cell = (wide - left - 8) / states;
    if (r % every === 0) drawing.append(svg("text", { x: left - 6, y: top + r * each + each / 2 + 4, "text-anchor": "end" }, name.length > letters ? `…${name.slice(1 - letters)}` : name));
    y.forEach((v, i) => {
      const looks = v === null ? { class: "none", fill: "none" } : { fill: colour((v - low) / (most - low || 1)) };
      drawing.append(svg("rect", { x: left + x[i] * cell, y: top + r * each, width: cell + 0.4, height: each - (each > 10 ? 1 : 0), ...looks }));
    });
  });
  const foot = top + rows.length * each;
  for (const depth of [0, 0.25, 0.5, 0.75, 1]) {
    drawing.append(svg("text", { x: left + depth * (wide - left - 8), y: foot + 16, "text-anchor": depth === 0 ? "start" : depth === 1 ? "end" : "middle" }, tick(depth)));
  }
  drawing.append(svg("text", { class: "title", x: wide - 8, y: foot + 32, "text-anchor": "end" }, "relative depth"));
  for (let i = 0; i < 40; i++) drawing.append(svg("rect", { x: left + i * 4, y: foot + 42, width: 4.4, height: 9, fill: colour(i / 39) }));
  drawing.append(svg("text", { x: left, y: foot + 66 }, number(low)), svg("text", { x: left + 160, y: foot + 66, "text-anchor": "end" }, number(most)));
  live.replaceChildren(drawing);
  walk(figure, drawing, rows, { wide, left, each, top });
}

function walk(figure, drawing, rows, { wide, left, each, top }) {
  const readout = figure.querySelector(".readout");
  const frame = svg("rect", { class: "hit", fill: "none" });
  drawing.append(frame);
  let [row, column] = [0, 0];
  const show = (r, c) => {
    row = Math.min(rows.length - 1, Math.max(0, r));
    column = Math.min(rows[row].y.length - 1, Math.max(0, c));
    const cell = (wide - left - 8) / rows[row].states;
    fill(frame, { x: left + rows[row].x[column] * cell, y: top + row * each, width: cell, height: each - 1 }, []);
    readout.textContent = `${rows[row].name}, layer ${rows[row].x[column]}, depth ${rows[row].depth[column].toFixed(2)}: ${number(rows[row].y[column])}`;
  };
  drawing.onpointermove = drawing.onpointerdown = (event) => {
    const box = drawing.getBoundingClientRect();
    const r = Math.floor(((event.clientY - box.top) * (drawing.viewBox.baseVal.height / box.height) - top) / each);
    if (r < 0 || r >= rows.length) return;
    const layer = (((event.clientX - box.left) * (wide / box.width) - left) / (wide - left - 8)) * rows[r].states - 0.5;
    show(r, rows[r].x.reduce((best, x, i) => (Math.abs(x - layer) < Math.abs(rows[r].x[best] - layer) ? i : best), 0));
  };
  drawing.onkeydown = (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!step) return;
    event.preventDefault();
    show(row + step[0], column + step[1]);
  };
  readout.hidden = false;
  show(0, 0);
}
