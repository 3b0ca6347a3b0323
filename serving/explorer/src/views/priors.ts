// The curve of p(z | y = value) for each value of a label, drawn under its slider.

import { density } from "../mathematics";
import { svg } from "./dom";

export const COLOURS = 6; // curves that differ in colour and dashes; a seventh looks like the first
const WIDTH = 200;
const HEIGHT = 40;
const POINTS = 80;
const REACH = 4; // standard deviations that a slider covers beyond the outermost means

export interface Gaussian {
  readonly loc: number;
  readonly scale: number;
}

export interface Range {
  readonly least: number;
  readonly most: number;
}

/** What a slider covers: all priors, and a latent that lies beyond them. */
export function rangeOf(priors: readonly Gaussian[], latent: number): Range {
  const least = Math.min(latent, ...priors.map((x) => x.loc - REACH * x.scale));
  const most = Math.max(latent, ...priors.map((x) => x.loc + REACH * x.scale));
  return { least: Math.floor(least * 100) / 100, most: Math.ceil(most * 100) / 100 };
}

/** The curves, each scaled to the same height, and a line where the picture's own latent is. */
export function priorCurves(priors: readonly Gaussian[], range: Range, own: number): SVGElement {
  const place = (x: number): number => ((x - range.least) / (range.most - range.least)) * WIDTH;
  const curves = priors.map(({ loc, scale }, value) => {
    const points = Array.from({ length: POINTS + 1 }, (_, i) => {
      const x = range.least + ((range.most - range.least) * i) / POINTS;
      const height = (density(x, loc, scale) / density(loc, loc, scale)) * (HEIGHT - 3);
      return `${place(x).toFixed(1)},${(HEIGHT - 1 - height).toFixed(1)}`;
    });
    return svg("polyline", { class: `curve colour-${value % COLOURS}`, points: points.join(" ") });
  });
  const mark = svg("line", { class: "own", x1: place(own), x2: place(own), y1: 0, y2: HEIGHT });
  return svg(
    "svg",
    { class: "priors", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    mark,
    ...curves,
  );
}
