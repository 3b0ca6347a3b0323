// Tabs as the ARIA practices describe them: arrow keys, Home and End move between them.

import { button, element, newId } from "./dom";

export interface Tabs {
  readonly list: HTMLElement;
  readonly panels: readonly HTMLElement[];
  select(index: number): void;
}

export function tabs(title: string, pages: readonly [string, HTMLElement][], chosen: (index: number) => void): Tabs {
  const panels = pages.map(([, content]) =>
    element("section", { attributes: { role: "tabpanel", id: newId(), tabindex: 0 } }, content),
  );
  const heads = pages.map(([name], index) => {
    const id = newId();
    panels[index]?.setAttribute("aria-labelledby", id);
    const controls = panels[index]?.id ?? "";
    return button(name, () => chosen(index), { attributes: { role: "tab", id, "aria-controls": controls } });
  });
  const list = element("div", { class: "tabs", attributes: { role: "tablist", "aria-label": title } }, ...heads);
  list.addEventListener("keydown", (event) => {
    const now = heads.findIndex((x) => x === document.activeElement);
    const places = { ArrowRight: now + 1, ArrowLeft: now - 1 + heads.length, Home: 0, End: heads.length - 1 };
    const place = places[event.key as keyof typeof places] as number | undefined;
    if (place === undefined) return;
    event.preventDefault();
    heads[place % heads.length]?.focus();
    chosen(place % heads.length);
  });
  return {
    list,
    panels,
    select(index) {
      heads.forEach((head, i) => {
        head.setAttribute("aria-selected", String(i === index));
        head.tabIndex = i === index ? 0 : -1;
      });
      panels.forEach((panel, i) => (panel.hidden = i !== index));
    },
  };
}
