// Rows of faces to choose from.

import type { Pixels } from "../pixels";
import { paint } from "./canvas";
import { button, element } from "./dom";

export interface Picker {
  readonly root: HTMLElement;
  /** Marks a face as chosen, or none. */
  mark(index: number | null): void;
}

/** A button for each picture. */
export function picker(title: string, pictures: readonly Pixels[], choose: (index: number) => void): Picker {
  const faces = pictures.map((picture, index) => {
    const canvas = element("canvas", { class: "picture", attributes: { "aria-hidden": "true" } });
    paint(canvas, picture);
    const name = `${title} ${index + 1}`;
    return button(canvas, () => choose(index), { class: "face", attributes: { "aria-label": name, "aria-pressed": "false" } });
  });
  const root = element("div", { class: "faces", attributes: { role: "group", "aria-label": title } }, ...faces);
  return {
    root,
    mark: (index) => faces.forEach((face, i) => face.setAttribute("aria-pressed", String(i === index))),
  };
}
