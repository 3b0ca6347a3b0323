import { describe, expect, test } from "vitest";

import {
  at,
  chooseValues,
  density,
  draw,
  farOutside,
  interval,
  labelProbabilities,
  predictedNumber,
  setValues,
  settle,
  swap,
  traverse,
  valuesOf,
} from "../src/mathematics";
import { uniforms } from "../src/random";
import type { ListedLabel, NumberLabel } from "../src/sidecar";
import { model, numbers, withGrade, withNumber } from "./numbers";

function expectNear(actual: readonly number[], expected: readonly number[]): void {
  expect(actual.length).toBe(expected.length);
  actual.forEach((x, i) => expect(Math.abs(x - at(expected, i))).toBeLessThan(1e-5 * Math.max(1, Math.abs(x))));
}

describe("the same numbers as tf_ccvae", () => {
  test("most probable values and probabilities", () => {
    numbers.latents.forEach((latents, i) => {
      expect(valuesOf(model, latents)).toEqual(numbers.values[i]);
      model.labels.forEach((label, j) => {
        expectNear(labelProbabilities(label as ListedLabel, latents), at(at(numbers.probabilities, i), j));
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

describe("a label that is a number, by the same numbers as tf_ccvae", () => {
  const cases = numbers.number;
  const age = withNumber.labels[1] as NumberLabel;

  test("is read in its own units, with its deviation", () => {
    cases.latents.forEach((latents, i) => {
      expectNear(valuesOf(withNumber, latents), at(cases.values, i));
      expect(predictedNumber(age, latents).deviation).toBeCloseTo(cases.deviation, 4);
    });
    const [low, high] = interval({ mean: 45, deviation: 10 });
    expectNear([low, high], [45 - 16.448536, 45 + 16.448536]);
  });

  test.each(cases.set)("is set with the others to $asked", ({ asked, latents }) => {
    latents.forEach((expected, i) => expectNear(setValues(withNumber, at(cases.latents, i), asked), expected));
  });

  test.each(cases.swap)("is swapped: $labels", ({ labels, latents }) => {
    const donors = [...cases.latents].reverse();
    latents.forEach((expected, i) => {
      expectNear(swap(withNumber, at(cases.latents, i), at(donors, i), labels), expected);
    });
  });

  test("is drawn, and traversed evenly", () => {
    const { values, normal, latents } = cases.draw;
    latents.forEach((expected, i) => expectNear(draw(withNumber, at(values, i), at(normal, i)), expected));
    const grid = traverse(withNumber, at(cases.latents, 0), { label: 1, start: 30.5, end: 60 }, { label: 0, start: 0, end: 1 }, 4);
    expectNear(grid.flat(), cases.traverse.latents.flat());
  });

  test("is far outside the training values beyond half their range", () => {
    expect([-5, 20, 95].map((x) => farOutside(age, x))).toEqual([false, false, false]);
    expect([-5.1, 95.1, Infinity, NaN].map((x) => farOutside(age, x))).toEqual([true, true, true, true]);
    expect(farOutside(at(withNumber.labels, 0), 7)).toBe(false);
  });

  test("that is left to chance has the mean and spread of the training values, inside their range", () => {
    const random = uniforms(7);
    const drawn = Array.from({ length: 4000 }, () => at(chooseValues(withNumber, [1, null, 0], random), 1));
    const mean = drawn.reduce((a, b) => a + b, 0) / drawn.length;
    expect(Math.abs(mean - 45)).toBeLessThan(1);
    expect(Math.min(...drawn)).toBe(20);
    expect(Math.max(...drawn)).toBe(70);
    expect(drawn.filter((x) => x > 20 && x < 70).length / drawn.length).toBeCloseTo(0.904, 1);
  });
});

describe("a grade, by the same numbers as tf_ccvae", () => {
  const cases = numbers.grade;

  test("is read, with its probabilities, also far beyond the last threshold", () => {
    cases.latents.forEach((latents, i) => {
      expect(valuesOf(withGrade, latents)).toEqual(cases.values[i]);
      withGrade.labels.forEach((label, j) => {
        expectNear(labelProbabilities(label as ListedLabel, latents), at(at(cases.probabilities, i), j));
      });
    });
  });

  test.each(cases.set)("is set with the others to $asked", ({ asked, latents }) => {
    latents.forEach((expected, i) => expectNear(setValues(withGrade, at(cases.latents, i), asked), expected));
  });

  test("is traversed along a straight line, up and down", () => {
    const rows = { label: 1, start: 0, end: 3 };
    const grid = traverse(withGrade, at(cases.latents, 1), rows, { label: 3, start: 2, end: 0 }, 4);
    expectNear(grid.flat(), cases.traverse.latents.flat());
  });

  test("never steps back along a traversal", () => {
    const across = { label: 0, start: 0, end: 1 };
    const column = traverse(withGrade, at(cases.latents, 2), { label: 1, start: 0, end: 3 }, across, 30)
      .filter((_, place) => place % 30 === 0)
      .map((latents) => at(valuesOf(withGrade, latents), 1));
    expect(column).toEqual([...column].sort());
    expect(new Set(column).size).toBeGreaterThan(1);
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
