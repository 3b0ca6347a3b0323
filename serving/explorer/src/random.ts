// Draws that repeat themselves for an equal seed, so that a shared address shows the same faces.

const STEP = 0x9e3779b9; // 2^32 divided by the golden ratio

/** Uniform numbers in [0, 1): a counter in steps that visit every 32-bit number, each hashed. */
export function uniforms(seed: number): () => number {
  let counter = hashed(seed >>> 0);
  return () => {
    counter = (counter + STEP) >>> 0;
    return hashed(counter) / 2 ** 32;
  };
}

/** Every bit of the result depends on every bit of a 32-bit number, and no two numbers share a result. */
function hashed(number: number): number {
  let bits = Math.imul(number ^ (number >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

/** Standard normal numbers, two at a time by the polar form of Box and Muller. */
export function normals(uniform: () => number, count: number): number[] {
  const numbers: number[] = [];
  while (numbers.length < count) {
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    numbers.push(radius * Math.cos(angle), radius * Math.sin(angle));
  }
  return numbers.slice(0, count);
}
