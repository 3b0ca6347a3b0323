// Two characteristics at once: a grid of the face.

import type { Explorer } from "../explorer";
import { at, traverse } from "../mathematics";
import { type Pixels, tiled } from "../pixels";
import type { Label } from "../sidecar";
import { type Span, span, type State } from "../state";
import { download, paint, pictureCanvas } from "./canvas";
import { button, choice, element, numberField, rounded } from "./dom";
import { caution } from "./number";
import { Latest, type Panel } from "./panel";

const STEPS = 7;

export function traversePanel(explorer: Explorer, report: (error: unknown) => void): Panel {
  const { model } = explorer;
  const latest = new Latest(report);
  const axes = [axisFields(explorer, 0, "Down"), axisFields(explorer, 1, "Across")];
  const canvas = pictureCanvas("A grid of the face", "traversed");
  const down = element("p", { class: "axis" });
  const across = element("p", { class: "axis" });
  const far = caution();
  let made: Pixels | null = null;
  const save = button("Download the grid", () => made && download(made, "traversed"));
  const root = element("div", {}, ...axes.map((x) => x.root), far.root, save, down, across, canvas);
  if (!model.labels.length) root.replaceChildren("This model has no labels.");

  function words(chosen: Span): string {
    const label = at(model.labels, chosen.label);
    const word = (value: number): string => (label.kind === "number" ? rounded(value) : at(label.values, value));
    return `${label.name} from ${word(chosen.start)} to ${word(chosen.end)}`;
  }

  return {
    root,
    update(state, before) {
      if (state.view !== "traverse" || !model.labels.length) return;
      axes.forEach((axis) => axis.update(state, before));
      if (state.latents === before?.latents && state.spans === before.spans && state.view === before.view) return;
      const [rows, columns] = state.spans;
      far.show(state.spans.flatMap((x) => [x.start, x.end].map((value) => [at(model.labels, x.label), value] as const)));
      down.textContent = `Down: ${words(rows)}.`;
      across.textContent = `Across: ${words(columns)}.`;
      canvas.setAttribute("aria-label", `A grid of the face; down, ${words(rows)}; across, ${words(columns)}`);
      void latest.run(
        () => explorer.decode(traverse(model, state.latents, rows, columns, STEPS)),
        (pictures) => {
          made = tiled(pictures, STEPS);
          if (made) paint(canvas, made);
        },
      );
    },
  };
}

/** Which label moves along an axis, and between which values. */
function axisFields({ model, store }: Explorer, axis: 0 | 1, title: string): Panel {
  const root = element("fieldset", { class: "choices" });
  const change = (changed: Span): void => {
    const [rows, columns] = store.state.spans;
    store.set({ spans: axis === 0 ? [changed, columns] : [rows, changed] });
  };
  function fields(state: State): void {
    const chosen = state.spans[axis];
    const own = at(model.labels, chosen.label);
    const names = model.labels.map((x) => x.name);
    const label = choice("Label", names, chosen.label, (index) => change(span(model, index)));
    const start = valueField(own, "From", chosen.start, (value) => change({ ...chosen, start: value }));
    const end = valueField(own, "To", chosen.end, (value) => change({ ...chosen, end: value }));
    const focused = focusedControl(root);
    root.replaceChildren(element("legend", {}, title), label.field, start, end);
    if (focused >= 0) controls(root)[focused]?.focus();
  }
  return {
    root,
    update: (state, before) => {
      if (state.spans[axis] !== before?.spans[axis] || !root.childElementCount) fields(state);
    },
  };
}

/** A choice of a label's values, or a field for a number; one that holds no number leaves the value as it was. */
function valueField(label: Label, title: string, value: number, act: (value: number) => void): HTMLElement {
  if (label.kind !== "number") return choice(title, label.values, value, act).field;
  const { field, input } = numberField(title, "", (written) => {
    if (written === null) input.value = rounded(value);
    else act(written);
  });
  input.value = rounded(value);
  return field;
}

function controls(root: HTMLElement): HTMLElement[] {
  return [...root.querySelectorAll<HTMLElement>("select, input")];
}

function focusedControl(root: HTMLElement): number {
  return controls(root).findIndex((x) => x === document.activeElement);
}
