// One latent: a slider with its priors drawn under it.

import type { Explorer } from "../explorer";
import { at } from "../mathematics";
import type { State } from "../state";
import { element, setAttributes } from "./dom";
import type { Panel } from "./panel";
import { type Gaussian, priorCurves, rangeOf } from "./priors";

/**
 * @param title what a screen reader calls it.
 * @param describe adds words to the number, such as the label's value.
 */
export function latentSlider(
  explorer: Explorer,
  latent: number,
  title: string,
  priors: readonly Gaussian[],
  describe: (state: State) => string = () => "",
): Panel {
  const input = element("input", { data: { latent }, attributes: { type: "range", step: 0.01, "aria-label": title } });
  const shown = element("output", { class: "number", attributes: { "aria-hidden": "true" } });
  const curves = element("div", { class: "curves" });
  const { store } = explorer;
  input.addEventListener("input", () => {
    const value = Number(input.value);
    store.drag({ latents: store.state.latents.map((x, i) => (i === latent ? value : x)) });
  });
  input.addEventListener("change", () => store.endDrag());
  const root = element("div", { class: "slider" }, input, shown, curves);
  return {
    root,
    update(state, before) {
      const value = at(state.latents, latent);
      if (state.subject !== before?.subject) {
        const own = at(state.subject.latents, latent);
        const range = rangeOf([...priors, { loc: own, scale: 0 }], value);
        setAttributes(input, { min: range.least, max: range.most });
        curves.replaceChildren(priorCurves(priors, range, own));
      }
      if (Number(input.value) !== value) input.value = String(value);
      shown.textContent = value.toFixed(2);
      input.setAttribute("aria-valuetext", [value.toFixed(2), describe(state)].filter(Boolean).join(", "));
    },
  };
}
