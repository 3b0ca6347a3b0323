import axe from "axe-core";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";

import { canvas, expected, largestError, latentsOf, launch, open, screenshot, type Shown, shownPicture, URL } from "./browser";

const LIMIT = 1e-3; // pictures and probabilities against Python
let browser: Browser;
let context: BrowserContext;

beforeAll(async () => {
  ({ browser, context } = await launch());
});
afterAll(() => browser.close());

/** On the first face of the gallery, if no address says otherwise. */
async function fresh(run: (page: Page, requests: string[]) => Promise<void>, address = "#face=0", options: Shown = {}): Promise<void> {
  const { page, requests } = await open(context, address, options);
  try {
    await run(page, requests);
  } finally {
    await page.close();
  }
}

test("the first face is encoded and decoded as by Python, 30 times a second or more", () =>
  fresh(async (page) => {
    expect(largestError(await latentsOf(page), expected.latents)).toBeLessThan(LIMIT);
    expect(largestError(await shownPicture(page), expected.reconstruction)).toBeLessThan(LIMIT);
    const shown = await page.locator(".original").allTextContents();
    const wanted = expected.probabilities.flat().map((x) => 100 * x);
    expect(largestError(shown.map((x) => parseFloat(x.replace("at first", ""))), wanted)).toBeLessThan(0.06);
    const rate = /draws (\d+) pictures per second/.exec((await page.textContent("[data-rate]")) ?? "")?.[1];
    expect(Number(rate)).toBeGreaterThanOrEqual(30);
    await screenshot(page, "characteristics");
  }));

test("a slider changes the picture; undo and reset bring it back; the address brings it elsewhere", () =>
  fresh(async (page) => {
    const before = await canvas(page, "current");
    const slider = page.locator("input[data-latent='0']");
    await slider.focus();
    for (let i = 0; i < 60; i++) await page.keyboard.press("ArrowRight");
    await shownPicture(page);
    const after = await canvas(page, "current");
    expect(after).not.toBe(before);
    await page.waitForFunction(() => location.hash.includes("z=0:"));
    const { page: other } = await open(context, new globalThis.URL(page.url()).hash);
    await shownPicture(other);
    expect(await other.locator("input[data-latent='0']").inputValue()).toBe(await slider.inputValue());
    await other.close();
    await page.getByRole("button", { name: "Reset" }).click();
    expect(largestError(await shownPicture(page), expected.reconstruction)).toBeLessThan(LIMIT);
    await page.getByRole("button", { name: "Undo" }).click();
    await shownPicture(page);
    expect(await canvas(page, "current")).toBe(after);
  }));

test("a label that is set is read back as probability, and the picture is Python's", () =>
  fresh(async (page) => {
    const card = page.locator(".card").first();
    const toggle = card.getByRole("switch");
    await toggle.focus();
    await page.keyboard.press("Space");
    expect(largestError(await shownPicture(page), expected.edited)).toBeLessThan(LIMIT);
    expect(await toggle.isChecked()).toBe(expected.flipped === 1);
    const probability = parseFloat((await card.locator("[data-probability='1']").textContent()) ?? "");
    expect(probability > 50).toBe(expected.flipped === 1);
    expect(await page.textContent("#status")).toContain(expected.labels[0]);
  }));

if (expected.number) {
  const { label, value, first, read, edited } = expected.number;

  test("a number is set by its slider in its own units, as by Python, and axe finds nothing wrong with it", () =>
    fresh(async (page) => {
      const firstNumbers = ((await page.textContent(".original-number")) ?? "").match(/-?[\d.]+/g)?.map(Number) ?? [];
      const [mean, , low, high] = firstNumbers as [number, number, number, number];
      const reach = 1.645 * first[1];
      expect(largestError([mean, low, high], [first[0], first[0] - reach, first[0] + reach])).toBeLessThan(0.06);
      const slider = page.locator(`input[type=range][data-set='${label}']`);
      const drag = (to: number): Promise<void> =>
        slider.evaluate((input: HTMLInputElement, x) => {
          input.value = String(x);
          input.dispatchEvent(new Event("input"));
        }, to);
      await drag(25); // on the way, which makes no difference
      await drag(value);
      await slider.dispatchEvent("change");
      expect(largestError(await shownPicture(page), edited)).toBeLessThan(LIMIT);
      expect(await slider.inputValue()).toBe(String(value));
      expect(parseFloat((await page.textContent(`[data-predicted='${label}']`)) ?? "")).toBeCloseTo(read, 1);
      expect(await page.textContent("#status")).toContain(`${expected.labels[label]}: ${value}`);
      await screenshot(page, "number");
      await page.getByRole("button", { name: "Undo" }).click();
      expect(largestError(await shownPicture(page), expected.reconstruction)).toBeLessThan(LIMIT);
      await page.getByRole("tab", { name: "Generate" }).click();
      await page.locator(`input[data-ask='${label}']`).fill("60.5");
      await page.locator(`input[data-ask='${label}']`).press("Enter");
      await page.waitForFunction((i) => (globalThis as any).explorer.store.state.asked[i] === 60.5, label);
      const far = page.locator("[role=tabpanel]:not([hidden]) .caution");
      const sentence =
        `${expected.labels[label]} 300 is far outside the training values, 20 to 70: no picture has taught the model what ` +
        "it looks like.";
      expect(await far.textContent()).toBe("");
      await page.locator(`input[data-ask='${label}']`).fill("300");
      await page.locator(`input[data-ask='${label}']`).press("Enter");
      await page.waitForFunction((i) => (globalThis as any).explorer.store.state.asked[i] === 300, label);
      expect(await far.textContent()).toBe(sentence);
      await page.locator(`input[data-ask='${label}']`).fill("90");
      await page.locator(`input[data-ask='${label}']`).press("Enter");
      await page.waitForFunction((i) => (globalThis as any).explorer.store.state.asked[i] === 90, label);
      expect(await far.textContent()).toBe("");
      await page.getByRole("tab", { name: "Traverse" }).click();
      await page.waitForFunction(() => document.querySelector<HTMLCanvasElement>("[data-picture=traversed]")?.width !== 300);
      expect(await page.locator("p.axis").allTextContents()).toContain(`Across: ${expected.labels[label]} from 20 to 70.`);
      expect(await far.textContent()).toBe("");
      await page.getByRole("group", { name: "Across" }).getByLabel("To").fill("300");
      await page.getByRole("group", { name: "Across" }).getByLabel("To").press("Enter");
      await page.waitForFunction(() => (globalThis as any).explorer.store.state.spans[1].end === 300);
      expect(await far.textContent()).toBe(sentence);
      for (const tab of ["Characteristics", "Generate", "Traverse"]) {
        await page.getByRole("tab", { name: tab }).click();
        await page.evaluate(axe.source);
        const found = await page.evaluate(() => (globalThis as any).axe.run());
        expect(found.violations.map((x: any) => `${tab}: ${x.id}: ${x.nodes[0].html}`)).toEqual([]);
      }
    }, "#face=0&first=0"));
}

test("the page opens on the face and the label, of all in the gallery, whose switch changes the picture most", () =>
  fresh(async (page) => {
    const before = await shownPicture(page);
    const card = page.locator(".card").first();
    const state = await page.evaluate(() => (globalThis as any).explorer.store.state);
    expect(await card.locator("[data-set]").getAttribute("data-set")).toBe(String(state.first));
    const visible: { label: number; change: number }[] = await page.evaluate(() => (globalThis as any).explorer.model.visible);
    expect(visible.length).toBe(await page.evaluate(() => (globalThis as any).explorer.gallery.length));
    expect(visible[state.subject.gallery]).toEqual({ label: state.first, change: Math.max(...visible.map((x) => x.change)) });
    await card.getByRole("switch").focus();
    await page.keyboard.press("Space");
    const after = await shownPicture(page);
    const change = after.reduce((sum, x, i) => sum + Math.abs(x - (before[i] ?? 0)), 0) / after.length;
    expect(change).toBeGreaterThan(0.02);
    const excluded = await page.evaluate(() => (globalThis as any).explorer.model.incompatible);
    const axes = state.spans.map((x: any) => x.label);
    expect(excluded.filter((x: number[]) => axes.includes(x[0]) && axes.includes(x[2]) && x[0] !== x[2])).toEqual([]);
    expect(await page.locator(".card").nth(1).locator(".probability").count()).toBeGreaterThan(1);
    await screenshot(page, "opening");
  }, ""));

test("the gallery is one stop of the Tab key, with arrow keys; a tab is no step to undo", () =>
  fresh(async (page) => {
    await page.locator("input[type=file]").focus();
    await page.keyboard.press("Tab");
    const focused = () => page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent);
    expect(await focused()).toBe("Face 1");
    await page.keyboard.press("ArrowRight");
    expect(await focused()).toBe("Face 2");
    await page.keyboard.press("Tab");
    expect(await focused()).toBe("Characteristics");
    await page.keyboard.press("ArrowRight");
    expect(await page.getByRole("tab", { name: "Swap" }).getAttribute("aria-selected")).toBe("true");
    expect(await page.getByRole("button", { name: "Undo" }).isDisabled()).toBe(true);
  }));

test("on a phone the tabs stand in one row, and what they show begins on the first screen, uncovered", () =>
  fresh(
    async (page) => {
      const tops = await page.getByRole("tab").evaluateAll((all) => all.map((x) => x.getBoundingClientRect().top));
      expect(new Set(tops).size).toBe(1);
      const card = await page.locator(".card").first().boundingBox();
      expect((card?.y ?? Infinity) + 60).toBeLessThan(844);
      const status = await page.locator("#status").boundingBox();
      expect((status?.y ?? 0) + (status?.height ?? 0)).toBeLessThanOrEqual((await page.locator("main").boundingBox())?.y ?? 0);
      await screenshot(page, "first-screen");
    },
    "#face=0",
    { viewport: { width: 390, height: 844 } },
  ));

test("on the narrowest screens a label's name breaks after its underscores, and nowhere else", () =>
  fresh(
    async (page) => {
      const lines = await page.locator(".card h2").evaluateAll((titles) =>
        titles.flatMap((title) => {
          const found: { top: number; text: string }[] = [];
          for (const text of [...title.childNodes].filter((x) => x.nodeType === Node.TEXT_NODE)) {
            for (let i = 0; i < (text.textContent ?? "").length; i++) {
              const range = document.createRange();
              range.setStart(text, i);
              range.setEnd(text, i + 1);
              const { top } = range.getBoundingClientRect();
              if (found.at(-1)?.top !== top) found.push({ top, text: "" });
              found.at(-1)!.text += text.textContent![i];
            }
          }
          return found.slice(0, -1).map((x) => x.text);
        }),
      );
      const names = await page.locator(".card h2").allTextContents();
      if (names.includes("Mouth_Slightly_Open")) expect(lines).toContain("Mouth_");
      for (const line of lines) expect(line).toMatch(/[_ ]$/);
    },
    "#face=0",
    { viewport: { width: 250, height: 800 } },
  ));

test("a face that is chosen is brought into sight in the gallery, on a phone too", () =>
  fresh(
    async (page) => {
      await page.evaluate(() => (globalThis as any).explorer.choose((globalThis as any).explorer.gallery.length - 1));
      const inSight = () =>
        page.locator(".stage .face").last().evaluate((face) => {
          const [box, own] = [face.parentElement!.getBoundingClientRect(), face.getBoundingClientRect()];
          return own.left >= box.left - 1 && own.right <= box.right + 1;
        });
      await expect.poll(inSight).toBe(true);
      expect(await page.evaluate(() => window.scrollY)).toBe(0);
    },
    "#face=0",
    { viewport: { width: 390, height: 844 } },
  ));

test("swap carries a characteristic of the donor over, as Python does", () =>
  fresh(async (page) => {
    await page.getByRole("tab", { name: "Characteristics" }).focus();
    await page.keyboard.press("ArrowRight");
    await page.getByRole("button", { name: "Donor 2", exact: true }).click();
    await page.waitForFunction(() => document.querySelector<HTMLCanvasElement>("[data-picture=swapped]")?.width !== 300);
    await screenshot(page, "swap");
    await page.getByRole("button", { name: "Work on with this face" }).click();
    expect(largestError(await shownPicture(page), expected.swapped)).toBeLessThan(LIMIT);
  }));

test("generate shows different faces that all have the asked label, and one can be worked on", () =>
  fresh(async (page) => {
    await page.getByRole("tab", { name: "Generate" }).click();
    await page.locator("select[data-ask='0']").selectOption("1");
    await page.waitForFunction(() => document.querySelectorAll("[data-grid] canvas").length === 12);
    await page.getByRole("button", { name: "New faces" }).click();
    await page.waitForTimeout(300);
    const faces = await page.locator("[data-grid] canvas").evaluateAll((all) =>
      all.map((x) => (x as HTMLCanvasElement).toDataURL()),
    );
    expect(new Set(faces).size).toBe(12);
    await screenshot(page, "generate");
    await page.getByRole("button", { name: "Generated face 3", exact: true }).click();
    await shownPicture(page);
    expect(await canvas(page, "current")).toBe(faces[2]);
  }));

test("traverse shows a grid, and downloads it", () =>
  fresh(async (page) => {
    await page.getByRole("tab", { name: "Traverse" }).click();
    const grid = page.locator("canvas[data-picture=traversed]");
    await page.waitForFunction(() => document.querySelector<HTMLCanvasElement>("[data-picture=traversed]")?.width !== 300);
    const side = await page.locator("canvas[data-picture=current]").evaluate((x) => (x as HTMLCanvasElement).width);
    expect(await grid.evaluate((x) => (x as HTMLCanvasElement).width)).toBe(7 * side);
    await screenshot(page, "traverse");
    const [file] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Download the grid" }).last().click(),
    ]);
    expect(file.suggestedFilename()).toBe("traversed.png");
  }));

test("a dropped file is cut and scaled as Python does, and shared as latents only", () =>
  fresh(async (page, requests) => {
    const sent = [...requests];
    await page.setInputFiles("input[type=file]", expected.file);
    await page.waitForFunction(() => document.querySelector("#status")?.textContent?.includes("opened"));
    const picture = await page.evaluate(() => [
      ...(globalThis as any).explorer.store.state.subject.picture.values,
    ] as number[]);
    expect(largestError(picture, expected.small)).toBeLessThan(2.1 / 255);
    await page.waitForFunction(() => location.hash.includes("base="));
    await page.evaluate(() => {
      const transfer = new DataTransfer();
      transfer.items.add(new File(["no picture"], "letter.txt"));
      document.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, cancelable: true }));
    });
    await page.waitForFunction(() => document.querySelector("#alert")?.textContent?.includes("letter.txt cannot be read"));
    // the browser itself may ask for the page's icon at any time
    expect(requests.filter((x) => !sent.includes(x) && !x.endsWith("/icon.svg"))).toEqual([]);
  }));

test("nothing is sent anywhere: the page only gets its own files, and the policy forbids the rest", () =>
  fresh(async (page, requests) => {
    expect(requests.filter((x) => !x.startsWith(`GET ${URL}`) && !x.startsWith("GET blob:"))).toEqual([]);
    const refused = await page.evaluate(async () => {
      const blocked: string[] = [];
      // the header and the page itself each have the policy
      document.addEventListener("securitypolicyviolation", (event) => blocked.push(event.effectiveDirective));
      await fetch("https://elsewhere.example/").catch(() => undefined);
      const image = new Image();
      image.src = "https://elsewhere.example/x.png";
      document.body.append(Object.assign(document.createElement("script"), { textContent: "globalThis.ran = true" }));
      document.body.append(Object.assign(document.createElement("iframe"), { src: "https://elsewhere.example/" }));
      await new Promise((done) => setTimeout(done, 200));
      return { blocked: [...new Set(blocked)].sort(), ran: "ran" in globalThis };
    });
    expect(refused.ran).toBe(false);
    expect(refused.blocked).toEqual(["connect-src", "frame-src", "img-src", "script-src-elem"]);
  }));

test.each([
  ["light", 1280],
  ["dark", 1280],
  ["light", 360],
] as const)("axe finds nothing wrong, %s, %i pixels wide", (colorScheme, width) =>
  fresh(
    async (page) => {
      for (const tab of ["Characteristics", "Swap", "Generate", "Traverse"]) {
        await page.getByRole("tab", { name: tab }).click();
        await page.waitForTimeout(100);
        if (tab === "Characteristics") await page.locator("summary").click();
        // Playwright evaluates without regard to the page's policy, which holds for the page itself.
        await page.evaluate(axe.source);
        // in the dark only the colours differ
        const rules = colorScheme === "dark" ? { runOnly: ["color-contrast"] } : {};
        const found = await page.evaluate((options) => (globalThis as any).axe.run(options), rules);
        expect(found.violations.map((x: any) => `${tab}: ${x.id}: ${x.nodes[0].html}`)).toEqual([]);
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        expect(overflow, `${tab} is wider than the window`).toBeLessThanOrEqual(0);
      }
      await page.getByRole("tab", { name: "Characteristics" }).click();
      if (width < 1000 || colorScheme === "dark") await screenshot(page, width < 1000 ? "phone" : "dark");
    },
    "#face=0",
    { colorScheme, viewport: { width, height: 800 } },
  ));

test.each<[string, string, (body: string) => string]>([
  ["another schema version", "schema version 4, and this page reads 1, 2, 3", (x) => x.replace(/"format": [123]/, '"format": 4')],
  ["a damaged sidecar", "it is no JSON", (x) => x.slice(0, 50)],
  ["a sidecar without labels", "labels should be a list", (x) => x.replace('"labels"', '"lables"')],
])("%s is told in words", async (_, message, damage) => {
  const page = await context.newPage();
  await page.route("**/ccvae.json", async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ status: 200, body: damage(await answer.text()) });
  });
  await page.goto(URL);
  await page.waitForFunction((x) => document.querySelector("#alert")?.textContent?.includes(x), message);
  await page.close();
});

test.each([
  ["**/ccvae.json", "model/ccvae.json", "model/ccvae.json is missing", "ccvae.json is damaged"],
  ["**/encoder.onnx", "model/onnx/encoder.onnx", "onnx/encoder.onnx is missing", "encoder.onnx cannot be loaded"],
  ["**/decoder.onnx", "model/onnx/decoder.onnx", "onnx/decoder.onnx is missing", "decoder.onnx cannot be loaded"],
  ["**/*.wasm", ".wasm", ".wasm is missing", ".wasm cannot be loaded"],
  ["**/gallery.png", "gallery.png", "", "gallery.png is damaged, no picture"],
])("what a host answers in place of %s is told by the file's name", async (path, name, missing, damaged) => {
  const page = await context.newPage();
  const answers = {
    [`${name} is not there, and the host answers a page in its place`]: { status: 200, body: "<!doctype html>" },
    [damaged]: { status: 200, body: "not found" },
    ...(missing && { [missing]: { status: 404, body: "" } }),
  };
  for (const [message, answer] of Object.entries(answers)) {
    await page.route(path, (route) => route.fulfill({ contentType: "application/octet-stream", ...answer }));
    await page.goto(URL);
    await page.waitForFunction((x) => document.querySelector("#alert")?.textContent?.includes(x), message);
    await page.unrouteAll();
  }
  await page.close();
});

test("the page works without its gallery, and says what is wrong with it", async () => {
  const page = await context.newPage();
  await page.route("**/gallery.png", (route) => route.fulfill({ status: 200, contentType: "text/html", body: "<html>" }));
  await page.goto(URL);
  await page.waitForSelector("body[data-ready]");
  expect(await page.textContent("#alert")).toContain("gallery.png is not there");
  await page.setInputFiles("input[type=file]", expected.file);
  await page.waitForFunction(() => document.querySelector("#status")?.textContent?.includes("opened"));
  await page.close();
});

test("a browser without SIMD is told in words", async () => {
  const page = await context.newPage();
  await page.addInitScript(() => (WebAssembly.validate = () => false));
  await page.goto(URL);
  await page.waitForFunction(() => document.querySelector("#alert")?.textContent?.includes("no WebAssembly SIMD"));
  await page.close();
});
