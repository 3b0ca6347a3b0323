// ccvae.json: what the page knows about a model. Read with suspicion, since anyone may have written it.

export const FORMATS: readonly unknown[] = [1, 2, 3]; // of ccvae.json: classes alone, with numbers, with grades
const LARGEST_SIDE = 4096;
const MOST_LATENTS = 65536;

/** Something that keeps the page from working; the message is for people. */
export class ExplorerError extends Error {}

export type Layout = "nhwc" | "nchw";

export interface ImageShape {
  readonly height: number;
  readonly width: number;
  readonly channels: 1 | 3;
  readonly layout: Layout;
}

interface AnyLabel {
  readonly name: string;
  readonly first: number; // of its latents,
  readonly end: number; // and one past the last
}

/**
 * A label whose values can be listed; tables have a row per value and a column per latent. The values of a grade stand
 * in order, and kernel and bias are those of the logits of q(y >= value | z).
 */
export interface ListedLabel extends AnyLabel {
  readonly kind: "binary" | "categorical";
  readonly values: readonly string[];
  readonly ordered: boolean;
  readonly frequency: readonly number[];
  readonly loc: readonly (readonly number[])[];
  readonly scale: readonly (readonly number[])[];
  readonly kernel: readonly (readonly number[])[];
  readonly bias: readonly number[];
}

/**
 * A label that is a number. With t = (value - mean) / deviation, q(t | z) = N(kernel . z + bias, spread^2), and for each
 * latent p(z | t) = N(slope t + intercept, scale^2); to set t to t + 1 each latent moves by `transport`.
 */
export interface NumberLabel extends AnyLabel {
  readonly kind: "number";
  readonly mean: number;
  readonly deviation: number;
  readonly low: number; // the smallest training value,
  readonly high: number; // and the largest
  readonly slope: readonly number[];
  readonly intercept: readonly number[];
  readonly scale: readonly number[];
  readonly transport: readonly number[];
  readonly kernel: readonly number[];
  readonly bias: number;
  readonly spread: number;
}

export type Label = ListedLabel | NumberLabel;

/** The values of a label that can be listed; none for a number. */
export function valuesIn(label: Label): readonly string[] {
  return label.kind === "number" ? [] : label.values;
}

/** Two values that exclude each other: label, value, other label, other value. */
export type Exclusion = readonly [number, number, number, number];

/** The label that changes the picture of a face most, by the mean absolute difference of its pixels. */
export interface Visible {
  readonly label: number;
  readonly change: number;
}

export interface Sidecar {
  readonly name: string;
  readonly image: ImageShape;
  readonly latents: number;
  readonly characteristic: number;
  readonly labels: readonly Label[];
  readonly incompatible: readonly Exclusion[];
  readonly encoder: string;
  readonly decoder: string;
  readonly visible: readonly Visible[]; // of each face of the gallery; empty in exports that do not say it
}

/**
 * Checks the content of ccvae.json.
 *
 * @throws ExplorerError that says which field is wrong.
 */
export function readSidecar(content: unknown): Sidecar {
  const root = object(content, "the file");
  if (!FORMATS.includes(root["format"])) {
    throw new ExplorerError(
      `ccvae.json has schema version ${JSON.stringify(root["format"]) ?? "(none)"}, and this page reads ${FORMATS.join(", ")}: ` +
        "export the model again, or use the explorer of the tf_ccvae that exported it.",
    );
  }
  const latents = whole(root["latents"], "latents", 1, MOST_LATENTS);
  const labels = list(root["labels"], "labels").map((item, index) => readLabel(item, `labels[${index}]`));
  const characteristic = labels.reduce((end, label) => {
    if (label.first !== end) throw wrong(`labels: ${label.name}: latents`, `[${end}, ...]`);
    return label.end;
  }, 0);
  if (characteristic > latents) throw wrong("latents", `at least ${characteristic}`);
  const files = object(root["files"], "files");
  return {
    name: text(object(root["run"], "run")["name"], "run.name"),
    image: readImage(root["image"]),
    latents,
    characteristic,
    labels,
    incompatible: list(root["incompatible"], "incompatible").map((item, i) =>
      readExclusion(item, labels, `incompatible[${i}]`),
    ),
    encoder: readFile(files, "onnx/encoder"),
    decoder: readFile(files, "onnx/decoder"),
    visible: list(root["visible"] ?? [], "visible").map((item, i) => readVisible(item, labels.length, `visible[${i}]`)),
  };
}

function readImage(content: unknown): ImageShape {
  const image = object(content, "image");
  const { channels, layout } = image;
  if (channels !== 1 && channels !== 3) throw wrong("image.channels", "1 or 3");
  if (layout !== "nhwc" && layout !== "nchw") throw wrong("image.layout", "nhwc or nchw");
  return {
    height: whole(image["height"], "image.height", 1, LARGEST_SIDE),
    width: whole(image["width"], "image.width", 1, LARGEST_SIDE),
    channels,
    layout,
  };
}

function readLabel(content: unknown, path: string): Label {
  const label = object(content, path);
  const { kind } = label;
  const latents = numbers(label["latents"], `${path}.latents`, 2);
  const first = whole(latents[0], `${path}.latents[0]`, 0, MOST_LATENTS);
  const end = whole(latents[1], `${path}.latents[1]`, first + 1, MOST_LATENTS);
  if (kind === "number") return readNumber(label, path, first, end);
  if (kind !== "binary" && kind !== "categorical") throw wrong(`${path}.kind`, "binary, categorical or number");
  const values = list(label["values"], `${path}.values`).map((x, i) => text(x, `${path}.values[${i}]`));
  if (values.length < 2) throw wrong(`${path}.values`, "at least two");
  const ordered = label["ordered"] ?? false;
  if (typeof ordered !== "boolean") throw wrong(`${path}.ordered`, "true or false");
  const prior = object(label["prior"], `${path}.prior`);
  const classifier = object(label["classifier"], `${path}.classifier`);
  const scale = table(prior["scale"], `${path}.prior.scale`, values.length, end - first);
  if (scale.some((row) => row.some((x) => x <= 0))) throw wrong(`${path}.prior.scale`, "positive");
  const bias = numbers(classifier["bias"], `${path}.classifier.bias`, values.length);
  if (ordered && bias.some((x, value) => value > 1 && x >= (bias[value - 1] ?? x))) {
    throw wrong(`${path}.classifier.bias`, "smaller from value to value");
  }
  return {
    name: text(label["name"], `${path}.name`),
    kind,
    values,
    ordered,
    first,
    end,
    frequency: numbers(label["frequency"], `${path}.frequency`, values.length),
    loc: table(prior["loc"], `${path}.prior.loc`, values.length, end - first),
    scale,
    kernel: table(classifier["kernel"], `${path}.classifier.kernel`, values.length, end - first),
    bias,
  };
}

function readNumber(label: Record<string, unknown>, path: string, first: number, end: number): NumberLabel {
  const units = object(label["scale"], `${path}.scale`);
  const prior = object(label["prior"], `${path}.prior`);
  const classifier = object(label["classifier"], `${path}.classifier`);
  const row = (from: Record<string, unknown>, of: string, name: string): readonly number[] =>
    numbers(from[name], `${path}.${of}.${name}`, end - first);
  const [mean, low, high] = ["mean", "low", "high"].map((x) => finite(units[x], `${path}.scale.${x}`)) as [number, number, number];
  const scale = row(prior, "prior", "scale");
  if (scale.some((x) => x <= 0)) throw wrong(`${path}.prior.scale`, "positive");
  if (low > high) throw wrong(`${path}.scale.high`, "at least scale.low");
  return {
    name: text(label["name"], `${path}.name`),
    kind: "number",
    first,
    end,
    mean,
    deviation: positive(units["deviation"], `${path}.scale.deviation`),
    low,
    high,
    slope: row(prior, "prior", "slope"),
    intercept: row(prior, "prior", "intercept"),
    scale,
    transport: numbers(label["transport"], `${path}.transport`, end - first),
    kernel: row(classifier, "classifier", "slope"),
    bias: finite(classifier["intercept"], `${path}.classifier.intercept`),
    spread: positive(classifier["scale"], `${path}.classifier.scale`),
  };
}

function readExclusion(content: unknown, labels: readonly Label[], path: string): Exclusion {
  const [label, value, other, otherValue] = numbers(content, path, 4) as [number, number, number, number];
  const has = (place: number, index: number): boolean => {
    const found = labels[place];
    return found !== undefined && valuesIn(found)[index] !== undefined;
  };
  if (!has(label, value) || !has(other, otherValue)) {
    throw wrong(path, "values that the labels have");
  }
  return [label, value, other, otherValue];
}

function readVisible(content: unknown, labels: number, path: string): Visible {
  const { label, change } = object(content, path);
  if (typeof change !== "number" || !Number.isFinite(change)) throw wrong(`${path}.change`, "a number");
  return { label: whole(label, `${path}.label`, 0, labels - 1), change };
}

/** A path below the export's folder, and nothing that leads elsewhere. */
function readFile(files: Record<string, unknown>, name: string): string {
  const path = files[name];
  if (path === undefined) {
    throw new ExplorerError(`The export has no ${name}: export the run again with --formats onnx.`);
  }
  const parts = text(path, `files["${name}"]`).split("/");
  if (!parts.every((x) => /^[\w][\w.-]*$/.test(x))) throw wrong(`files["${name}"]`, "a path inside the export");
  return parts.join("/");
}

function wrong(path: string, wanted: string): ExplorerError {
  return new ExplorerError(`ccvae.json is damaged: ${path} should be ${wanted}. Export the model again.`);
}

function object(content: unknown, path: string): Record<string, unknown> {
  if (typeof content !== "object" || content === null || Array.isArray(content)) throw wrong(path, "an object");
  return content as Record<string, unknown>;
}

function list(content: unknown, path: string): readonly unknown[] {
  if (!Array.isArray(content)) throw wrong(path, "a list");
  return content;
}

function text(content: unknown, path: string): string {
  if (typeof content !== "string") throw wrong(path, "text");
  return content;
}

function whole(content: unknown, path: string, least: number, most: number): number {
  if (!Number.isInteger(content) || (content as number) < least || (content as number) > most) {
    throw wrong(path, `a whole number from ${least} to ${most}`);
  }
  return content as number;
}

function finite(content: unknown, path: string): number {
  if (!Number.isFinite(content)) throw wrong(path, "a number");
  return content as number;
}

function positive(content: unknown, path: string): number {
  const number = finite(content, path);
  if (number <= 0) throw wrong(path, "positive");
  return number;
}

function numbers(content: unknown, path: string, length: number): readonly number[] {
  const items = list(content, path);
  if (items.length !== length || !items.every((x) => Number.isFinite(x))) throw wrong(path, `${length} numbers`);
  return items as number[];
}

function table(content: unknown, path: string, rows: number, columns: number): readonly (readonly number[])[] {
  const items = list(content, path);
  if (items.length !== rows) throw wrong(path, `${rows} rows`);
  return items.map((row, i) => numbers(row, `${path}[${i}]`, columns));
}
