// What the page shows, as one immutable object; what was before it; and its form in the address.

import { farApart, type Latents, type Prediction } from "./mathematics";
import type { Pixels } from "./pixels";
import { type Label, type Sidecar, valuesIn } from "./sidecar";

export const VIEWS = ["edit", "swap", "generate", "traverse"] as const;
export type View = (typeof VIEWS)[number];

/** The face that is worked on: what it started from. */
export interface Subject {
  readonly title: string;
  readonly gallery: number | null; // its place in the gallery
  readonly picture: Pixels | null; // null if there are latents only
  readonly latents: Latents;
  readonly probabilities: readonly (readonly number[])[] | null; // q(y | x) of the picture
  readonly numbers: readonly (Prediction | null)[] | null; // the same of labels that are numbers
}

export interface Span {
  readonly label: number;
  readonly start: number;
  readonly end: number;
}

export interface State {
  readonly subject: Subject;
  readonly latents: Latents;
  readonly view: View;
  readonly donor: number; // place in the gallery
  readonly carried: readonly number[]; // labels that are swapped
  readonly asked: readonly (number | null)[]; // values of generated faces
  readonly seed: number;
  readonly keepStyle: boolean;
  readonly spans: readonly [Span, Span]; // of the traversal: rows, columns
  readonly first: number; // label that comes first in the page
}

/** @param first the label that comes first in the page, is swapped and traversed. */
export function initialState(model: Sidecar, subject: Subject, first = 0): State {
  return {
    subject,
    latents: subject.latents,
    view: "edit",
    donor: subject.gallery === 0 ? 1 : 0,
    carried: model.labels.length ? [first] : [],
    asked: model.labels.map(() => null),
    seed: 1,
    keepStyle: false,
    spans: compatibleSpans(model, first),
    first,
  };
}

/** Two labels of which no value excludes one of the other, with `first` among them if that is possible. */
export function compatibleSpans(model: Sidecar, first: number): [Span, Span] {
  const excluded = new Set(model.incompatible.flatMap(([one, , other]) => [`${one} ${other}`, `${other} ${one}`]));
  const all = model.labels.map((_, index) => index);
  const order = [first, ...all.filter((x) => x !== first)];
  for (const one of order) {
    const other = all.find((x) => x !== one && !excluded.has(`${one} ${x}`));
    if (other !== undefined) return [span(model, one), span(model, other)];
  }
  return [span(model, first), span(model, all.find((x) => x !== first) ?? first)];
}

/** A label from its first value to its last. */
export function span(model: Sidecar, label: number): Span {
  const own = model.labels[label];
  const [start, end] = own ? farApart(own) : [0, 1];
  return { label, start, end };
}

// History -------------------------------------------------------------------------------------------------------------

const MOST_STEPS = 200;

/** The current state and the way back. Changes within one drag of a slider are one step. */
export class Store {
  private past: State[] = [];
  private dragging = false;
  private readonly listeners: ((state: State, before: State) => void)[] = [];

  constructor(private current: State) {}

  get state(): State {
    return this.current;
  }

  get canUndo(): boolean {
    return this.past.length > 0;
  }

  listen(listener: (state: State, before: State) => void): void {
    this.listeners.push(listener);
  }

  /** Not a step: nothing leads back. */
  replace(state: State): void {
    this.show(state);
  }

  /** Looks at another part of the page: not a step, and nothing that undoing brings back. */
  turn(view: View): void {
    this.dragging = false;
    if (view !== this.current.view) this.show({ ...this.current, view });
  }

  /** A step of its own. */
  set(change: Partial<State>): void {
    this.remember();
    this.dragging = false;
    this.show({ ...this.current, ...change });
  }

  /** Part of a drag, which `endDrag` ends. */
  drag(change: Partial<State>): void {
    if (!this.dragging) this.remember();
    this.dragging = true;
    this.show({ ...this.current, ...change });
  }

  endDrag(): void {
    this.dragging = false;
  }

  /** One step back, in the view that is open. */
  undo(): void {
    const before = this.past.pop();
    this.dragging = false;
    if (before !== undefined) this.show({ ...before, view: this.current.view });
  }

  private remember(): void {
    this.past.push(this.current);
    if (this.past.length > MOST_STEPS) this.past.shift();
  }

  private show(state: State): void {
    const before = this.current;
    this.current = state;
    for (const listener of this.listeners) listener(state, before);
  }
}

// The address ---------------------------------------------------------------------------------------------------------

const DIGITS = 4; // of latents in the address

/** What an address says; what it leaves out, or says wrongly, is undefined. */
export interface Address {
  readonly gallery?: number | undefined;
  readonly base?: number[] | undefined; // latents of a face that is not in the gallery
  readonly moved: ReadonlyMap<number, number>; // latents that differ from the subject's
  readonly rest: Partial<State>;
}

/**
 * The state as the part of the address behind `#`, which browsers keep to themselves. A face of one's own is there as
 * its latents: the picture itself is not shared.
 */
export function toAddress(state: State): string {
  const { subject, latents } = state;
  const parts: [string, string][] = [];
  if (subject.gallery !== null) parts.push(["face", String(subject.gallery)]);
  else parts.push(["base", subject.latents.map(short).join("_")]);
  const moved = latents.flatMap((x, i) => (short(x) === short(subject.latents[i] ?? 0) ? [] : [`${i}:${short(x)}`]));
  if (moved.length) parts.push(["z", moved.join("_")]);
  if (state.first) parts.push(["first", String(state.first)]);
  parts.push(["view", state.view]);
  if (state.view === "swap") {
    parts.push(["donor", String(state.donor)], ["carry", state.carried.join("_")]);
  }
  if (state.view === "generate") {
    parts.push(["ask", state.asked.map((x) => (x === null ? "" : plain(x))).join("_")], ["seed", String(state.seed)]);
    if (state.keepStyle) parts.push(["style", "kept"]);
  }
  if (state.view === "traverse") {
    parts.push(["span", state.spans.map((x) => [x.label, plain(x.start), plain(x.end)].join(":")).join("_")]);
  }
  return parts.map(([key, value]) => `${key}=${value}`).join("&");
}

/** A number without "+", which means a space in an address. */
function plain(x: number): string {
  return String(x).replace("+", "");
}

function short(x: number): string {
  return String(Number(x.toFixed(DIGITS)));
}

/** Reads an address, which anyone may have written: what does not fit the model counts as not said. */
export function fromAddress(address: string, model: Sidecar, gallery: number): Address {
  const said = new URLSearchParams(address.replace(/^#/, ""));
  const base = numbersOf(said.get("base"));
  const face = index(said.get("face"), gallery);
  return {
    gallery: face,
    base: face === undefined && base?.length === model.latents ? base : undefined,
    moved: movedOf(said.get("z"), model.latents),
    rest: restOf(said, model, gallery),
  };
}

function movedOf(said: string | null, latents: number): Map<number, number> {
  const moved = new Map<number, number>();
  for (const pair of said?.split("_") ?? []) {
    const [place, value] = pair.split(":");
    const at = index(place, latents);
    if (at !== undefined && value && Number.isFinite(Number(value))) moved.set(at, Number(value));
  }
  return moved;
}

function restOf(said: URLSearchParams, model: Sidecar, gallery: number): Partial<State> {
  const count = model.labels.length;
  const view = VIEWS.find((x) => x === said.get("view"));
  const first = index(said.get("first"), count);
  const donor = index(said.get("donor"), gallery);
  const carried = said.get("carry")?.split("_").map((x) => index(x, count));
  const asked = said.get("ask")?.split("_").map((x, i) => valueOf(x, model.labels[i]) ?? null);
  const seed = index(said.get("seed"), 2 ** 31);
  const spans = said.get("span")?.split("_").map((x) => spanOf(x, model));
  return {
    ...(view && { view }),
    ...(first !== undefined && { first }),
    ...(donor !== undefined && { donor }),
    ...(carried && { carried: carried.filter((x) => x !== undefined) }),
    ...(asked?.length === count && { asked }),
    ...(seed !== undefined && { seed }),
    ...(said.get("style") === "kept" && { keepStyle: true }),
    ...(spans?.[0] && spans[1] && { spans: [spans[0], spans[1]] as const }),
  };
}

function spanOf(said: string, model: Sidecar): Span | undefined {
  const [first, second, third] = said.split(said.includes(":") ? ":" : "."); // addresses of before there were numbers
  const label = index(first, model.labels.length);
  if (label === undefined) return undefined;
  const [start, end] = [valueOf(second, model.labels[label]), valueOf(third, model.labels[label])];
  return start === undefined || end === undefined ? undefined : { label, start, end };
}

/** The value of a label: an index, or any finite number. */
function valueOf(said: string | undefined, label: Label | undefined): number | undefined {
  if (label?.kind !== "number") return index(said, label ? valuesIn(label).length : 0);
  return said && Number.isFinite(Number(said)) ? Number(said) : undefined;
}

function index(said: string | null | undefined, count: number): number | undefined {
  return said && /^\d+$/.test(said) && Number(said) < count ? Number(said) : undefined;
}

function numbersOf(said: string | null): number[] | undefined {
  const numbers = said?.split("_").map((x) => (x === "" ? NaN : Number(x)));
  return numbers?.every(Number.isFinite) ? numbers : undefined;
}
