import { describe, expect, test } from "vitest";

import { compatibleSpans, fromAddress, initialState, type State, Store, type Subject, toAddress } from "../src/state";
import { model, withNumber } from "./numbers";

const subject: Subject = { title: "", gallery: 3, picture: null, latents: new Array(8).fill(0.5), probabilities: null, numbers: null };
const state = initialState(model, subject);

function moved(latent: number, value: number): State {
  return { ...state, latents: state.latents.map((x, i) => (i === latent ? value : x)) };
}

describe("undo", () => {
  test("goes back step by step, and no further", () => {
    const store = new Store(state);
    store.set({ seed: 2 });
    store.set({ seed: 3 });
    store.undo();
    expect(store.state.seed).toBe(2);
    store.undo();
    store.undo();
    expect(store.state).toEqual(state);
    expect(store.canUndo).toBe(false);
  });

  test("leaves the view as it is: turning to one is no step", () => {
    const store = new Store(state);
    store.turn("swap");
    expect(store.canUndo).toBe(false);
    store.set({ seed: 2 });
    store.turn("traverse");
    store.undo();
    expect([store.state.seed, store.state.view]).toEqual([1, "traverse"]);
  });

  test("takes a whole drag for one step", () => {
    const store = new Store(state);
    [1, 2, 3].forEach((x) => store.drag({ latents: moved(0, x).latents }));
    store.endDrag();
    store.drag({ latents: moved(0, 9).latents });
    store.undo();
    expect(store.state.latents[0]).toBe(3);
    store.undo();
    expect(store.state.latents[0]).toBe(0.5);
  });
});

test.each([
  [[], 0, [0, 1]],
  [[[0, 1, 1, 0]], 0, [0, 2]],
  [[[1, 0, 0, 1]], 1, [1, 2]],
  [[[0, 1, 1, 0], [2, 0, 0, 1]], 0, [1, 2]],
  [[[0, 1, 1, 0], [2, 0, 0, 1], [1, 0, 2, 0]], 0, [0, 1]],
])("with %j excluded a traversal that begins with label %i takes labels %j", (incompatible, first, wanted) => {
  const labels = { ...model, incompatible: incompatible as [number, number, number, number][] };
  expect(compatibleSpans(labels, first).map((x) => x.label)).toEqual(wanted);
});

describe("the address", () => {
  test.each<[string, Partial<State>]>([
    ["swap", { view: "swap", donor: 4, carried: [0, 2] }],
    ["generate", { view: "generate", asked: [1, null, 0], seed: 77, keepStyle: true }],
    [
      "traverse",
      {
        view: "traverse",
        spans: [
          { label: 1, start: 2, end: 0 },
          { label: 0, start: 0, end: 1 },
        ],
      },
    ],
  ])("brings back the view %s", (_, change) => {
    const read = fromAddress(`#${toAddress({ ...state, ...change })}`, model, 10);
    expect(read.gallery).toBe(3);
    expect(read.rest).toMatchObject(change);
  });

  test("brings back the label that comes first", () => {
    expect(fromAddress(toAddress({ ...state, first: 2 }), model, 10).rest.first).toBe(2);
  });

  test("brings back numbers", () => {
    const asked = [null, 60.5, 1];
    const spans = [
      { label: 1, start: -1e-7, end: 1e21 },
      { label: 2, start: 0, end: 2 },
    ] as const;
    const own = initialState(withNumber, subject);
    expect(own.spans[1]).toEqual({ label: 1, start: 20, end: 70 });
    expect(fromAddress(toAddress({ ...own, view: "generate", asked }), withNumber, 10).rest.asked).toEqual(asked);
    expect(fromAddress(toAddress({ ...own, view: "traverse", spans }), withNumber, 10).rest.spans).toEqual(spans);
    expect(fromAddress("view=traverse&span=1:x:9_0:0:1", withNumber, 10).rest.spans).toBeUndefined();
  });

  test("of before there were numbers still leads to its traversal", () => {
    const read = fromAddress("view=traverse&span=1.2.0_0.0.1", model, 10);
    expect(read.rest.spans).toEqual([
      { label: 1, start: 2, end: 0 },
      { label: 0, start: 0, end: 1 },
    ]);
  });

  test("brings back latents that were moved, to four digits", () => {
    const read = fromAddress(toAddress(moved(2, -1.23456)), model, 10);
    expect([...read.moved]).toEqual([[2, -1.2346]]);
  });

  test("holds all latents of a face that is in no gallery, and no picture", () => {
    const own = { ...state, subject: { ...subject, gallery: null } };
    expect(fromAddress(toAddress(own), model, 10).base).toEqual(subject.latents);
  });

  test.each([
    "face=10&z=99:1_1:x_:_0:1e999&view=nothing&donor=-1&carry=7&ask=1_2&seed=1.5&span=9.0.1_0.0.1",
    "base=1_2_3",
    "base=_______",
    "%%%=&&&",
  ])("that does not fit the model is ignored: %s", (address) => {
    const read = fromAddress(address, model, 10);
    expect(read.gallery ?? read.base).toBeUndefined();
    expect(read.moved.size).toBe(0);
    expect(Object.values(read.rest).flat()).toEqual([]);
  });
});
