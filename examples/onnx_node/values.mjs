// Which value of a label a text means, as `Label.meant` of tf_ccvae/labels.py says.

const WORDS = { off: 0, no: 0, false: 0, 0: 0, on: 1, yes: 1, true: 1, 1: 1 };
const NUMBER = /^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$/;

// What the user can mend, as one line.
export class Mistake extends Error {}

// The value of a label of ccvae.json: an index, or the number in the units of a number label.
export function meaning(text, label) {
  if (label.kind !== "number") return indexOfValue(text, label);
  const number = NUMBER.test(text.trim()) ? Number(text) : NaN;
  if (Number.isFinite(number)) return number;
  const { low, high } = label.scale;
  throw new Mistake(`${label.name}=${text}: is not a number; training values were ${low} to ${high}`);
}

// The index of a value of a label of ccvae.json: its name exactly, else the only name that is equal without regard to
// case, else for a binary label one of WORDS. For another label digits are an index, if no name is a number.
export function indexOfValue(text, label) {
  const { name, kind, values } = label;
  if (values.includes(text)) return values.indexOf(text);
  const lower = text.toLowerCase();
  const alike = values.map((_, i) => i).filter((i) => values[i].toLowerCase() === lower);
  if (alike.length === 1) return alike[0];
  if (kind === "binary" && Object.hasOwn(WORDS, lower)) return WORDS[lower];
  const numbered = kind === "binary" || values.some((value) => NUMBER.test(value));
  if (!numbered && /^[0-9]+$/.test(text) && Number(text) < values.length) return Number(text);
  throw new Mistake(`${name}=${text}: no such value; there are ${values.join(", ")}`);
}

// Position of the label and the text of the value in "Smiling=on": of the longest name of a label that has the value,
// since names may hold "=" themselves; position -1 if there is no such label.
function parted(setting, labels) {
  const known = [];
  for (let at = setting.lastIndexOf("="); at > 0; at = setting.lastIndexOf("=", at - 1)) {
    const index = labels.findIndex((label) => label.name === setting.slice(0, at));
    if (index >= 0) known.push([index, setting.slice(at + 1)]);
  }
  const has = ([index, text]) => {
    try {
      meaning(text, labels[index]);
      return true;
    } catch {
      return false;
    }
  };
  return known.find(has) ?? known[0] ?? [-1, ""];
}

// Values of all labels, and which of them are asked for, from ["Smiling=on"]; floats if a label is a number.
export function asked(settings, labels) {
  const values = new (labels.some((x) => x.kind === "number") ? Float32Array : Int32Array)(labels.length);
  const mask = new Uint8Array(labels.length);
  for (const setting of settings) {
    const [index, text] = parted(setting, labels);
    if (index < 0) throw new Mistake(`${setting}: write LABEL=VALUE with a label of ${labels.map((x) => x.name).join(", ")}`);
    if (mask[index]) throw new Mistake(`${setting}: ${labels[index].name} is given twice`);
    values[index] = meaning(text, labels[index]);
    mask[index] = 1;
  }
  return { values, mask };
}
