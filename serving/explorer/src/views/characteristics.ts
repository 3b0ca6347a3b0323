// A card for each label: its probabilities, a toggle that sets it, and a slider for each of its latents.

import type { Explorer } from "../explorer";
import { at, farApart, labelProbabilities, predictedNumber, priorAt, setValues, valuesOf } from "../mathematics";
import type { Label, ListedLabel } from "../sidecar";
import type { State } from "../state";
import { breakable, choice, element, newId, percent, rounded } from "./dom";
import { numberSlider } from "./number";
import type { Announce, Panel } from "./panel";
import { COLOURS } from "./priors";
import { latentSlider } from "./slider";

const EXPLANATION =
  "Each bar is how probable the model finds a value in the face as it is now; \u201cat first\u201d is how probable it " +
  "found it in the picture that was chosen. Of a label that is a number it says its reading, and the interval that " +
  "holds it with 90 %.";

export function characteristicsPanel(explorer: Explorer, announce: Announce): Panel {
  const { model } = explorer;
  const cards = model.labels.map((label, index) => labelCard(explorer, label, index, announce));
  const { first } = explorer.store.state;
  const order = [...cards.slice(first, first + 1), ...cards.filter((_, index) => index !== first)];
  const list = element("div", { class: "cards" }, ...order.map((x) => x.root));
  const root = element("div", {}, cards.length ? element("p", { class: "note" }, EXPLANATION) : "This model has no labels.", list);
  return { root, update: (state, before) => cards.forEach((card) => card.update(state, before)) };
}

function labelCard(explorer: Explorer, label: Label, index: number, announce: Announce): Panel {
  const { control, reading } = setting(explorer, label, index, announce);
  const sliders = Array.from({ length: label.end - label.first }, (_, i) => {
    const title = label.end - label.first === 1 ? label.name : `${label.name}, latent ${i + 1}`;
    const values = label.kind === "number" ? farApart(label) : label.values.map((_, value) => value);
    const priors = values.map((value) => priorAt(label, value, i));
    return latentSlider(explorer, label.first + i, title, priors, (state) => mostProbable(label, state));
  });
  const title = element("h2", { attributes: { id: newId() } }, ...breakable(label.name));
  const parts = [...(control ? [control] : []), reading, ...sliders];
  const root = element(
    "section",
    { class: "card", data: { label: label.name }, attributes: { "aria-labelledby": title.id } },
    element("div", { class: "title" }, title, control ? control.root : null),
    reading.root,
    ...sliders.map((x) => x.root),
  );
  return { root, update: (state, before) => parts.forEach((part) => part.update(state, before)) };
}

/** What sets a label, if it stands beside the title, and what says how the model reads it. */
function setting(
  explorer: Explorer,
  label: Label,
  index: number,
  announce: Announce,
): { readonly control: Panel | null; readonly reading: Panel } {
  if (label.kind === "number") return { control: null, reading: numberSlider(explorer, label, index, announce) };
  const set = (value: number): void => setLabel(explorer, label, index, value, announce);
  const control = label.kind === "binary" ? binaryToggle(label, index, set) : classChoice(label, index, set);
  return { control, reading: probabilityBars(label, index) };
}

/** Transport, with the consistency rule; says which other labels went along. */
function setLabel(explorer: Explorer, own: ListedLabel, index: number, value: number, announce: Announce): void {
  const { model, store } = explorer;
  const before = valuesOf(model, store.state.latents);
  const latents = setValues(model, store.state.latents, model.labels.map((_, i) => (i === index ? value : null)));
  const after = valuesOf(model, latents);
  store.set({ latents });
  const also = model.labels.flatMap((label, i) =>
    i !== index && label.kind !== "number" && before[i] !== after[i]
      ? [`${label.name}: ${at(label.values, at(after, i))}`]
      : [],
  );
  announce(`${own.name}: ${at(own.values, value)}.${also.length ? ` With it ${also.join(", ")}.` : ""}`);
}

function binaryToggle(label: ListedLabel, index: number, set: (value: number) => void): Panel {
  const box = element("input", { class: "switch", data: { set: index }, attributes: { type: "checkbox", role: "switch" } });
  box.addEventListener("change", () => set(Number(box.checked)));
  const value = element("span", { class: "value", attributes: { "aria-hidden": "true" } });
  const root = element("label", { class: "toggle" }, element("span", { class: "hidden" }, label.name), value, box);
  return {
    root,
    update(state) {
      const now = currentValue(label, state);
      box.checked = now === 1;
      value.textContent = at(label.values, now);
    },
  };
}

function classChoice(label: ListedLabel, index: number, set: (value: number) => void): Panel {
  const { field, select } = choice(`Set ${label.name}`, label.values, 0, set);
  field.firstElementChild?.classList.add("hidden");
  select.dataset["set"] = String(index);
  return { root: field, update: (state) => void (select.value = String(currentValue(label, state))) };
}

/** q(y | z) of the face as it is now, and what the encoder saw in the picture. */
function probabilityBars(label: ListedLabel, index: number): Panel {
  const rows = label.values.map((name, value) => {
    const bar = element("progress", {
      class: `colour-${value % COLOURS}`,
      attributes: { max: 1, "aria-label": `Probability of ${label.name}: ${name}` },
    });
    const now = element("output", { class: "probability", data: { probability: value } });
    const original = element("small", { class: "original" });
    const key = element("span", { class: `key colour-${value % COLOURS}` }, name);
    return { value, bar, now, original, root: element("div", { class: "bar" }, key, bar, now, original) };
  });
  return {
    root: element("div", { class: "bars" }, ...rows.map((x) => x.root)),
    update(state) {
      const probabilities = labelProbabilities(label, state.latents);
      const pictured = state.subject.probabilities?.[index];
      for (const row of rows) {
        const now = at(probabilities, row.value);
        row.bar.value = now;
        row.now.textContent = percent(now);
        row.original.textContent = pictured ? `at first ${percent(at(pictured, row.value))}` : "";
      }
    },
  };
}

function currentValue(label: ListedLabel, state: State): number {
  const probabilities = labelProbabilities(label, state.latents);
  return probabilities.indexOf(Math.max(...probabilities));
}

function mostProbable(label: Label, state: State): string {
  if (label.kind === "number") return rounded(predictedNumber(label, state.latents).mean);
  const value = currentValue(label, state);
  return `${at(label.values, value)} ${percent(at(labelProbabilities(label, state.latents), value))}`;
}
