import { describe, expect, test } from "vitest";

import {
  at,
  chooseValues,
  density,
  draw,
  labelProbabilities,
  setValues,
  settle,
  swap,
  traverse,
  valuesOf,
} from "../src/mathematics";
import { model, numbers } from "./numbers";

function expectNear(actual: readonly number[], expected: readonly number[]): void {
  expect(actual.length).toBe(expected.length);
  actual.forEach((x, i) => expect(Math.abs(x - at(expected, i))).toBeLessThan(1e-5 * Math.max(1, Math.abs(x))));
}

describe("the same numbers as tf_ccvae", () => {
  test("most probable values and probabilities", () => {
    numbers.latents.forEach((latents, i) => {
      expect(valuesOf(model, latents)).toEqual(numbers.values[i]);
      model.labels.forEach((label, j) => {
        expectNear(labelProbabilities(label, latents), at(at(numbers.probabilities, i), j));
      });
    });
  });

  test.each(numbers.set)("labels set to $asked", ({ asked, latents }) => {
    latents.forEach((expected, i) => expectNear(setValues(model, at(numbers.latents, i), asked), expected));
  });

  test.each(numbers.swap)("labels $labels swapped", ({ labels, latents }) => {
    const donors = [...numbers.latents].reverse();
    latents.forEach((expected, i) => {
      expectNear(swap(model, at(numbers.latents, i), at(donors, i), labels), expected);
    });
  });

  test.each(numbers.choose)("values chosen where $asked is asked for", ({ asked, uniform, values }) => {
    values.forEach((expected, i) => {
      const draws = [...at(uniform, i)];
      expect(chooseValues(model, asked, () => draws.shift() ?? NaN)).toEqual(expected);
    });
  });

  test("latents drawn from the conditional prior", () => {
    const { values, normal, latents } = numbers.draw;
    latents.forEach((expected, i) => expectNear(draw(model, at(values, i), at(normal, i)), expected));
  });

  test("a grid of two labels", () => {
    const rows = { label: 1, start: 0, end: 2 };
    const columns = { label: 2, start: 0, end: 1 };
    const grid = traverse(model, at(numbers.latents, 0), rows, columns, 4);
    expectNear(grid.flat(), numbers.traverse.latents.flat());
  });
});

describe("what is promised", () => {
  const asked = [1, null, null];

  test("setting a label back restores the latents", () => {
    for (const latents of numbers.latents) {
      const [before] = valuesOf(model, latents);
      const flipped = setValues({ ...model, incompatible: [] }, latents, [1 - (before ?? 0), null, null]);
      if (valuesOf(model, flipped)[0] === before) continue; // the classifier does not see the prior's flip
      expectNear(setValues({ ...model, incompatible: [] }, flipped, [before ?? 0, null, null]), latents);
    }
  });

  test("a hat takes the hair that it excludes to the most frequent one that it does not", () => {
    expect(settle(model, [0, 0, 1], asked)).toEqual([1, 2, 1]);
    expect(settle(model, [0, 2, 1], asked)).toEqual([1, 2, 1]);
  });

  test("a label all of whose values are excluded stays", () => {
    const everything = [0, 1, 2].map((value) => [0, 1, 1, value] as const);
    expect(settle({ ...model, incompatible: everything }, [0, 1, 0], asked)).toEqual([1, 1, 0]);
  });

  test("the density integrates to one", () => {
    let sum = 0;
    for (let x = -10; x < 12; x += 0.01) sum += density(x, 1, 0.7) * 0.01;
    expect(sum).toBeCloseTo(1, 6);
  });
});
