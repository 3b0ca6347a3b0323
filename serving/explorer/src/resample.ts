// Brings a picture to the model's size as tf_ccvae/data/images.py does: the shorter side scaled by an antialiasing
// Lanczos filter, the centre cut out. Works in bytes with rounding after each direction, as Pillow does.

const REACH = 3; // of the filter, in pixels of the smaller picture

export interface Bytes {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly values: Uint8Array;
}

/** The part of a picture that is scaled: the largest of the model's proportions, in the middle. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export function centre(width: number, height: number, toWidth: number, toHeight: number): Box {
  const scale = Math.min(width / toWidth, height / toHeight);
  const [boxWidth, boxHeight] = [toWidth * scale, toHeight * scale];
  return { left: (width - boxWidth) / 2, top: (height - boxHeight) / 2, width: boxWidth, height: boxHeight };
}

export function resample(picture: Bytes, box: Box, width: number, height: number): Bytes {
  if (picture.width === width && picture.height === height) return picture;
  const across = filters(box.left, box.width, picture.width, width);
  const down = filters(box.top, box.height, picture.height, height);
  return vertical(horizontal(picture, across), down); // the order shows where the first pass is clipped to bytes
}

interface Filter {
  readonly first: number;
  readonly weights: readonly number[];
}

/** For each new pixel, which old ones it is made of. */
function filters(start: number, length: number, size: number, count: number): Filter[] {
  const scale = length / count;
  const stretch = Math.max(scale, 1);
  return Array.from({ length: count }, (_, i) => {
    const middle = start + (i + 0.5) * scale;
    const first = Math.max(0, Math.round(middle - REACH * stretch));
    const end = Math.min(size, Math.round(middle + REACH * stretch));
    const weights = Array.from({ length: end - first }, (_, j) => lanczos((first + j + 0.5 - middle) / stretch));
    const sum = weights.reduce((a, b) => a + b, 0);
    return { first, weights: weights.map((x) => x / sum) };
  });
}

function lanczos(x: number): number {
  return Math.abs(x) < REACH ? sinc(x) * sinc(x / REACH) : 0;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

function horizontal(picture: Bytes, across: readonly Filter[]): Bytes {
  const { height, channels } = picture;
  const width = across.length;
  const values = new Uint8ClampedArray(height * width * channels); // rounds and clamps
  for (let y = 0; y < height; y++) {
    across.forEach(({ first, weights }, x) => {
      for (let channel = 0; channel < channels; channel++) {
        const from = (y * picture.width + first) * channels + channel;
        values[(y * width + x) * channels + channel] = weighted(picture.values, from, channels, weights);
      }
    });
  }
  return { height, width, channels, values: new Uint8Array(values.buffer) };
}

function vertical(picture: Bytes, down: readonly Filter[]): Bytes {
  const row = picture.width * picture.channels;
  const values = new Uint8ClampedArray(down.length * row);
  down.forEach(({ first, weights }, y) => {
    for (let i = 0; i < row; i++) values[y * row + i] = weighted(picture.values, first * row + i, row, weights);
  });
  return { ...picture, height: down.length, values: new Uint8Array(values.buffer) };
}

function weighted(values: Uint8Array, from: number, step: number, weights: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < weights.length; i++) sum += (weights[i] ?? 0) * (values[from + i * step] ?? 0);
  return sum;
}
