// Ties the model to what is shown: faces chosen, latents changed, pictures decoded as fast as they change.

import type { Loaded } from "./loading";
import { at, type Latents, priorAt } from "./mathematics";
import { facesTried, mostVisible, type Opening, saidByExport } from "./opening";
import { readPicture } from "./picture";
import type { Pixels } from "./pixels";
import { ExplorerError, type Sidecar } from "./sidecar";
import { type Address, fromAddress, initialState, type State, Store, type Subject, toAddress } from "./state";

const MEASURED = 60; // pictures that the speed is taken over
const ADDRESS_DELAY = 250; // milliseconds; browsers limit how often an address may change

type Paint = (picture: Pixels, rate: number) => void;

export class Explorer {
  readonly model: Sidecar;
  readonly gallery: readonly Pixels[];
  private readonly times: number[] = [];
  private readonly encoded = new Map<number, Promise<Subject>>(); // faces of the gallery
  private waiting: Latents | null = null; // what is to be decoded next
  private working: Promise<void> | null = null;
  private paint: Paint = () => undefined;
  private timer = 0;
  private shown: Pixels | null = null;

  private constructor(
    private readonly loaded: Loaded,
    readonly store: Store,
    private readonly report: (error: unknown) => void,
  ) {
    this.model = loaded.model;
    this.gallery = loaded.gallery;
    store.listen((state, before) => {
      if (state.latents !== before.latents) this.decodeSoon();
      this.noteAddress();
    });
  }

  /**
   * The explorer in the state that an address says.
   *
   * @param report called when decoding fails.
   */
  static async open(loaded: Loaded, address: string, report: (error: unknown) => void): Promise<Explorer> {
    const said = fromAddress(address, loaded.model, loaded.gallery.length);
    const explorer = new Explorer(loaded, new Store(initialState(loaded.model, averageFace(loaded.model))), report);
    explorer.store.replace(await explorer.stateOf(said));
    return explorer;
  }

  /** Goes where an address says, as a step that can be undone. */
  async goTo(address: string): Promise<void> {
    if (address.replace(/^#/, "") === toAddress(this.store.state)) return;
    this.store.set(await this.stateOf(fromAddress(address, this.model, this.gallery.length)));
  }

  private async stateOf(said: Address): Promise<State> {
    const opening = said.base || said.gallery !== undefined ? { face: said.gallery ?? 0, label: 0 } : await this.opening();
    const subject = await this.subjectOf(said, opening.face);
    const state = initialState(this.model, subject, said.rest.first ?? opening.label);
    return { ...state, ...said.rest, latents: moved(subject, said) };
  }

  /** The face and the label that an address without a face leads to. */
  private async opening(): Promise<Opening> {
    const said = saidByExport(this.model, this.gallery.length);
    if (said) return said;
    const tried = facesTried(this.model, this.gallery.length);
    const faces = await Promise.all(Array.from({ length: tried }, (_, i) => this.galleryFace(i)));
    return mostVisible(this.model, faces.map((x) => x.latents), (latents) => this.decode(latents));
  }

  private subjectOf(said: Address, face: number): Promise<Subject> | Subject {
    if (said.base) return made("shared face", said.base);
    return this.gallery.length ? this.galleryFace(face) : averageFace(this.model);
  }

  // Faces -------------------------------------------------------------------------------------------------------------

  /** A face of the gallery; it is encoded once. */
  galleryFace(index: number): Promise<Subject> {
    const known = this.encoded.get(index);
    if (known) return known;
    const subject = this.encode(at(this.gallery, index), `face ${index + 1} of the gallery`, index);
    this.encoded.set(index, subject);
    return subject;
  }

  async choose(index: number): Promise<void> {
    this.start(await this.galleryFace(index));
  }

  /** @throws ExplorerError if the file is no picture. */
  async openFile(file: File): Promise<void> {
    this.start(await this.encode(await readPicture(file, this.model.image), file.name, null));
  }

  /** Works on latents that were swapped or generated. */
  adopt(title: string, latents: Latents): void {
    this.start(made(title, latents), "edit");
  }

  private start(subject: Subject, view = this.store.state.view): void {
    this.store.set({ subject, latents: subject.latents, view });
  }

  private async encode(picture: Pixels, title: string, gallery: number | null): Promise<Subject> {
    const { latents, probabilities, numbers } = await this.loaded.networks.encode(picture);
    return { title, gallery, picture, latents, probabilities, numbers };
  }

  // Pictures ----------------------------------------------------------------------------------------------------------

  decode(latents: readonly Latents[]): Promise<Pixels[]> {
    return this.loaded.networks.decode(latents);
  }

  /** Calls back with each picture of the current latents, and how many a second there are. */
  show(paint: Paint): void {
    this.paint = paint;
    this.decodeSoon();
  }

  /** The picture that is shown, and what it was decoded from. */
  get picture(): Pixels | null {
    return this.shown;
  }

  /** Only the newest latents are decoded when there are newer ones before the last picture is ready. */
  private decodeSoon(): void {
    this.waiting = this.store.state.latents;
    this.working ??= this.decodeWaiting().finally(() => (this.working = null));
  }

  private async decodeWaiting(): Promise<void> {
    try {
      while (this.waiting !== null) {
        const latents = this.waiting;
        this.waiting = null;
        const started = performance.now();
        this.shown = at(await this.decode([latents]), 0);
        this.paint(this.shown, this.rate);
        this.times.push(performance.now() - started);
        if (this.times.length > MEASURED) this.times.shift();
      }
    } catch (error) {
      this.report(error);
    }
  }

  /** Pictures per second, by the mean time to decode and draw the last ones. */
  get rate(): number {
    const total = this.times.reduce((a, b) => a + b, 0);
    return total > 0 ? (1000 * this.times.length) / total : 0;
  }

  /** Decodes the current face some times, so that there is a rate before the first slider moves. */
  async measure(pictures = 20): Promise<void> {
    await this.working;
    this.times.length = 0; // the first picture takes longer than all that follow
    for (let i = 0; i <= pictures; i++) {
      this.decodeSoon();
      await this.working;
    }
  }

  private noteAddress(): void {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => {
      history.replaceState(null, "", `#${toAddress(this.store.state)}`);
    }, ADDRESS_DELAY);
  }
}

function made(title: string, latents: Latents): Subject {
  return { title, gallery: null, picture: null, latents, probabilities: null, numbers: null };
}

/** Where a page without a gallery starts: all latents in the middle. */
function averageFace(model: Sidecar): Subject {
  const latents = new Array<number>(model.latents).fill(0);
  for (const label of model.labels) {
    for (let i = label.first; i < label.end; i++) {
      const place = i - label.first;
      latents[i] =
        label.kind === "number"
          ? priorAt(label, label.mean, place).loc
          : label.frequency.reduce((sum, p, value) => sum + p * priorAt(label, value, place).loc, 0);
    }
  }
  return made("average face", latents);
}

function moved(subject: Subject, said: Address): Latents {
  return said.moved.size ? subject.latents.map((x, i) => said.moved.get(i) ?? x) : subject.latents;
}

/** A sentence for people about anything that was thrown. */
export function sentence(error: unknown): string {
  if (error instanceof ExplorerError) return error.message;
  return `Something went wrong: ${error instanceof Error ? error.message : String(error)}`;
}
