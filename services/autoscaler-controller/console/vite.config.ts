import { defineConfig } from "vite";

// The build is embedded in the controller, and committed: it has to be the same wherever it is made.
export default defineConfig({
  base: "./", // the path differs behind the proxy of the Kubernetes API server
  build: {
    target: "es2022",
    outDir: "dist",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0, // the policy of the page allows nothing inline
    reportCompressedSize: false,
  },
});
