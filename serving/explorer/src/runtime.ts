// The two networks, run by onnxruntime in WebAssembly, in the page.

import { env, InferenceSession, Tensor } from "onnxruntime-web/wasm";
import WASM from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";

import type { Latents, Prediction } from "./mathematics";
import { fromLayout, type Pixels, toLayout } from "./pixels";
import { ExplorerError, type Sidecar, valuesIn } from "./sidecar";

export { WASM };

const BATCH = 16; // pictures that are decoded at once

/**
 * What the encoder says of a picture: latents at the posterior mean, q(y = v | x) of each label and value, and of each
 * label that is a number q(y | x); null for the others.
 */
export interface Encoded {
  readonly latents: number[];
  readonly probabilities: readonly (readonly number[])[];
  readonly numbers: readonly (Prediction | null)[];
}

export interface Networks {
  encode(picture: Pixels): Promise<Encoded>;
  decode(latents: readonly Latents[]): Promise<Pixels[]>;
}

/** A WebAssembly module with one SIMD instruction; browsers without SIMD find it invalid. */
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11];

/** @throws ExplorerError if the browser cannot run the networks. */
export function checkBrowser(): void {
  if (typeof WebAssembly !== "object" || !WebAssembly.validate(Uint8Array.from(SIMD))) {
    throw new ExplorerError(
      "This browser has no WebAssembly SIMD, which the networks need. Any Chrome or Edge since 91, Firefox since 89 " +
        "or Safari since 16.4 has it; it may be switched off.",
    );
  }
}

/**
 * @param encoder, decoder the ONNX files.
 * @param engine the file at WASM, which runs them.
 * @throws ExplorerError that names the one that is damaged.
 */
export async function startNetworks(
  encoder: ArrayBuffer,
  decoder: ArrayBuffer,
  engine: ArrayBuffer,
  model: Sidecar,
): Promise<Networks> {
  env.wasm.wasmBinary = engine;
  env.wasm.numThreads = 1; // more need headers that not every static host can send, and gain little at this size
  const coder = await start(encoder, model.encoder, engine);
  const painter = await start(decoder, model.decoder, engine);
  return new WasmNetworks(coder, painter, model);
}

async function start(file: ArrayBuffer, name: string, engine: ArrayBuffer): Promise<InferenceSession> {
  try {
    return await InferenceSession.create(file, { executionProviders: ["wasm"], logSeverityLevel: 3 });
  } catch (error) {
    if (!WebAssembly.validate(engine)) {
      throw new ExplorerError(`${WASM} cannot be loaded: it is damaged, or no WebAssembly. Put it on the host again.`);
    }
    const reason = error instanceof Error ? error.message : String(error);
    throw new ExplorerError(`${name} cannot be loaded: it is damaged, or no ONNX file (${reason}).`);
  }
}

class WasmNetworks implements Networks {
  private turn: Promise<unknown> = Promise.resolve(); // a session does one thing at a time

  constructor(
    private readonly encoder: InferenceSession,
    private readonly decoder: InferenceSession,
    private readonly model: Sidecar,
  ) {}

  async encode(picture: Pixels): Promise<Encoded> {
    const { height, width, channels, layout } = this.model.image;
    const shape = layout === "nhwc" ? [1, height, width, channels] : [1, channels, height, width];
    const image = new Tensor("float32", toLayout(picture, layout), shape);
    const { loc, probabilities, numbers: predicted } = await this.run(this.encoder, { image });
    const table = numbers(probabilities, "probabilities");
    const depth = this.model.labels.length && table.length / this.model.labels.length;
    return {
      latents: Array.from(numbers(loc, "loc")),
      probabilities: this.model.labels.map((label, i) =>
        Array.from(table.subarray(i * depth, i * depth + valuesIn(label).length)),
      ),
      numbers: this.predictions(predicted),
    };
  }

  private predictions(output: InferenceSession.OnnxValueMapType[string] | undefined): (Prediction | null)[] {
    let place = 0;
    return this.model.labels.map((label) => {
      if (label.kind !== "number") return null;
      const [mean, deviation] = numbers(output, "numbers").subarray(place, (place += 2));
      return { mean: mean ?? NaN, deviation: deviation ?? NaN };
    });
  }

  async decode(latents: readonly Latents[]): Promise<Pixels[]> {
    const pictures: Pixels[] = [];
    for (let first = 0; first < latents.length; first += BATCH) {
      const part = latents.slice(first, first + BATCH);
      const input = new Tensor("float32", Float32Array.from(part.flat()), [part.length, this.model.latents]);
      const { image } = await this.run(this.decoder, { latents: input });
      pictures.push(...fromLayout(numbers(image, "image"), this.model.image));
    }
    return pictures;
  }

  private run(session: InferenceSession, feeds: Record<string, Tensor>): Promise<InferenceSession.OnnxValueMapType> {
    const result = this.turn.then(() => session.run(feeds));
    this.turn = result.catch(() => undefined);
    return result;
  }
}

function numbers(output: InferenceSession.OnnxValueMapType[string] | undefined, name: string): Float32Array {
  if (output === undefined || !(output.data instanceof Float32Array)) {
    throw new ExplorerError(`The model has no output ${name} of float32; export it again.`);
  }
  return output.data;
}
