// The face: where it comes from, the picture, and the picture as it is now.

import type { Explorer } from "../explorer";
import { download, paint, pictureCanvas } from "./canvas";
import { button, element } from "./dom";
import { picker } from "./gallery";
import type { Announce, Panel } from "./panel";

export function stagePanel(explorer: Explorer, announce: Announce, report: (error: unknown) => void): Panel {
  const { store } = explorer;
  const original = pictureCanvas("The chosen picture", "original");
  const current = pictureCanvas("The face as it is now", "current");
  const rate = element("p", { class: "rate", data: { rate: "" } });
  const title = element("figcaption", {}, "Picture");
  const first = element("figure", {}, original, title);
  const undo = button("Undo", () => store.undo(), { attributes: { "aria-keyshortcuts": "Control+Z" } });
  const reset = button("Reset", () => store.set({ latents: store.state.subject.latents }));
  explorer.show((picture, perSecond) => {
    paint(current, picture);
    if (perSecond > 0) rate.textContent = `This browser draws ${Math.round(perSecond)} pictures per second.`;
  });
  const act = (work: Promise<void>, done: string): void => void work.then(() => announce(done), report);
  const faces = picker("Face", explorer.gallery, (index) => act(explorer.choose(index), `Face ${index + 1} chosen.`));
  const open = (file: File): void => act(explorer.openFile(file), `${file.name} opened. It stays in this page.`);
  acceptDrops(open);
  const root = element(
    "section",
    { class: "stage", attributes: { "aria-label": "The face" } },
    element("div", { class: "pair" }, first, element("figure", {}, current, element("figcaption", {}, "Now"))),
    rate,
    element(
      "div",
      { class: "row" },
      undo,
      reset,
      button("Download", () => explorer.picture && download(explorer.picture, "face")),
      button("Copy link", () => act(navigator.clipboard.writeText(location.href), "The link is copied.")),
    ),
    fileField(open),
    faces.root,
  );
  return {
    root,
    update(state) {
      const { subject } = state;
      first.hidden = subject.picture === null;
      if (subject.picture) paint(original, subject.picture);
      title.textContent = subject.gallery === null ? subject.title : `Picture ${subject.gallery + 1}`;
      faces.mark(subject.gallery);
      undo.disabled = !store.canUndo;
      reset.disabled = state.latents === subject.latents;
    },
  };
}

function fileField(open: (file: File) => void): HTMLElement {
  const input = element("input", { attributes: { type: "file", accept: "image/png,image/jpeg,image/webp" } });
  input.addEventListener("change", () => {
    const file = input.files?.[0];
    if (file) open(file);
    input.value = "";
  });
  return element("label", { class: "drop" }, element("span", {}, "Your own picture: choose or drop a file"), input);
}

/** A file may be dropped anywhere on the page. */
function acceptDrops(open: (file: File) => void): void {
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (file) open(file);
  });
}
