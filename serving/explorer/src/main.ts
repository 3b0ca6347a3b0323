// Builds the page.

import "./style.css";

import { Explorer, sentence } from "./explorer";
import { load } from "./loading";
import { VIEWS } from "./state";
import { characteristicsPanel } from "./views/characteristics";
import { element } from "./views/dom";
import { generatePanel } from "./views/generate";
import { stagePanel } from "./views/stage";
import { stylePanel } from "./views/style";
import { swapPanel } from "./views/swap";
import { tabs } from "./views/tabs";
import { traversePanel } from "./views/traverse";

declare global {
  var explorer: Explorer | undefined; // for the browser's console and the tests
}

const page = document.querySelector("main") as HTMLElement;
const status = document.querySelector("#status") as HTMLElement;
const alert = document.querySelector("#alert") as HTMLElement;

function announce(message: string): void {
  alert.textContent = "";
  status.textContent = message;
}

function report(error: unknown): void {
  status.textContent = "";
  alert.textContent = sentence(error);
}

async function start(): Promise<void> {
  const loaded = await load(announce);
  const explorer = await Explorer.open(loaded, location.hash, report);
  const { store } = explorer;
  const edit = [characteristicsPanel(explorer, announce), stylePanel(explorer)];
  const [swap, generate, traverse] = [
    swapPanel(explorer, report),
    generatePanel(explorer, report),
    traversePanel(explorer, report),
  ];
  const views = tabs(
    "What to do",
    [
      ["Characteristics", element("div", {}, ...edit.map((x) => x.root))],
      ["Swap", swap.root],
      ["Generate", generate.root],
      ["Traverse", traverse.root],
    ],
    (index) => store.turn(VIEWS[index] ?? "edit"),
  );
  const panels = [stagePanel(explorer, announce, report), ...edit, swap, generate, traverse];
  store.listen((state, before) => {
    views.select(VIEWS.indexOf(state.view));
    panels.forEach((panel) => panel.update(state, before));
  });
  views.select(VIEWS.indexOf(store.state.view));
  panels.forEach((panel) => panel.update(store.state, null));
  page.replaceChildren(
    panels[0]?.root ?? "",
    element("div", { class: "views" }, views.list, ...views.panels),
  );
  listenToKeys(explorer);
  await explorer.measure();
  globalThis.explorer = explorer;
  announce(`Ready: ${explorer.model.name}, ${explorer.model.labels.length} labels.`);
  if (loaded.trouble !== null) report(loaded.trouble);
  document.body.dataset["ready"] = "";
}

function listenToKeys(explorer: Explorer): void {
  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.shiftKey || event.key.toLowerCase() !== "z") return;
    event.preventDefault();
    explorer.store.undo();
  });
  window.addEventListener("hashchange", () => void explorer.goTo(location.hash).catch(report));
}

start().catch(report);
