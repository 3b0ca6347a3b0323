// The latents of no label, N(0, 1) each, behind a fold; their sliders are made when it opens.

import type { Explorer } from "../explorer";
import { element } from "./dom";
import type { Panel } from "./panel";
import { latentSlider } from "./slider";

export function stylePanel(explorer: Explorer): Panel {
  const { model, store } = explorer;
  const count = model.latents - model.characteristic;
  const grid = element("div", { class: "cards" });
  const root = element(
    "details",
    { class: "style" },
    element("summary", {}, `Style: ${count} more latents`),
    element("p", {}, "What no label says: the face's shape, colours, background. No name belongs to any of these."),
    grid,
  );
  let sliders: Panel[] = [];
  root.addEventListener("toggle", () => {
    if (!root.open || sliders.length) return;
    sliders = Array.from({ length: count }, (_, i) =>
      latentSlider(explorer, model.characteristic + i, `Style ${i + 1}`, [{ loc: 0, scale: 1 }]),
    );
    sliders.forEach((slider, i) => {
      slider.update(store.state, null);
      grid.append(element("div", { class: "card" }, element("h2", {}, `Style ${i + 1}`), slider.root));
    });
  });
  root.hidden = count === 0;
  return {
    root,
    update: (state, before) => {
      if (root.open) sliders.forEach((slider) => slider.update(state, before));
      else if (sliders.length) {
        sliders = [];
        grid.replaceChildren();
      }
    },
  };
}
