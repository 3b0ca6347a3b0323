// A card for each label: its probabilities, a toggle that sets it, and a slider for each of its latents.

import type { Explorer } from "../explorer";
import { at, labelProbabilities, setValues, valuesOf } from "../mathematics";
import type { Label } from "../sidecar";
import type { State } from "../state";
import { choice, element, newId, percent } from "./dom";
import type { Announce, Panel } from "./panel";
import { COLOURS } from "./priors";
import { latentSlider } from "./slider";

export function characteristicsPanel(explorer: Explorer, announce: Announce): Panel {
  const { model } = explorer;
  const cards = model.labels.map((label, index) => labelCard(explorer, label, index, announce));
  const root = element("div", { class: "cards" }, ...cards.map((x) => x.root));
  if (!cards.length) root.append("This model has no labels.");
  return { root, update: (state, before) => cards.forEach((card) => card.update(state, before)) };
}

function labelCard(explorer: Explorer, label: Label, index: number, announce: Announce): Panel {
  const bars = probabilityBars(label, index);
  const set = (value: number): void => setLabel(explorer, index, value, announce);
  const toggle = label.kind === "binary" ? binaryToggle(label, index, set) : classChoice(label, index, set);
  const sliders = Array.from({ length: label.end - label.first }, (_, i) => {
    const title = label.end - label.first === 1 ? label.title : `${label.title}, latent ${i + 1}`;
    const priors = label.values.map((_, value) => ({ loc: at(at(label.loc, value), i), scale: at(at(label.scale, value), i) }));
    return latentSlider(explorer, label.first + i, title, priors, (state) => mostProbable(label, state));
  });
  const title = element("h2", { attributes: { id: newId() } }, label.title);
  const parts = [toggle, bars, ...sliders];
  const root = element(
    "section",
    { class: "card", data: { label: label.name }, attributes: { "aria-labelledby": title.id } },
    element("div", { class: "title" }, title, toggle.root),
    bars.root,
    ...sliders.map((x) => x.root),
  );
  return { root, update: (state, before) => parts.forEach((part) => part.update(state, before)) };
}

/** Transport, with the consistency rule; says which other labels went along. */
function setLabel(explorer: Explorer, index: number, value: number, announce: Announce): void {
  const { model, store } = explorer;
  const before = valuesOf(model, store.state.latents);
  const latents = setValues(model, store.state.latents, model.labels.map((_, i) => (i === index ? value : null)));
  const after = valuesOf(model, latents);
  store.set({ latents });
  const also = model.labels.flatMap((label, i) =>
    i !== index && before[i] !== after[i] ? [`${label.title}: ${at(label.values, at(after, i))}`] : [],
  );
  const label = at(model.labels, index);
  announce(`${label.title}: ${at(label.values, value)}.${also.length ? ` With it ${also.join(", ")}.` : ""}`);
}

function binaryToggle(label: Label, index: number, set: (value: number) => void): Panel {
  const box = element("input", { class: "switch", data: { set: index }, attributes: { type: "checkbox", role: "switch" } });
  box.addEventListener("change", () => set(Number(box.checked)));
  const value = element("span", { class: "value", attributes: { "aria-hidden": "true" } });
  const root = element("label", { class: "toggle" }, element("span", { class: "hidden" }, label.title), value, box);
  return {
    root,
    update(state) {
      const now = currentValue(label, state);
      box.checked = now === 1;
      value.textContent = at(label.values, now);
    },
  };
}

function classChoice(label: Label, index: number, set: (value: number) => void): Panel {
  const { field, select } = choice(`Set ${label.title}`, label.values, 0, set);
  field.firstElementChild?.classList.add("hidden");
  select.dataset["set"] = String(index);
  return { root: field, update: (state) => void (select.value = String(currentValue(label, state))) };
}

/** q(y | z) of the face as it is now, and what the encoder saw in the picture. */
function probabilityBars(label: Label, index: number): Panel {
  const values = label.kind === "binary" ? [1] : label.values.map((_, i) => i);
  const rows = values.map((value) => {
    const bar = element("progress", {
      class: `colour-${value % COLOURS}`,
      attributes: { max: 1, "aria-label": `Probability of ${label.title}: ${at(label.values, value)}` },
    });
    const now = element("output", { class: "probability", data: { probability: value } });
    const original = element("small", { class: "original" });
    const name = element("span", { class: `key colour-${value % COLOURS}` }, at(label.values, value));
    return { value, bar, now, original, root: element("div", { class: "bar" }, name, bar, now, original) };
  });
  return {
    root: element("div", { class: "bars" }, ...rows.map((x) => x.root), legend(label)),
    update(state) {
      const probabilities = labelProbabilities(label, state.latents);
      const pictured = state.subject.probabilities?.[index];
      for (const row of rows) {
        const now = at(probabilities, row.value);
        row.bar.value = now;
        row.now.textContent = percent(now);
        row.original.textContent = pictured ? `picture ${percent(at(pictured, row.value))}` : "";
      }
    },
  };
}

/** Names the curves of a binary label, whose bars name only one value. */
function legend(label: Label): HTMLElement | null {
  if (label.kind !== "binary") return null;
  return element("span", { class: "key colour-0" }, at(label.values, 0));
}

function currentValue(label: Label, state: State): number {
  const probabilities = labelProbabilities(label, state.latents);
  return probabilities.indexOf(Math.max(...probabilities));
}

function mostProbable(label: Label, state: State): string {
  const value = currentValue(label, state);
  return `${at(label.values, value)} ${percent(at(labelProbabilities(label, state.latents), value))}`;
}
