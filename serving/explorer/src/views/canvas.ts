// Pictures on canvases, and as files.

import { type Pixels, toBytes } from "../pixels";
import { element } from "./dom";

/** A canvas that says what it shows. */
export function pictureCanvas(title: string, name: string): HTMLCanvasElement {
  return element("canvas", { class: "picture", data: { picture: name }, attributes: { role: "img", "aria-label": title } });
}

export function paint(canvas: HTMLCanvasElement, picture: Pixels): void {
  if (canvas.width !== picture.width) canvas.width = picture.width;
  if (canvas.height !== picture.height) canvas.height = picture.height;
  const { width, height } = picture;
  canvas.getContext("2d")?.putImageData(new ImageData(toBytes(picture), width, height), 0, 0);
}

/** Saves a picture as PNG, pixel by pixel as the model made it. */
export function download(picture: Pixels, name: string): void {
  const canvas = element("canvas");
  paint(canvas, picture);
  canvas.toBlob((blob) => {
    if (blob === null) return;
    const address = URL.createObjectURL(blob);
    const link = element("a", { attributes: { href: address, download: `${name}.png` } });
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  }, "image/png");
}
