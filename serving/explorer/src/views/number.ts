// A label that is a number: a slider in its own units, with what the model reads in the face and how sure it is.

import type { Explorer } from "../explorer";
import { type Latents, type Prediction, farOutside, interval, predictedNumber, setValues } from "../mathematics";
import type { Label, NumberLabel } from "../sidecar";
import { element, rounded, setAttributes } from "./dom";
import type { Announce, Panel } from "./panel";

/** Such as "60.2 (90 %: 55.1 to 65.3)". */
export function predictionText(prediction: Prediction): string {
  const [low, high] = interval(prediction);
  return `${rounded(prediction.mean)} (90 %: ${rounded(low)} to ${rounded(high)})`;
}

/** One sentence for each label that is set to a number far outside its training values. */
export function caution(): { readonly root: HTMLElement; show(set: readonly (readonly [Label, number | null])[]): void } {
  const root = element("p", { class: "caution", attributes: { role: "status" } });
  return {
    root,
    show(set) {
      const far = set.flatMap(([label, value]) =>
        label.kind === "number" && value !== null && farOutside(label, value)
          ? [
              `${label.name} ${rounded(value)} is far outside the training values, ${rounded(label.low)} to ` +
                `${rounded(label.high)}: no picture has taught the model what it looks like.`,
            ]
          : [],
      );
      const words = [...new Set(far)].join(" ");
      if (root.textContent !== words) root.textContent = words;
    },
  };
}

/** The slider sets the label by transport, always from the face as it was before the slider was moved. */
export function numberSlider(explorer: Explorer, label: NumberLabel, index: number, announce: Announce): Panel {
  const { model, store } = explorer;
  const attributes = { type: "range", step: "any", "aria-label": `Set ${label.name}` };
  const input = element("input", { data: { set: index }, attributes });
  const chosen = element("output", { class: "number", attributes: { "aria-hidden": "true" } });
  const read = element("output", { data: { predicted: index } });
  const original = element("small", { class: "original-number" });
  const far = caution();
  let base: Latents = []; // the face before the slider was moved,
  let made: Latents = []; // and after

  input.addEventListener("input", () => {
    if (store.state.latents !== made) base = store.state.latents;
    const value = Number(input.value);
    made = setValues(model, base, model.labels.map((_, i) => (i === index ? value : null)));
    store.drag({ latents: made });
  });
  input.addEventListener("change", () => {
    store.endDrag();
    announce(`${label.name}: ${rounded(Number(input.value))}.`);
  });

  const root = element(
    "div",
    {},
    element("div", { class: "slider" }, input, chosen),
    element("p", { class: "read" }, "The model reads ", read, original),
    far.root,
  );
  return {
    root,
    update(state) {
      const prediction = predictedNumber(label, state.latents);
      const value = state.latents === made ? Number(input.value) : prediction.mean;
      setAttributes(input, { min: Math.min(label.low, value), max: Math.max(label.high, value) });
      if (state.latents !== made) input.value = String(value);
      const words = predictionText(prediction);
      chosen.textContent = rounded(value);
      far.show([[label, state.latents === made ? value : null]]);
      read.textContent = words;
      input.setAttribute("aria-valuetext", `${rounded(value)}; the model reads ${words}`);
      const pictured = state.subject.numbers?.[index];
      original.textContent = pictured ? ` at first ${predictionText(pictured)}` : "";
    },
  };
}
