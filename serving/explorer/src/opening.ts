// Where the page opens: on a face and a label whose switch changes the picture most.

import { at, farApart, type Latents, setValues, valuesOf } from "./mathematics";
import type { Pixels } from "./pixels";
import type { Sidecar } from "./sidecar";

export const MOST_PICTURES = 120; // that are decoded to find out, so that the page opens soon

export interface Opening {
  readonly face: number;
  readonly label: number;
}

/**
 * The face and the label that the export says, among all faces of the gallery; null if it says nothing.
 *
 * @param gallery the number of faces.
 */
export function saidByExport(model: Sidecar, gallery: number): Opening | null {
  const faces = model.visible.slice(0, gallery);
  if (!faces.length) return null;
  const face = faces.reduce((best, x, i) => (x.change > at(faces, best).change ? i : best), 0);
  return { face, label: at(faces, face).label };
}

/** How many faces are tried if the export says nothing: the more labels, the fewer. */
export function facesTried(model: Sidecar, gallery: number): number {
  return Math.min(gallery, Math.max(1, Math.floor(MOST_PICTURES / (1 + model.labels.length))));
}

/**
 * The face and the label with the largest mean absolute change of a pixel when the label is flipped.
 *
 * @param faces latents of the first faces of the gallery.
 */
export async function mostVisible(
  model: Sidecar,
  faces: readonly Latents[],
  decode: (latents: readonly Latents[]) => Promise<Pixels[]>,
): Promise<Opening> {
  let best: Opening = { face: 0, label: 0 };
  let largest = 0;
  for (const [face, latents] of faces.entries()) {
    const edits = model.labels.map((_, label) => flipped(model, latents, label));
    const [own, ...edited] = await decode([latents, ...edits]);
    edited.forEach((picture, label) => {
      const change = own ? distance(own, picture) : 0;
      if (change > largest) [largest, best] = [change, { face, label }];
    });
  }
  return best;
}

/** A label set to another value: the most frequent of those that it does not have, or the farther end of a number. */
function flipped(model: Sidecar, latents: Latents, index: number): number[] {
  const now = at(valuesOf(model, latents), index);
  const set = (value: number): number[] =>
    setValues(model, latents, model.labels.map((_, i) => (i === index ? value : null)));
  const label = at(model.labels, index);
  if (label.kind === "number") {
    const [low, high] = farApart(label);
    return set(now - low > high - now ? low : high);
  }
  const { frequency } = label;
  const others = frequency.map((_, value) => value).filter((value) => value !== now);
  return set(others.reduce((best, x) => (at(frequency, x) > at(frequency, best) ? x : best)));
}

function distance(one: Pixels, other: Pixels): number {
  return one.values.reduce((sum, x, i) => sum + Math.abs(x - (other.values[i] ?? 0)), 0) / one.values.length;
}
