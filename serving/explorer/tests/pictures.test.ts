import { describe, expect, test } from "vitest";

import { dimensions } from "../src/dimensions";
import { grey } from "../src/picture";
import { fromLayout, type Pixels, tiled, toBytes, toLayout } from "../src/pixels";
import { normals, uniforms } from "../src/random";
import { centre, resample } from "../src/resample";
import { rangeOf } from "../src/views/priors";
import { numbers } from "./numbers";

test.each(numbers.resample)("$width x $height, $channels channels: to size as Pillow does", (stored) => {
  const { width, height, channels, size } = stored;
  const picture = { width, height, channels, values: Uint8Array.from(stored.pixels) };
  const small = resample(picture, centre(width, height, size, size), size, size);
  const worst = Math.max(...stored.small.map((x, i) => Math.abs(x - (small.values[i] ?? NaN))));
  expect(worst).toBeLessThanOrEqual(1);
});

test("a picture of the right size stays as it is", () => {
  const picture = { width: 2, height: 2, channels: 1, values: Uint8Array.of(1, 2, 3, 4) };
  expect(resample(picture, centre(2, 2, 2, 2), 2, 2)).toBe(picture);
});

test("the centre has the model's proportions", () => {
  expect(centre(300, 100, 20, 10)).toEqual({ left: 50, top: 0, width: 200, height: 100 });
});

test("grey is the luma of ITU-R 601", () => {
  expect([...grey(Uint8ClampedArray.of(255, 0, 0, 255, 0, 255, 0, 255, 10, 10, 10, 255))]).toEqual([76, 150, 10]);
});

describe("pixels", () => {
  const picture: Pixels = { height: 1, width: 2, channels: 3, values: Float32Array.of(0, 0.2, 0.4, 0.6, 0.8, 1) };

  test("go to channels first and back", () => {
    const first = toLayout(picture, "nchw");
    expect([...first].map((x) => Math.round(x * 10))).toEqual([0, 6, 2, 8, 4, 10]);
    expect(fromLayout(first, { ...picture, layout: "nchw" })).toEqual([picture]);
  });

  test("become opaque bytes", () => {
    expect([...toBytes(picture)]).toEqual([0, 51, 102, 255, 153, 204, 255, 255]);
    const one: Pixels = { height: 1, width: 1, channels: 1, values: Float32Array.of(0.2) };
    expect([...toBytes(one)]).toEqual([51, 51, 51, 255]);
  });

  test("are tiled row by row, and the rest is white", () => {
    const one = (x: number): Pixels => ({ height: 1, width: 1, channels: 1, values: Float32Array.of(x) });
    const grid = tiled([one(0), one(0.25), one(0.5)], 2);
    expect(grid).toEqual({ height: 2, width: 2, channels: 1, values: Float32Array.of(0, 0.25, 0.5, 1) });
    expect(tiled([], 2)).toBeNull();
  });
});

describe("dimensions of a file", () => {
  const text = (x: string): number[] => [...x].map((letter) => letter.charCodeAt(0));
  const size = (...bytes: number[]): unknown => dimensions(Uint8Array.from(bytes).buffer);

  test("PNG", () => {
    const head = [0x89, ...text("PNG\r\n"), 0x1a, 0x0a, 0, 0, 0, 13, ...text("IHDR")];
    expect(size(...head, 0, 1, 0, 0, 0, 0, 2, 0)).toEqual({ width: 65536, height: 512 });
  });

  test("JPEG, with other segments before", () => {
    const comment = [0xff, 0xfe, 0, 4, 0xff, 0xc0];
    expect(size(0xff, 0xd8, ...comment, 0xff, 0xc2, 0, 11, 8, 0, 3, 1, 0, 3)).toEqual({ width: 256, height: 3 });
  });

  test.each([
    ["VP8 ", [0, 0, 0, 0, 0, 0, 0, 0x9d, 0x01, 0x2a, 5, 0, 7, 0], { width: 5, height: 7 }],
    ["VP8L", [0, 0, 0, 0, 0x2f, 4, 0x80, 1, 0], { width: 5, height: 7 }],
    ["VP8X", [0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 6, 0, 0], { width: 5, height: 7 }],
  ])("WebP %s", (kind, rest, expected) => {
    const riff = [...text("RIFF"), 0, 0, 0, 0, ...text("WEBP"), ...text(kind)];
    // the chunk's size stands before its content
    expect(size(...riff, ...rest)).toEqual(expected);
  });

  test.each([[[]], [[0xff, 0xd8]], [[0xff, 0xd8, 0xff, 0xe0, 0, 2, 1]], [text("GIF89a----------------")]])(
    "%j has none",
    (bytes) => expect(size(...bytes)).toBeNull(),
  );
});

describe("random numbers", () => {
  test("repeat themselves for a seed, and differ between seeds", () => {
    const first = (seed: number): number[] => Array.from({ length: 5 }, uniforms(seed));
    expect(first(1)).toEqual(first(1));
    expect(first(1)).not.toEqual(first(2));
  });

  test("are uniform, and normal", () => {
    const uniform = uniforms(3);
    const tenths = new Array<number>(10).fill(0);
    for (let i = 0; i < 20_000; i++) tenths[Math.floor(uniform() * 10)]! += 1;
    tenths.forEach((count) => expect(Math.abs(count - 2000)).toBeLessThan(200));
    const drawn = normals(uniform, 20_001);
    const mean = drawn.reduce((a, b) => a + b, 0) / drawn.length;
    const variance = drawn.reduce((a, b) => a + b * b, 0) / drawn.length;
    expect(drawn.length).toBe(20_001);
    expect(Math.abs(mean)).toBeLessThan(0.03);
    expect(Math.abs(variance - 1)).toBeLessThan(0.05);
  });
});

test("a slider covers all priors and the face's own latent", () => {
  const range = rangeOf([{ loc: -1, scale: 0.5 }, { loc: 1, scale: 1 }], 7.255);
  expect(range).toEqual({ least: -3, most: 7.26 });
});
