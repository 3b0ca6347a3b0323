// Classifies a picture, sets labels in it and saves the result, with onnxruntime-web under Node.
//
//     npm install --ignore-scripts
//     node ccvae.mjs DIR PICTURE.png RESULT.png Smiling=on [Age=60.5 ...]
//
// DIR is an export with ONNX files. The edit is made twice: by set_labels.onnx, and by `transport` below, from the
// numbers in ccvae.json alone, as a web page would do it; the two must agree. Labels that are numbers are printed in
// their own units, with the interval that holds 90 % of q(y given x).
// A mistake ends in one line and exit code 2.
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as ort from "onnxruntime-web";
import { PNG } from "pngjs";
import { Mistake, asked } from "./values.mjs";

const FORMATS = [1, 2, 3]; // of ccvae.json that are read here
const WITHIN = 1.6448536; // standard deviations to either side of a normal's mean hold 90 % of it
ort.env.wasm.numThreads = 1;
const floats = (data, shape) => new ort.Tensor("float32", data, shape);

async function run(folder, name, inputs) {
  const session = await ort.InferenceSession.create(readFileSync(join(folder, "onnx", `${name}.onnx`)));
  return session.run(inputs);
}

// The most probable value of a label given the latents; the standardised one of a number label.
function valueOf(latents, label) {
  const own = latents.slice(...label.latents);
  if (label.kind === "number") {
    const { slope, intercept } = label.classifier;
    return slope.reduce((sum, weight, i) => sum + weight * own[i], intercept);
  }
  const logits = label.classifier.kernel.map((row, v) =>
    row.reduce((sum, weight, i) => sum + weight * own[i], label.classifier.bias[v]));
  const scores = label.ordered ? logOfGrades(logits) : logits;
  return scores.indexOf(Math.max(...scores));
}

// log q(y = v | z) of a grade, whose logits are those of y >= v: log(sigmoid(l_v) - sigmoid(l_{v+1})).
function logOfGrades(logits) {
  const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
  return logits.map((logit, v) => {
    const lower = v === 0 ? Infinity : logit;
    const upper = v + 1 < logits.length ? logits[v + 1] : -Infinity;
    return Math.log1p(-Math.exp(upper - lower)) - softplus(-lower) - softplus(upper);
  });
}

// A number in the label's units as the model works with it; in float32, as the graphs are.
function standardised(value, label) {
  return (value - Math.fround(label.scale.mean)) / Math.fround(label.scale.deviation);
}

// Asked labels as given; labels that these exclude take their most frequent value that none of them excludes.
function settle(current, values, mask, about) {
  const excluded = (label, value) => about.incompatible.some(([i, v, j, w]) =>
    mask[i] && values[i] === v && j === label && w === value);
  return about.labels.map((label, index) => {
    if (mask[index]) return label.kind === "number" ? standardised(values[index], label) : values[index];
    if (!excluded(index, current[index])) return current[index];
    const free = label.values.map((_, v) => v).filter((v) => !excluded(index, v));
    free.sort((a, b) => label.frequency[b] - label.frequency[a]);
    return free.length ? free[0] : current[index];
  });
}

// Moves each label that changes from p(z | current value) to p(z | new value), its quantile kept. A number
// label moves along the line of the means of p(z | y), until the new value is read.
function transport(latents, values, mask, about) {
  const moved = Float32Array.from(latents);
  const current = about.labels.map((label) => valueOf(latents, label));
  const wanted = settle(current, values, mask, about);
  about.labels.forEach((label, index) => {
    const [from, to] = [current[index], wanted[index]];
    if (from === to) return;
    const { loc, scale } = label.prior;
    for (let i = label.latents[0], k = 0; i < label.latents[1]; i++, k++) {
      if (label.kind === "number") moved[i] = latents[i] + label.transport[k] * (to - from);
      else moved[i] = loc[to][k] + (scale[to][k] * (latents[i] - loc[from][k])) / scale[from][k];
    }
  });
  return moved;
}

// Pixels between PNG's order (row, column, red green blue alpha) and the model's.
function offset(row, column, channel, image) {
  const { height, width, channels } = image;
  return image.layout === "nchw"
    ? (channel * height + row) * width + column
    : (row * width + column) * channels + channel;
}

function eachPixel(image, visit) {
  for (let row = 0; row < image.height; row++) {
    for (let column = 0; column < image.width; column++) {
      for (let channel = 0; channel < image.channels; channel++) {
        visit((row * image.width + column) * 4 + channel, offset(row, column, channel, image));
      }
    }
  }
}

function readPicture(path, image) {
  const content = readFileSync(path);
  let png;
  try {
    png = PNG.sync.read(content);
  } catch (error) {
    throw new Mistake(`${path}: not a PNG file, or damaged (${error.message})`);
  }
  if (png.width !== image.width || png.height !== image.height) {
    throw new Mistake(`${path}: is ${png.width}x${png.height}, the model's are ${image.width}x${image.height}`);
  }
  const pixels = new Float32Array(image.height * image.width * image.channels);
  eachPixel(image, (from, to) => { pixels[to] = png.data[from] / 255; });
  return pixels;
}

function writePicture(path, pixels, image) {
  const png = new PNG({ width: image.width, height: image.height });
  png.data.fill(255);
  eachPixel(image, (to, from) => {
    png.data[to] = Math.round(pixels[from] * 255);
    if (image.channels === 1) png.data[to + 1] = png.data[to + 2] = png.data[to];
  });
  const partial = `${path}.partial`;
  try {
    writeFileSync(partial, PNG.sync.write(png));
    renameSync(partial, path);
  } finally {
    rmSync(partial, { force: true });
  }
}

// What is predicted: probabilities by label and value, and of number labels mean, deviation and interval.
function predictions(encoded, labels) {
  const most = encoded.probabilities.dims[2];
  const said = { probabilities: {} };
  labels.forEach(({ name, kind, values }, i) => {
    if (kind !== "number") {
      said.probabilities[name] = Array.from(encoded.probabilities.data.slice(i * most, i * most + values.length));
      return;
    }
    const at = 2 * labels.slice(0, i).filter((x) => x.kind === "number").length;
    const [mean, deviation] = encoded.numbers.data.slice(at, at + 2);
    said.numbers ??= {};
    said.numbers[name] = { mean, deviation, interval: [mean - WITHIN * deviation, mean + WITHIN * deviation] };
  });
  return said;
}

async function main(folder, picture, result, ...settings) {
  if (!result) throw new Mistake("write node ccvae.mjs DIR PICTURE.png RESULT.png LABEL=VALUE ...");
  const about = JSON.parse(readFileSync(join(folder, "ccvae.json"), "utf8"));
  if (!FORMATS.includes(about.format)) {
    throw new Mistake(`${join(folder, "ccvae.json")}: has format ${about.format}; this program reads 1, 2 and 3`);
  }
  const { image, labels } = about;
  const shape = image.layout === "nchw"
    ? [1, image.channels, image.height, image.width]
    : [1, image.height, image.width, image.channels];
  const { values, mask } = asked(settings, labels);
  const encoded = await run(folder, "encoder", { image: floats(readPicture(picture, image), shape) });
  const edited = await run(folder, "set_labels", {
    latents: encoded.loc,
    labels: new ort.Tensor(values instanceof Float32Array ? "float32" : "int32", values, [1, labels.length]),
    mask: new ort.Tensor("bool", mask, [1, labels.length]),
  });
  const ours = transport(Array.from(encoded.loc.data), values, mask, about);
  const apart = Math.max(...ours.map((x, i) => Math.abs(x - edited.edited_latents.data[i])));
  if (apart > 1e-5) throw new Error(`transport and set_labels.onnx are ${apart} apart`);
  const decoded = await run(folder, "decoder", { latents: edited.edited_latents });
  writePicture(result, decoded.image.data, image);
  console.log(JSON.stringify({ loc: Array.from(encoded.loc.data), ...predictions(encoded, labels) }));
}

try {
  await main(...process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Mistake) && !error.syscall) throw error;
  console.error(`error: ${error instanceof Mistake ? error.message : `${error.path}: ${error.code}`}`);
  process.exitCode = 2;
}
