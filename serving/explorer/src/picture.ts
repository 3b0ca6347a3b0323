// A file that someone chose or dropped, as a picture of the model's size. It never leaves the page.

import { dimensions } from "./dimensions";
import type { Pixels } from "./pixels";
import { type Bytes, centre, resample } from "./resample";
import { ExplorerError, type ImageShape } from "./sidecar";

export const MOST_BYTES = 32 * 2 ** 20;
export const MOST_PIXELS = 40e6;

/**
 * Reads a PNG, JPEG or WebP file: turned upright, laid on white where it is transparent, cropped and resized.
 *
 * @throws ExplorerError that says why it cannot be read.
 */
export async function readPicture(file: File, shape: ImageShape): Promise<Pixels> {
  if (file.size > MOST_BYTES) throw new ExplorerError(`${file.name} is larger than ${MOST_BYTES / 2 ** 20} MB.`);
  const size = dimensions(await file.arrayBuffer());
  if (size === null) throw new ExplorerError(`${file.name} cannot be read: it is no PNG, JPEG or WebP picture.`);
  if (size.width * size.height > MOST_PIXELS) {
    throw new ExplorerError(`${file.name} has more than ${MOST_PIXELS / 1e6} million pixels; make it smaller.`);
  }
  const bitmap = await unpacked(file, file.name);
  try {
    return prepared(bytesOf(bitmap, shape.channels), shape);
  } finally {
    bitmap.close();
  }
}

/** Cuts, scales and divides by 255. */
export function prepared(picture: Bytes, shape: ImageShape): Pixels {
  const { height, width, channels } = shape;
  const box = centre(picture.width, picture.height, width, height);
  const small = resample(picture, box, width, height);
  return { height, width, channels, values: Float32Array.from(small.values, (x) => x / 255) };
}

async function unpacked(file: Blob, name: string): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  } catch {
    throw new ExplorerError(`${name} cannot be read: the file is damaged.`);
  }
}

function bytesOf(bitmap: ImageBitmap, channels: 1 | 3): Bytes {
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (context === null) throw new ExplorerError("The browser gives no canvas to read pictures with.");
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  return { width, height, channels, values: channels === 1 ? grey(data) : colour(data) };
}

/** Luma of ITU-R 601, rounded. */
export function grey(data: Uint8ClampedArray): Uint8Array {
  const values = new Uint8Array(data.length / 4);
  for (let i = 0; i < values.length; i++) {
    const [red, green, blue] = [data[4 * i] ?? 0, data[4 * i + 1] ?? 0, data[4 * i + 2] ?? 0];
    values[i] = Math.round(0.299 * red + 0.587 * green + 0.114 * blue);
  }
  return values;
}

function colour(data: Uint8ClampedArray): Uint8Array {
  const values = new Uint8Array((data.length / 4) * 3);
  for (let i = 0; i < data.length / 4; i++) {
    for (let channel = 0; channel < 3; channel++) values[3 * i + channel] = data[4 * i + channel] ?? 0;
  }
  return values;
}

/**
 * The pictures of the gallery: one below the other in a single PNG file, each of the model's size.
 *
 * @throws ExplorerError if the file is of another width or damaged.
 */
export async function readGallery(file: Blob, shape: ImageShape): Promise<Pixels[]> {
  const size = dimensions(await file.arrayBuffer());
  if (size === null || size.width !== shape.width || size.height % shape.height || size.height > MOST_PIXELS) {
    throw new ExplorerError("gallery.png is damaged, no picture, or one of another model: make it again by python -m serving explore EXPORT --to FOLDER.",
    );
  }
  const bitmap = await unpacked(file, "gallery.png");
  const all = bytesOf(bitmap, shape.channels);
  bitmap.close();
  const length = shape.height * shape.width * shape.channels;
  return Array.from({ length: all.height / shape.height }, (_, i) => ({
    height: shape.height,
    width: shape.width,
    channels: shape.channels,
    values: Float32Array.from(all.values.subarray(i * length, (i + 1) * length), (x) => x / 255),
  }));
}
