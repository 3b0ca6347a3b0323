// Pictures as numbers: height x width x channels, row by row, in [0, 1]; and their way to tensors and back.

import type { ImageShape, Layout } from "./sidecar";

export interface Pixels {
  readonly height: number;
  readonly width: number;
  readonly channels: 1 | 3;
  readonly values: Float32Array;
}

/** The numbers in the order that the model takes them. */
export function toLayout(pixels: Pixels, layout: Layout): Float32Array {
  return layout === "nhwc" ? pixels.values : reordered(pixels, true);
}

/** Pictures of a batch that a model gave. */
export function fromLayout(batch: Float32Array, shape: ImageShape): Pixels[] {
  const { height, width, channels, layout } = shape;
  const size = height * width * channels;
  return Array.from({ length: batch.length / size }, (_, i) => {
    const picture = { height, width, channels, values: batch.slice(i * size, (i + 1) * size) };
    return layout === "nhwc" ? picture : { ...picture, values: reordered(picture, false) };
  });
}

/** Channels from last to first, or from first to last. */
function reordered(pixels: Pixels, toFirst: boolean): Float32Array {
  const area = pixels.height * pixels.width;
  const result = new Float32Array(pixels.values.length);
  for (let place = 0; place < area; place++) {
    for (let channel = 0; channel < pixels.channels; channel++) {
      const [last, first] = [place * pixels.channels + channel, channel * area + place];
      if (toFirst) result[first] = pixels.values[last] ?? 0;
      else result[last] = pixels.values[first] ?? 0;
    }
  }
  return result;
}

/** Bytes for a canvas: red, green, blue, opaque. */
export function toBytes(pixels: Pixels): Uint8ClampedArray<ArrayBuffer> {
  const bytes = new Uint8ClampedArray(pixels.height * pixels.width * 4);
  for (let place = 0; place < pixels.height * pixels.width; place++) {
    for (let channel = 0; channel < 3; channel++) {
      const from = place * pixels.channels + (pixels.channels === 3 ? channel : 0);
      bytes[place * 4 + channel] = Math.round((pixels.values[from] ?? 0) * 255);
    }
    bytes[place * 4 + 3] = 255;
  }
  return bytes;
}

/** One picture of several, side by side in rows; what is left over stays white. */
export function tiled(pictures: readonly Pixels[], columns: number): Pixels | null {
  const [first] = pictures;
  if (first === undefined) return null;
  const { height, width, channels } = first;
  const across = Math.min(columns, pictures.length);
  const down = Math.ceil(pictures.length / columns);
  const values = new Float32Array(across * width * down * height * channels).fill(1);
  pictures.forEach((picture, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    for (let y = 0; y < height; y++) {
      const from = picture.values.subarray(y * width * channels, (y + 1) * width * channels);
      values.set(from, ((row * height + y) * across + column) * width * channels);
    }
  });
  return { height: down * height, width: across * width, channels, values };
}
