// Fetches the model and the gallery that lie beside the page. Nothing else is ever fetched.

import { readGallery } from "./picture";
import type { Pixels } from "./pixels";
import { checkBrowser, type Networks, startNetworks, WASM } from "./runtime";
import { ExplorerError, readSidecar, type Sidecar } from "./sidecar";

const FOLDER = "model/"; // the export, beside the page
const GALLERY = "gallery.png";
const PAGE = "is not there, and the host answers a page in its place";
const UPLOAD = "put all files of the folder that python -m serving explore EXPORT --to FOLDER writes on the host.";

export interface Loaded {
  readonly model: Sidecar;
  readonly networks: Networks;
  readonly gallery: readonly Pixels[]; // empty if there is none
  readonly trouble: unknown; // why a gallery that is there cannot be shown; null if nothing is wrong
}

/**
 * @param progress called with what is being loaded.
 * @throws ExplorerError that says what is missing or damaged, and what to do.
 */
export async function load(progress: (what: string) => void): Promise<Loaded> {
  checkBrowser();
  progress("Loading the model…");
  const model = readSidecar(await description());
  const [encoder, decoder, engine] = await Promise.all([
    needed(FOLDER + model.encoder),
    needed(FOLDER + model.decoder),
    needed(WASM),
  ]);
  progress("Starting the networks…");
  const networks = await startNetworks(encoder, decoder, engine, model);
  return { model, networks, ...(await pictures(model)) };
}

async function description(): Promise<unknown> {
  const path = `${FOLDER}ccvae.json`;
  const answer = await got(path);
  if (answer === null || (await isPage(answer))) {
    throw new ExplorerError(
      `There is no model beside this page: ${path} ${answer ? PAGE : "is missing"}. Open the page by python -m serving ` +
        `explore EXPORT, or ${UPLOAD}`,
    );
  }
  try {
    return await answer.json();
  } catch {
    throw new ExplorerError("ccvae.json is damaged: it is no JSON. Export the model again.");
  }
}

/** A file that the page cannot do without. */
async function needed(path: string): Promise<ArrayBuffer> {
  const answer = await got(path);
  if (answer !== null && !(await isPage(answer))) return answer.arrayBuffer();
  throw new ExplorerError(`${path} ${answer ? PAGE : "is missing"}: ${UPLOAD}`);
}

/** Without a gallery the page works: pictures can be dropped. */
async function pictures(model: Sidecar): Promise<Pick<Loaded, "gallery" | "trouble">> {
  try {
    const answer = await got(GALLERY);
    if (answer !== null && (await isPage(answer))) throw new ExplorerError(`${GALLERY} ${PAGE}: ${UPLOAD}`);
    return { gallery: answer === null ? [] : await readGallery(await answer.blob(), model.image), trouble: null };
  } catch (trouble) {
    return { gallery: [], trouble };
  }
}

/** Whether it is a web page, which some hosts answer in place of a file that they do not have. */
export async function isPage(answer: Response): Promise<boolean> {
  if (/^(text\/html|application\/xhtml)/i.test(answer.headers.get("Content-Type") ?? "")) return true;
  const start = new TextDecoder().decode((await answer.clone().arrayBuffer()).slice(0, 200));
  return /^\s*(<!--[^]*?-->\s*)?<(!doctype html|html|head|body)/i.test(start);
}

/** What is at an address; null if the host says that nothing is. */
async function got(address: string): Promise<Response | null> {
  try {
    const answer = await fetch(address);
    return answer.ok ? answer : null;
  } catch {
    throw new ExplorerError(`${address} cannot be fetched: the server is away. Start it again and reload the page.`);
  }
}
