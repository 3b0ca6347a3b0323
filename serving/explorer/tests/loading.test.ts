import { expect, test } from "vitest";

import { isPage } from "../src/loading";
import { moved } from "../src/views/gallery";

test.each([
  ["text/html; charset=utf-8", "", true],
  ["application/octet-stream", "<!DOCTYPE html><html></html>", true],
  ["application/json", "\n <!-- not here -->\n<html>", true],
  ["application/json", '{"format": 1}', false],
  ["application/octet-stream", "\u0008\u0009onnx", false],
  ["image/png", "\u0089PNG", false],
])("an answer of type %s that begins with %j is a page: %j", async (type, body, wanted) => {
  expect(await isPage(new Response(body, { headers: { "Content-Type": type } }))).toBe(wanted);
});

test.each([
  ["ArrowRight", 5, 6],
  ["ArrowLeft", 0, 0],
  ["ArrowDown", 5, 9],
  ["ArrowUp", 5, 1],
  ["ArrowDown", 8, 8],
  ["Home", 5, 0],
  ["End", 5, 9],
  ["Enter", 5, null],
])("%s leads from face %i of 10 in rows of 4 to %j", (key, now, wanted) => {
  expect(moved(key, now, 10, 4)).toBe(wanted);
});
