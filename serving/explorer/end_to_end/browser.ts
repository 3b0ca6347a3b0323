// A real browser on a real export. The environment says where: EXPLORER_URL, the server; EXPLORER_EXPECTED, what Python
// computes; CHROMIUM, the browser; SCREENSHOTS, a folder for pictures of the page, if they are wanted.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";

export const URL = process.env["EXPLORER_URL"] ?? "";
const FLAGS = [
  ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
  ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
  "--process-per-site", // so that WebAssembly is compiled once for all pages
];

/** How a page is shown, where it is not on a large screen by day. */
export interface Shown {
  readonly viewport?: { readonly width: number; readonly height: number };
  readonly colorScheme?: "light" | "dark";
}

/** What Python computes for the first face of the gallery. */
export interface Expected {
  readonly labels: readonly string[];
  readonly latents: readonly number[];
  readonly probabilities: readonly (readonly number[])[];
  readonly reconstruction: readonly number[];
  readonly edited: readonly number[]; // the first label flipped
  readonly flipped: number; // to which value
  readonly swapped: readonly number[]; // the first label from the second face
  readonly number?: ExpectedNumber; // if there is a label that is a number
  readonly file: string; // a picture, much larger
  readonly small: readonly number[]; // the same picture as data.folder reads it
}

/** What Python computes for the first label that is a number. */
export interface ExpectedNumber {
  readonly label: number;
  readonly value: number; // that it is set to
  readonly first: readonly [number, number]; // mean and deviation of q(y | x) of the face
  readonly read: number; // of the face in which it is set
  readonly edited: readonly number[];
}

export const expected = JSON.parse(readFileSync(process.env["EXPLORER_EXPECTED"] ?? "", "utf8")) as Expected;

/** A browser with one page, which stays open: what is compiled for it is there for the pages of the tests. */
export async function launch(): Promise<{ browser: Browser; context: BrowserContext }> {
  const browser = await chromium.launch({ executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args: FLAGS });
  const context = await browser.newContext();
  await open(context);
  return { browser, context };
}

/** A fresh page, and every request that it made. */
export async function open(
  context: BrowserContext,
  address = "",
  { viewport, colorScheme }: Shown = {},
): Promise<{ page: Page; requests: string[] }> {
  const page = await context.newPage();
  if (viewport) await page.setViewportSize(viewport);
  if (colorScheme) await page.emulateMedia({ colorScheme });
  const requests: string[] = [];
  page.on("request", (request) => requests.push(`${request.method()} ${request.url()}`));
  await page.goto(URL + address);
  await page.waitForSelector("body[data-ready]");
  return { page, requests };
}

/** The numbers of the picture that is shown, once it was decoded from the current latents. */
export async function shownPicture(page: Page): Promise<number[]> {
  return page.evaluate(async () => {
    const explorer = (globalThis as any).explorer;
    await explorer.measure(1);
    return [...explorer.picture.values] as number[];
  });
}

export async function latentsOf(page: Page): Promise<number[]> {
  return page.evaluate(() => [...(globalThis as any).explorer.store.state.latents] as number[]);
}

/** The bytes of a canvas. */
export async function canvas(page: Page, name: string): Promise<string> {
  return page.locator(`canvas[data-picture="${name}"]`).evaluate((x) => (x as HTMLCanvasElement).toDataURL());
}

export function largestError(actual: readonly number[], wanted: readonly number[]): number {
  if (actual.length !== wanted.length) return Infinity;
  return Math.max(...actual.map((x, i) => Math.abs(x - (wanted[i] ?? NaN))));
}

export async function screenshot(page: Page, name: string): Promise<void> {
  const folder = process.env["SCREENSHOTS"];
  if (folder) await page.screenshot({ path: join(folder, `explorer-${name}.png`) });
}
