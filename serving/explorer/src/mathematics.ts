// What can be done with characteristic latents, as pure functions; the same as tf_ccvae/characteristics.py and
// tf_ccvae/interventions.py, for one face at a time. A label that is not asked for has the value null. The value of a
// number label is a number in its own units.

import { type Label, type ListedLabel, type NumberLabel, type Sidecar, valuesIn } from "./sidecar";

export type Latents = readonly number[];
export type Asked = readonly (number | null)[];

const NEVER = -1e9;
const WITHIN = 1.6448536269514722; // standard deviations to either side of a normal's mean hold 90 % of it

/** A normal distribution of a number label, in its units. */
export interface Prediction {
  readonly mean: number;
  readonly deviation: number;
}

/** Probabilities q(y = v | z) of a label's values, given the latents of that label. */
export function labelProbabilities(label: ListedLabel, latents: Latents): number[] {
  const logits = labelLogits(label, latents);
  const largest = Math.max(...logits);
  const powers = logits.map((x) => Math.exp(x - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((x) => x / sum);
}

/** Logits of q(y = v | z); of a grade these are the logarithms of the probabilities. */
function labelLogits(label: ListedLabel, latents: Latents): number[] {
  const logits = label.kernel.map((row, value) =>
    row.reduce((sum, slope, i) => sum + slope * at(latents, label.first + i), at(label.bias, value)),
  );
  return label.ordered ? gradeLogits(logits) : logits;
}

/** log q(y = v | z) = log(sigmoid(l_v) - sigmoid(l_{v+1})) of logits l_v of q(y >= v | z), without cancellation. */
function gradeLogits(cumulative: readonly number[]): number[] {
  return cumulative.map((logit, value) => {
    const lower = value === 0 ? Infinity : logit;
    const upper = cumulative[value + 1] ?? -Infinity;
    return Math.log1p(-Math.exp(upper - lower)) - softplus(-lower) - softplus(upper);
  });
}

function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

/** q(y | z) of a number label. */
export function predictedNumber(label: NumberLabel, latents: Latents): Prediction {
  const t = label.kernel.reduce((sum, slope, i) => sum + slope * at(latents, label.first + i), label.bias);
  return { mean: label.mean + label.deviation * t, deviation: label.deviation * label.spread };
}

/** The interval that holds 90 % of a prediction. */
export function interval({ mean, deviation }: Prediction): readonly [number, number] {
  return [mean - WITHIN * deviation, mean + WITHIN * deviation];
}

/** A latent's distribution p(z | y) at a value of its label: loc and scale of the i-th latent. */
export function priorAt(label: Label, value: number, i: number): { readonly loc: number; readonly scale: number } {
  if (label.kind !== "number") return { loc: entry(label.loc, value, i), scale: entry(label.scale, value, i) };
  const t = (value - label.mean) / label.deviation;
  return { loc: at(label.slope, i) * t + at(label.intercept, i), scale: at(label.scale, i) };
}

/** The most probable value of each label, of a number label the mean of q(y | z). */
export function valuesOf(model: Sidecar, latents: Latents): number[] {
  return model.labels.map((label) =>
    label.kind === "number" ? predictedNumber(label, latents).mean : largestAt(labelLogits(label, latents)),
  );
}

/**
 * The values after an intervention: asked labels as given, others changed only where the asked ones exclude them.
 * Such a label takes the value most frequent in training that no asked one excludes; if there is none it stays.
 */
export function settle(model: Sidecar, current: readonly number[], asked: Asked): number[] {
  return model.labels.map((label, index) => {
    const wanted = asked[index] ?? null;
    if (wanted !== null) return wanted;
    const free = freeValues(model, index, asked);
    const before = at(current, index);
    if (label.kind === "number") return before;
    if (free[before] || !free.some(Boolean)) return before;
    return largestAt(label.frequency.map((p, value) => Math.max(Math.log(p), NEVER / 2) + (free[value] ? 0 : NEVER)));
  });
}

/** For each value of a label, whether none of the asked values excludes it. */
function freeValues(model: Sidecar, index: number, asked: Asked): boolean[] {
  const free = valuesIn(at(model.labels, index)).map(() => true);
  for (const [label, value, other, otherValue] of model.incompatible) {
    if (other === index && asked[label] === value) free[otherValue] = false;
  }
  return free;
}

/**
 * Latents with labels set, by transport: z moves from p(z | current value) to p(z | new value) and keeps its quantile
 * in every latent. Where a label has its new value already nothing moves. A number label moves along the line of the
 * means of p(z | y), until the new value is read.
 */
export function setValues(model: Sidecar, latents: Latents, asked: Asked): number[] {
  const current = valuesOf(model, latents);
  const values = settle(model, current, asked);
  const moved = [...latents];
  model.labels.forEach((label, index) => {
    const [before, after] = [at(current, index), at(values, index)];
    if (before === after) return;
    if (label.kind === "number") {
      moved.splice(label.first, label.end - label.first, ...movedTo(label, latents, after));
      return;
    }
    for (let i = 0; i < label.end - label.first; i++) {
      const [from, to] = [priorAt(label, before, i), priorAt(label, after, i)];
      moved[label.first + i] = to.loc + (to.scale * (at(latents, label.first + i) - from.loc)) / from.scale;
    }
  });
  return moved;
}

/** The latents of a number label that is set to a value. */
function movedTo(label: NumberLabel, latents: Latents, value: number): number[] {
  const step = (value - predictedNumber(label, latents).mean) / label.deviation;
  return label.transport.map((slope, i) => at(latents, label.first + i) + slope * step);
}

/** Latents with the donor's characteristics of some labels; values that these exclude are transported away. */
export function swap(model: Sidecar, latents: Latents, donor: Latents, labels: readonly number[]): number[] {
  const carried = valuesOf(model, donor);
  const swapped = setValues(
    model,
    latents,
    model.labels.map((_, index) => (labels.includes(index) ? at(carried, index) : null)),
  );
  for (const index of labels) {
    const label = at(model.labels, index);
    for (let i = label.first; i < label.end; i++) swapped[i] = at(donor, i);
  }
  return swapped;
}

/**
 * Values of all labels: the asked ones as given, the others drawn one after the other from p(y), without values that
 * those chosen so far exclude. Rare values are drawn first: whether there is a hat before what the hat would hide.
 * Numbers come last, from the normal that fits the training values, inside their range.
 *
 * @param uniform draws from [0, 1).
 */
export function chooseValues(model: Sidecar, asked: Asked, uniform: () => number): number[] {
  const chosen: (number | null)[] = model.labels.map((_, index) => asked[index] ?? null);
  const open = chosen.flatMap((value, index) => (value === null ? [index] : []));
  const highest = (label: Label): number => (label.kind === "number" ? 2 : Math.max(...label.frequency));
  open.sort((a, b) => highest(at(model.labels, a)) - highest(at(model.labels, b)));
  for (const index of open) {
    const label = at(model.labels, index);
    if (label.kind === "number") {
      const [radius, angle] = [Math.sqrt(-2 * Math.log(1 - uniform())), 2 * Math.PI * uniform()];
      const drawn = label.mean + label.deviation * radius * Math.cos(angle);
      chosen[index] = Math.min(Math.max(drawn, label.low), label.high);
      continue;
    }
    const { frequency } = label;
    const free = freeValues(model, index, chosen);
    const allowed = frequency.map((p, value) => (free[value] ? p : 0));
    chosen[index] = drawn(allowed.some((p) => p > 0) ? allowed : frequency, uniform());
  }
  return chosen as number[];
}

function drawn(chances: readonly number[], uniform: number): number {
  const target = uniform * chances.reduce((a, b) => a + b, 0);
  let cumulative = 0;
  const value = chances.findIndex((p) => (cumulative += p) > target);
  return value < 0 ? chances.length - 1 : value;
}

/**
 * Latents of a new face: characteristic ones from p(z | y), style ones from N(0, 1).
 *
 * @param normal one standard normal number per latent.
 */
export function draw(model: Sidecar, values: readonly number[], normal: Latents): number[] {
  const latents = [...normal];
  model.labels.forEach((label, index) => {
    const value = at(values, index);
    for (let i = 0; i < label.end - label.first; i++) {
      const noise = at(normal, label.first + i);
      const { loc, scale } = priorAt(label, value, i);
      latents[label.first + i] = loc + scale * noise;
    }
  });
  return latents;
}

/** Two values of a label far apart: the first and the last, or those that hold most of a number. */
export function farApart(label: Label): readonly [number, number] {
  if (label.kind !== "number") return [0, label.values.length - 1];
  return [Math.max(label.low, label.mean - 2 * label.deviation), Math.min(label.high, label.mean + 2 * label.deviation)];
}

/** Whether a number is outside the training values by more than half their range; no other label has such values. */
export function farOutside(label: Label, value: number): boolean {
  if (label.kind !== "number") return false;
  const reach = (label.high - label.low) / 2;
  return !(value >= label.low - reach && value <= label.high + reach);
}

/** One axis of a traversal: a label that goes from one of its values to another. */
export interface Axis {
  readonly label: number;
  readonly start: number;
  readonly end: number;
}

/**
 * Latents of a grid, row by row: the first label's characteristic moves from row to row, the second's from column to
 * column, each in a straight line that reaches `deviations` prior standard deviations beyond the two means, in each latent, of
 * a grade along the line. A number label goes from where it is set to the first value to where it is set to the last.
 */
export function traverse(
  model: Sidecar,
  latents: Latents,
  rows: Axis,
  columns: Axis,
  steps: number,
  deviations = 1,
): number[][] {
  const down = line(model, latents, rows, steps, deviations);
  const across = line(model, latents, columns, steps, deviations);
  return down.flatMap((row) =>
    across.map((column) => {
      const face = [...latents];
      face.splice(at(model.labels, rows.label).first, row.length, ...row);
      face.splice(at(model.labels, columns.label).first, column.length, ...column);
      return face;
    }),
  );
}

/** The label's own latents at each step. */
function line(model: Sidecar, latents: Latents, axis: Axis, steps: number, deviations: number): number[][] {
  const label = at(model.labels, axis.label);
  const beyond = reaches(label, axis);
  const ends = Array.from({ length: label.end - label.first }, (_, i) => {
    if (label.kind === "number") {
      return [at(movedTo(label, latents, axis.start), i), at(movedTo(label, latents, axis.end), i)] as const;
    }
    const [from, to] = [priorAt(label, axis.start, i), priorAt(label, axis.end, i)];
    const [before, after] = at(beyond, i);
    return [from.loc - deviations * before, to.loc + deviations * after] as const;
  });
  return Array.from({ length: steps }, (_, step) =>
    ends.map(([first, last]) => first + ((last - first) * step) / (steps - 1)),
  );
}

/** One prior deviation beyond the two means of an axis, for each latent of a label whose values can be listed. */
function reaches(label: Label, axis: Axis): (readonly [number, number])[] {
  if (label.kind === "number") return [];
  const priors = at(label.loc, axis.start).map((_, i) => [priorAt(label, axis.start, i), priorAt(label, axis.end, i)] as const);
  if (!label.ordered) {
    return priors.map(([from, to]) => {
      const sign = Math.sign(to.loc - from.loc) || 1;
      return [sign * from.scale, sign * to.scale] as const;
    });
  }
  const length = Math.max(Math.hypot(...priors.map(([from, to]) => to.loc - from.loc)), 1e-12);
  const direction = priors.map(([from, to]) => (to.loc - from.loc) / length);
  const before = Math.hypot(...priors.map(([from], i) => at(direction, i) * from.scale));
  const after = Math.hypot(...priors.map(([, to], i) => at(direction, i) * to.scale));
  return direction.map((x) => [x * before, x * after] as const);
}

/** Density of N(loc, scale^2). */
export function density(x: number, loc: number, scale: number): number {
  return Math.exp(-0.5 * ((x - loc) / scale) ** 2) / (scale * Math.sqrt(2 * Math.PI));
}

function largestAt(items: readonly number[]): number {
  return items.reduce((best, x, index) => (x > at(items, best) ? index : best), 0);
}

function entry(rows: readonly (readonly number[])[], row: number, column: number): number {
  return at(at(rows, row), column);
}

/** The item at an index that is known to be there. */
export function at<T>(items: readonly T[], index: number): T {
  const item = items[index];
  if (item === undefined) throw new RangeError(`no item ${index} among ${items.length}`);
  return item;
}
