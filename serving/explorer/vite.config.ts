import { defineConfig } from "vitest/config";

// Everything is a file of its own, under relative addresses: the content security policy allows no inline code, and
// the page works in any folder of any static host.
export default defineConfig({
  base: "./",
  build: { target: "es2022", assetsInlineLimit: 0, modulePreload: false, chunkSizeWarningLimit: 1000 },
  test: { testTimeout: 180_000, hookTimeout: 180_000 },
});
