import { expect, test } from "vitest";

import { facesTried, mostVisible, saidByExport } from "../src/opening";
import { model, numbers } from "./numbers";

/** A decoder whose pictures show the latents of one label alone. */
function showing(label: number) {
  const { first, end } = model.labels[label] ?? { first: 0, end: 0 };
  return async (latents: readonly (readonly number[])[]) =>
    latents.map((row) => ({ height: 1, width: end - first, channels: 1 as const, values: Float32Array.from(row.slice(first, end)) }));
}

test.each([0, 1, 2])("the page opens on label %i if it alone changes the picture", async (label) => {
  const free = { ...model, incompatible: [] }; // so that no label moves along with another
  expect((await mostVisible(free, numbers.latents, showing(label))).label).toBe(label);
});

test("the page opens on the face that changes", async () => {
  const act = numbers.latents.length - 1;
  const still = async (latents: readonly (readonly number[])[]) =>
    (await showing(0)(latents)).map((x) => (latents[0] === numbers.latents[act] ? x : { ...x, values: x.values.fill(0) }));
  expect((await mostVisible(model, numbers.latents, still)).face).toBe(act);
});

test("the more labels, the fewer faces are tried, and one at least", () => {
  const labels = (count: number) => ({ ...model, labels: new Array(count).fill(model.labels[0]) });
  expect([labels(3), labels(39), labels(1000)].map((x) => facesTried(x, 64))).toEqual([30, 3, 1]);
  expect(facesTried(model, 5)).toBe(5);
});

test("the page opens where the export says that a label changes a face of the gallery most", () => {
  const visible = [
    { label: 1, change: 0.2 },
    { label: 0, change: 0.1 },
    { label: 2, change: 0.3 },
  ];
  expect(saidByExport({ ...model, visible }, 3)).toEqual({ face: 2, label: 2 });
  expect(saidByExport({ ...model, visible }, 2)).toEqual({ face: 0, label: 1 });
});

test("an export that does not say it, and a page without a gallery, lead nowhere by it", () => {
  expect(saidByExport({ ...model, visible: [] }, 3)).toBeNull();
  expect(saidByExport({ ...model, visible: [{ label: 1, change: 0.2 }] }, 0)).toBeNull();
});
