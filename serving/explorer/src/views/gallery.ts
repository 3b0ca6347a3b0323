// Rows of faces to choose from.

import type { Pixels } from "../pixels";
import { paint } from "./canvas";
import { button, element } from "./dom";

export interface Picker {
  readonly root: HTMLElement;
  /** Marks a face as chosen, or none. */
  mark(index: number | null): void;
}

/** A button for each picture. All are one stop of the Tab key; arrow keys, Home and End move among them. */
export function picker(title: string, pictures: readonly Pixels[], choose: (index: number) => void): Picker {
  const faces = pictures.map((picture, index) => {
    const canvas = element("canvas", { class: "picture", attributes: { "aria-hidden": "true" } });
    paint(canvas, picture);
    const name = `${title} ${index + 1}`;
    return button(canvas, () => choose(index), { class: "face", attributes: { "aria-label": name, "aria-pressed": "false" } });
  });
  const root = element("div", { class: "faces", attributes: { role: "group", "aria-label": title } }, ...faces);
  const stop = (index: number): void => faces.forEach((face, i) => (face.tabIndex = i === index ? 0 : -1));
  root.addEventListener("focusin", (event) => stop(faces.findIndex((x) => x === event.target)));
  root.addEventListener("keydown", (event) => {
    const now = faces.findIndex((x) => x === document.activeElement);
    const place = moved(event.key, now, faces.length, columns(faces));
    if (now < 0 || place === null) return;
    event.preventDefault();
    faces[place]?.focus();
  });
  stop(0);
  let marked: number | null = null;
  return {
    root,
    mark(index) {
      faces.forEach((face, i) => face.setAttribute("aria-pressed", String(i === index)));
      const face = index === null || index === marked ? undefined : faces[index];
      if (face) requestAnimationFrame(() => bringIntoView(root, face)); // once it has its place on the page
      marked = index;
      if (!root.contains(document.activeElement)) stop(index ?? 0);
    },
  };
}

/** Scrolls a box, and not the page, so that one of its children is in the middle, if it is not to be seen. */
function bringIntoView(box: HTMLElement, child: HTMLElement): void {
  const [outer, inner] = [box.getBoundingClientRect(), child.getBoundingClientRect()];
  if (inner.left < outer.left || inner.right > outer.right) box.scrollLeft += inner.left - outer.left - (outer.width - inner.width) / 2;
  if (inner.top < outer.top || inner.bottom > outer.bottom) box.scrollTop += inner.top - outer.top - (outer.height - inner.height) / 2;
}

/** Where a key leads among faces in rows, or null if it is another key; it ends at the first and the last face. */
export function moved(key: string, now: number, count: number, across: number): number | null {
  const places: Record<string, number> = {
    ArrowRight: now + 1,
    ArrowLeft: now - 1,
    ArrowDown: now + across,
    ArrowUp: now - across,
    Home: 0,
    End: count - 1,
  };
  const place = places[key];
  if (place === undefined) return null;
  return place < 0 || place >= count ? now : place;
}

/** How many faces stand in a row. */
function columns(faces: readonly HTMLElement[]): number {
  return faces.filter((x) => x.offsetTop === faces[0]?.offsetTop).length;
}
