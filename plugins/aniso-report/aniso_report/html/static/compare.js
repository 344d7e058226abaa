// Several models on relative depth: laid over each other, as a map, and as a grid of small charts on one scale.

const MOST_SMALL = 60;

function drawCompare() {
  const models = page.order.map((i) => page.models[i]);
  const all = (list) => [...new Set(list)];
  const metrics = all(models.flatMap((m) => Object.keys(m.curves))).filter((name) => models.filter((m) => m.curves[name]).length > 1);
  options(byId("compare-metric"), metrics, page.share);
  const metric = byId("compare-metric").value; // empty where no two models have a metric in common
  options(byId("compare-stream"), all(["main", ...models.flatMap((m) => Object.keys(m.curves[metric] || {}))]), "main", { main: "the main one of each", ...STREAMS });
  const chosen = byId("compare-stream").value;
  const streamOf = (m) => (chosen === "main" ? m.main : chosen);
  options(byId("compare-tokens"), all(models.flatMap((m) => Object.keys(m.curves[metric]?.[streamOf(m)] || {}))), "all");
  const tokens = byId("compare-tokens").value;
  const held = models.filter((m) => m.curves[metric]?.[streamOf(m)]?.[tokens]);
  const apart = Math.max(1, (models.length - 1) / (SERIES - 1));
  const spread = models.filter((_, i) => Math.round(Math.round(i / apart) * apart) === i);
  boxes(byId("compare-models"), models.map((m) => m.name), spread.map((m) => m.name), drawCompare);
  const names = checked(byId("compare-models"));
  for (const box of byId("compare-models").querySelectorAll("input")) box.disabled = names.length >= SERIES && !box.checked;
  byId("compare-number").textContent = `${names.length} of ${models.length}`;
  const picked = held.filter((m) => names.includes(m.name));
  const look = (m) => 1 + (names.indexOf(m.name) % SERIES);
  byId("compare-said").textContent = picked.length < names.length ? `${names.length - picked.length} of the models drawn have no such curve.` : "";
  finish("compare-chart", {
    x: "relative depth", y: unit(metric), from0: metric === page.share,
    series: picked.flatMap((m) => series(m, metric, streamOf(m), tokens, m.brief, look(m), true)),
    at: (depth) => `Depth ${depth.toFixed(2)}`,
  }, metric && `${metric}, ${tokens} tokens`);
  drawMap(held.map((m) => row(m, m.curves[metric][streamOf(m)][tokens])), `${metric}, ${tokens} tokens`);
}

function row(m, curve) {
  const x = curve.x || curve.v.map((_, i) => i);
  return { name: m.brief, x, depth: x.map((l) => l / m.layers), y: curve.v, states: m.layers + 1 };
}

function drawMap(rows, title) {
  byId("map").hidden = page.models.length < 3 || !rows.length;
  if (byId("map").hidden) return;
  const figure = byId("map-chart");
  heat(figure, rows, title);
  table(figure, ["model", "highest at layer", "depth", "value", "lowest"], () => rows.map((r) => {
    const i = best(r.y);
    return i < 0 ? [r.name, "", "", "", ""] : [r.name, String(r.x[i]), r.depth[i].toFixed(2), number(r.y[i]), number(Math.min(...r.y.filter((v) => v !== null)))];
  }));
  const values = rows.flatMap((r) => r.y).filter((v) => v !== null);
  const range = [Math.min(...values, 0), Math.max(...values)];
  byId("grid").replaceChildren(...rows.slice(0, MOST_SMALL).map((r) => {
    const box = html("li", { class: "chart" }, html("p", { title: r.name }, r.name), html("div", { class: "live" }));
    plot(box, { series: [{ name: r.name, look: 1, x: r.depth, y: r.y }], range }, true);
    return box;
  }));
  byId("grid-note").textContent = `All from ${number(range[0])} to ${number(range[1])}.${rows.length > MOST_SMALL ? ` The first ${MOST_SMALL} of ${rows.length} are drawn.` : ""}`;
  byId("grid-note").hidden = false;
}
