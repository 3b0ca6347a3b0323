import { expect, test } from "vitest";

import { readSidecar } from "../src/sidecar";
import { gradeSidecar, model, numberSidecar, sidecar, withGrade, withNumber } from "./numbers";

type Content = Record<string, any>;

test("labels, latents and files are read", () => {
  expect(model.labels.map((x) => [x.name, x.kind, x.first, x.end])).toEqual([
    ["Hat", "binary", 0, 1],
    ["Hair_Colour", "categorical", 1, 3],
    ["Smile", "binary", 3, 5],
  ]);
  expect(model.characteristic).toBe(5);
  expect(model.encoder).toBe("onnx/encoder.onnx");
});

test("a label that is a number is read beside the others", () => {
  expect(withNumber.labels.map((x) => [x.name, x.kind, x.first, x.end])).toEqual([
    ["Hat", "binary", 0, 1],
    ["Age", "number", 1, 3],
    ["Hair_Colour", "categorical", 3, 5],
  ]);
  expect(withNumber.labels[1]).toMatchObject({ mean: 45, deviation: 15, low: 20, high: 70 });
});

test.each<[string, (x: Content) => void]>([
  ["labels[1].scale.deviation should be positive", (x) => (x["labels"][1].scale.deviation = 0)],
  ["labels[1].scale.mean should be a number", (x) => delete x["labels"][1].scale.mean],
  ["labels[1].scale.high should be at least scale.low", (x) => (x["labels"][1].scale.high = 1)],
  ["labels[1].prior.slope should be 2 numbers", (x) => x["labels"][1].prior.slope.pop()],
  ["labels[1].transport should be 2 numbers", (x) => x["labels"][1].transport.pop()],
  ["labels[1].prior.scale should be positive", (x) => (x["labels"][1].prior.scale[0] = -1)],
  ["labels[1].classifier.intercept should be a number", (x) => (x["labels"][1].classifier.intercept = "0")],
  ["labels[1].kind should be binary, categorical or number", (x) => (x["labels"][1].kind = "grade")],
  ["incompatible[0] should be values that the labels have", (x) => (x["incompatible"] = [[1, 0, 0, 1]])],
])("a damaged number label is refused in words: %s", (message, damage) => {
  const content = numberSidecar();
  damage(content);
  expect(() => readSidecar(content)).toThrow(message);
});

test("a grade is read as a class whose values stand in order", () => {
  expect(withGrade.labels.map((x) => [x.name, x.kind, x.kind !== "number" && x.ordered])).toEqual([
    ["Hat", "binary", false],
    ["Beard", "categorical", true],
    ["Hair_Colour", "categorical", false],
    ["Tired", "categorical", true],
  ]);
  expect(withGrade.labels[1]).toMatchObject({ values: ["none", "short", "long", "huge"] });
});

test.each<[string, (x: Content) => void]>([
  ["labels[1].ordered should be true or false", (x) => (x["labels"][1].ordered = 1)],
  ["labels[1].classifier.bias should be smaller from value to value", (x) => x["labels"][1].classifier.bias.reverse()],
])("a damaged grade is refused in words: %s", (message, damage) => {
  const content = gradeSidecar();
  damage(content);
  expect(() => readSidecar(content)).toThrow(message);
});

test("names are read as they are", () => {
  const content = sidecar();
  content["labels"][0].name = "a_b [/cap]  $5";
  expect(readSidecar(content).labels[0]?.name).toBe("a_b [/cap]  $5");
});

test("a model without labels is read", () => {
  expect(readSidecar({ ...sidecar(), labels: [], incompatible: [] }).characteristic).toBe(0);
});

test.each<[string, (x: Content) => void]>([
  ["schema version 4, and this page reads 1, 2, 3", (x) => (x["format"] = 4)],
  ["schema version (none)", (x) => delete x["format"]],
  ["image.channels should be 1 or 3", (x) => (x["image"].channels = 4)],
  ["image.height should be a whole number", (x) => (x["image"].height = 1e9)],
  ["labels[1].prior.loc[2] should be 2 numbers", (x) => x["labels"][1].prior.loc[2].pop()],
  ["labels[0].prior.scale should be positive", (x) => (x["labels"][0].prior.scale[0][0] = 0)],
  ["labels[0].frequency should be 2 numbers", (x) => (x["labels"][0].frequency = [1, null])],
  ["labels: Smile: latents should be [3, ...]", (x) => (x["labels"][2].latents = [4, 6])],
  ["latents should be at least 5", (x) => (x["latents"] = 4)],
  ["incompatible[0] should be values that the labels have", (x) => (x["incompatible"][0] = [0, 7, 1, 1])],
  ["visible[0].label should be a whole number from 0 to 2", (x) => (x["visible"] = [{ label: 3, change: 0.1 }])],
  ["visible[0].change should be a number", (x) => (x["visible"] = [{ label: 0, change: null }])],
  ["has no onnx/decoder: export the run again with --formats onnx", (x) => delete x["files"]["onnx/decoder"]],
  ["a path inside the export", (x) => (x["files"]["onnx/encoder"] = "../../secret")],
  ["a path inside the export", (x) => (x["files"]["onnx/encoder"] = "https://elsewhere.example/x.onnx")],
  ["a path inside the export", (x) => (x["files"]["onnx/encoder"] = "//elsewhere.example/x.onnx")],
])("a damaged file is refused in words: %s", (message, damage) => {
  const content = sidecar();
  damage(content);
  expect(() => readSidecar(content)).toThrow(message);
});

test.each([null, 1, "text", []])("%j is no sidecar", (content) => {
  expect(() => readSidecar(content)).toThrow("the file should be an object");
});
