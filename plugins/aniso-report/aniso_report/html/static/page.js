// Starts the charts, and draws them again when the page gets wider or narrower.

function drawAll() {
  drawProfile();
  drawSpectra();
  drawNorms();
  if (page.models.length > 1) drawCompare();
}

// The spectrum that is shown first is that of the layer where the share is largest.
function lookAtPeak() {
  const share = model().curves[page.share]?.[model().main]?.all;
  fill(byId("spectra-layer"), { max: model().layers }, []);
  byId("spectra-layer").value = share ? best(share.v) : 0;
}

if (page.models.length) {
  for (const element of document.querySelectorAll(".script")) element.hidden = false;
  if (byId("model")) {
    const held = page.models.map((m, i) => String(i)).filter((i) => page.models[i].spectra);
    options(byId("model"), held, "0", Object.fromEntries(held.map((i) => [i, page.models[i].name])));
    byId("model").onchange = (event) => {
      shown = Number(event.target.value);
      lookAtPeak();
      drawAll();
    };
  }
  lookAtPeak();
  for (const id of ["explore-metric", "explore-stream", "explore-log"]) byId(id).onchange = drawProfile;
  for (const id of ["spectra-stream", "spectra-tokens"]) byId(id).onchange = drawSpectra;
  byId("spectra-layer").oninput = drawSpectra;
  for (const id of ["norms-show", "norms-stream"]) byId(id).onchange = drawNorms;
  if (byId("compare")) for (const id of ["compare-metric", "compare-stream", "compare-tokens"]) byId(id).onchange = drawCompare;
  drawAll();
  let wide = innerWidth;
  let waiting;
  addEventListener("resize", () => {
    if (innerWidth === wide) return;
    wide = innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(drawAll, 120);
  });
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("#record details, .folded")) details.open = true;
    document.body.classList.add("printed");
    drawAll();
  });
  addEventListener("afterprint", () => {
    document.body.classList.remove("printed");
    drawAll();
  });
}
