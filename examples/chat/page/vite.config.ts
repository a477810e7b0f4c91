import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const server = "http://127.0.0.1:8080";

export default defineConfig({
  base: "./",
  plugins: [react()],
  build: { target: "es2023", chunkSizeWarningLimit: 1000 },
  // `npm exec vite` shows changes at once; `python3 dev.py chat` serves the API that it passes requests on to.
  server: { proxy: { "/session": server, "/chat": server, "/conversations": server } },
});
