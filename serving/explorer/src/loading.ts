// Fetches the model and the gallery that lie beside the page. Nothing else is ever fetched.

import { readGallery } from "./picture";
import type { Pixels } from "./pixels";
import { checkBrowser, type Networks, startNetworks, WASM } from "./runtime";
import { ExplorerError, readSidecar, type Sidecar } from "./sidecar";

const FOLDER = "model/"; // the export, beside the page
const GALLERY = "gallery.png";

export interface Loaded {
  readonly model: Sidecar;
  readonly networks: Networks;
  readonly gallery: readonly Pixels[];
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
    network(model.encoder),
    network(model.decoder),
    program(),
  ]);
  progress("Starting the networks…");
  const networks = await startNetworks(encoder, decoder, engine, model);
  return { model, networks, gallery: await pictures(model) };
}

async function description(): Promise<unknown> {
  const answer = await got(`${FOLDER}ccvae.json`);
  if (answer === null) {
    throw new ExplorerError(
      "There is no model beside this page. Open the page by python -m serving explore EXPORT, or put the export's " +
        `files into the folder ${FOLDER} beside index.html.`,
    );
  }
  try {
    return await answer.json();
  } catch {
    throw new ExplorerError("ccvae.json is damaged: it is no JSON. Export the model again.");
  }
}

async function network(path: string): Promise<ArrayBuffer> {
  const answer = await got(FOLDER + path);
  if (answer === null) {
    throw new ExplorerError(
      `${FOLDER}${path} is missing beside this page, or the host answers a page in its place: put all files of the ` +
        "folder that python -m serving explore EXPORT --to FOLDER writes on the host.",
    );
  }
  return answer.arrayBuffer();
}

/** The program that runs the networks. */
async function program(): Promise<ArrayBuffer> {
  const answer = await got(WASM);
  if (answer === null) throw new ExplorerError(`${WASM} is missing: put all files of the page on the host.`);
  return answer.arrayBuffer();
}

/** No gallery is no error: pictures can be dropped. */
async function pictures(model: Sidecar): Promise<Pixels[]> {
  const answer = await got(GALLERY);
  return answer === null ? [] : readGallery(await answer.blob(), model.image);
}

/** Whether it is a web page, which some hosts answer in place of a file that they do not have. */
export async function isPage(answer: Response): Promise<boolean> {
  if (/^(text\/html|application\/xhtml)/i.test(answer.headers.get("Content-Type") ?? "")) return true;
  const start = new TextDecoder().decode((await answer.clone().arrayBuffer()).slice(0, 200));
  return /^\s*(<!--[^]*?-->\s*)?<(!doctype html|html|head|body)/i.test(start);
}

/** What is at an address; null if nothing is. */
async function got(address: string): Promise<Response | null> {
  try {
    const answer = await fetch(address);
    return answer.ok && !(await isPage(answer)) ? answer : null;
  } catch {
    throw new ExplorerError(`${address} cannot be fetched: the server is away. Start it again and reload the page.`);
  }
}
