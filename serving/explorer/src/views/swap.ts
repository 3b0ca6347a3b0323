// The face with characteristics of another one.

import type { Explorer } from "../explorer";
import { at, type Latents, swap } from "../mathematics";
import type { State } from "../state";
import { paint, pictureCanvas } from "./canvas";
import { button, checkbox, element } from "./dom";
import { picker } from "./gallery";
import { Latest, type Panel } from "./panel";

export function swapPanel(explorer: Explorer, report: (error: unknown) => void): Panel {
  const { model, store, gallery } = explorer;
  const latest = new Latest(report);
  const faces = picker("Donor", gallery, (donor) => store.set({ donor }));
  const donor = pictureCanvas("The donor", "donor");
  const result = pictureCanvas("The face with the donor's characteristics", "swapped");
  const ticks = element("fieldset", { class: "ticks" }, element("legend", {}, "Carried over from the donor"));
  let swapped: Latents | null = null;
  const keep = button("Work on with this face", () => {
    if (swapped) explorer.adopt("swapped face", swapped);
  });
  const root = element("div", {}, element("h2", {}, "Donor"), faces.root, ticks, figures(donor, result), keep);
  if (!gallery.length || !model.labels.length) root.replaceChildren("There is no gallery to take donors from, or no label.");

  async function computed(state: State): Promise<void> {
    const place = Math.min(state.donor, gallery.length - 1);
    await latest.run(
      async () => {
        const other = await explorer.galleryFace(place);
        const latents = swap(model, state.latents, other.latents, state.carried);
        return { latents, picture: at(await explorer.decode([latents]), 0) };
      },
      ({ latents, picture }) => {
        swapped = latents;
        paint(result, picture);
        paint(donor, at(gallery, place));
      },
    );
  }

  function drawTicks(state: State): void {
    const boxes = model.labels.map((label, index) =>
      checkbox(label.name, state.carried.includes(index), (ticked) => {
        const others = store.state.carried.filter((x) => x !== index);
        store.set({ carried: ticked ? [...others, index].sort((a, b) => a - b) : others });
      }),
    );
    ticks.replaceChildren(element("legend", {}, "Carried over from the donor"), ...boxes);
  }

  return {
    root,
    update(state, before) {
      if (state.view !== "swap" || !gallery.length || !model.labels.length) return;
      faces.mark(Math.min(state.donor, gallery.length - 1));
      if (!ticks.querySelector("input")) drawTicks(state);
      const boxes = ticks.querySelectorAll<HTMLInputElement>("input");
      boxes.forEach((box, index) => (box.checked = state.carried.includes(index)));
      const changed = (["latents", "donor", "carried", "view"] as const).some((key) => state[key] !== before?.[key]);
      if (changed) void computed(state);
    },
  };
}

function figures(donor: HTMLCanvasElement, result: HTMLCanvasElement): HTMLElement {
  const figure = (canvas: HTMLCanvasElement, caption: string): HTMLElement =>
    element("figure", {}, canvas, element("figcaption", {}, caption));
  return element("div", { class: "pair" }, figure(donor, "Donor"), figure(result, "Result"));
}
