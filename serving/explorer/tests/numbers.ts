// What tf_ccvae computes: see make_numbers.py.

import stored from "./numbers.json";

import { readSidecar } from "../src/sidecar";

export const numbers = stored;
export const model = readSidecar(stored.sidecar);
export const withNumber = readSidecar(stored.number.sidecar);
export const withGrade = readSidecar(stored.grade.sidecar);

/** A copy of ccvae.json with grades that may be broken. */
export function gradeSidecar(): Record<string, any> {
  return structuredClone(stored.grade.sidecar);
}

/** A copy of ccvae.json with a number label that may be broken. */
export function numberSidecar(): Record<string, any> {
  return structuredClone(stored.number.sidecar);
}

/** A copy of ccvae.json that may be broken. */
export function sidecar(): Record<string, any> {
  return structuredClone(stored.sidecar);
}
