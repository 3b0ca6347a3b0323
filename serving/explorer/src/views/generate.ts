// New faces with labels of one's choice.

import type { Explorer } from "../explorer";
import { chooseValues, draw, type Latents } from "../mathematics";
import { tiled } from "../pixels";
import { normals, uniforms } from "../random";
import type { State } from "../state";
import { download } from "./canvas";
import { button, checkbox, element, freeChoice, numberField } from "./dom";
import { picker } from "./gallery";
import { caution } from "./number";
import { Latest, type Panel } from "./panel";

const COUNT = 12;
const COLUMNS = 4;

export function generatePanel(explorer: Explorer, report: (error: unknown) => void): Panel {
  const { model, store } = explorer;
  const latest = new Latest(report);
  const choices = model.labels.map((label, index) => {
    const act = (chosen: number | null): void => {
      store.set({ asked: store.state.asked.map((x, i) => (i === index ? chosen : x)) });
    };
    if (label.kind === "number") {
      const { field, input } = numberField(label.name, "left to chance", act);
      return { field, control: input };
    }
    const { field, select } = freeChoice(label.name, label.values, act);
    return { field, control: select };
  });
  choices.forEach(({ control }, index) => (control.dataset["ask"] = String(index)));
  const style = checkbox("Keep the style of the face", false, (keepStyle) => store.set({ keepStyle }));
  const grid = element("div", { data: { grid: "generated" } });
  const far = caution();
  let made: ReturnType<typeof tiled> = null;
  const root = element(
    "div",
    {},
    element("div", { class: "choices" }, ...choices.map((x) => x.field), style),
    element(
      "div",
      { class: "row" },
      button("New faces", () => store.set({ seed: store.state.seed + 1 })),
      button("Download the grid", () => made && download(made, "generated")),
    ),
    far.root,
    element("p", {}, "Choose one to work on with it."),
    grid,
  );

  function shown(latents: readonly Latents[]): (pictures: Awaited<ReturnType<Explorer["decode"]>>) => void {
    return (pictures) => {
      made = tiled(pictures, COLUMNS);
      const faces = picker("Generated face", pictures, (index) => {
        const chosen = latents[index];
        if (chosen) explorer.adopt("generated face", chosen);
      });
      grid.replaceChildren(faces.root);
    };
  }

  return {
    root,
    update(state, before) {
      if (state.view !== "generate") return;
      choices.forEach(({ control }, index) => {
        control.value = String(state.asked[index] ?? "");
      });
      far.show(model.labels.map((label, index) => [label, state.asked[index] ?? null]));
      const box = style.querySelector("input");
      if (box) box.checked = state.keepStyle;
      const keys = ["asked", "seed", "keepStyle", "view"] as const;
      const styled = state.keepStyle && state.latents !== before?.latents;
      if (!styled && keys.every((key) => state[key] === before?.[key])) return;
      const latents = newFaces(explorer, state);
      void latest.run(() => explorer.decode(latents), shown(latents));
    },
  };
}

/** Latents of the faces that a state asks for; the same for the same seed. */
function newFaces({ model }: Explorer, state: State): number[][] {
  const uniform = uniforms(state.seed);
  return Array.from({ length: COUNT }, () => {
    const values = chooseValues(model, state.asked, uniform);
    const latents = draw(model, values, normals(uniform, model.latents));
    const kept = state.keepStyle ? state.latents.slice(model.characteristic) : latents.slice(model.characteristic);
    return [...latents.slice(0, model.characteristic), ...kept];
  });
}
