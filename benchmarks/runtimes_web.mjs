// Times one ONNX file in onnxruntime-web under Node; see benchmarks/runtimes.py. Prints seconds of each call as JSON.
import { readFileSync, writeFileSync } from "node:fs";
import * as ort from "onnxruntime-web";

const task = JSON.parse(process.argv[2]);
ort.env.wasm.numThreads = 1;
const bytes = readFileSync(task.data);
const values = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
const inputs = { [task.input]: new ort.Tensor("float32", values, task.shape) };
const session = await ort.InferenceSession.create(readFileSync(task.model));
for (let i = 0; i < 3; i++) await session.run(inputs);
const times = [];
let results;
for (const start = performance.now(); performance.now() - start < 1000 * task.seconds;) {
  const before = performance.now();
  results = await session.run(inputs);
  times.push((performance.now() - before) / 1000);
}
for (const [name, { data }] of Object.entries(results)) {
  writeFileSync(`${task.output}.${name}`, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}
console.log(JSON.stringify(times));
