/**
 * Two pages from one build: the chat at `/` and the dashboard at `/andon/`. The server embeds what
 * lands in `dist/`; it answers every path below `/andon/` with the dashboard's page, and so does
 * the development server here.
 */
import { fileURLToPath } from "node:url";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import type { Connect, Plugin } from "vite";
import { defineConfig } from "vitest/config";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** Serves the dashboard's page for its client-side routes. */
function dashboardRoutes(): Plugin {
  const rewrite: Connect.NextHandleFunction = (request, _response, next) => {
    const pathname = (request.url ?? "").split("?")[0] ?? "";
    const isPage = pathname.startsWith("/andon") && !pathname.includes(".");
    if (isPage) request.url = "/andon/index.html";
    next();
  };
  return {
    name: "andon-dashboard-routes",
    configureServer: (server) => void server.middlewares.use(rewrite),
    configurePreviewServer: (server) => void server.middlewares.use(rewrite),
  };
}

const gateway = process.env.ANDON_DEV_SERVER ?? "http://127.0.0.1:3000";
const proxy = { "/api": gateway, "/chat": gateway, "/granite": gateway };

export default defineConfig({
  plugins: [svelte(), dashboardRoutes()],
  base: "/",
  appType: "mpa",
  server: { host: "127.0.0.1", proxy },
  preview: { host: "127.0.0.1", proxy },
  build: {
    target: "es2022",
    rolldownOptions: { input: { chat: path("index.html"), dashboard: path("andon/index.html") } },
    // An inline preload helper script would need a laxer Content-Security-Policy.
    modulePreload: { polyfill: false },
  },
  resolve: process.env.VITEST ? { conditions: ["browser"] } : {},
  test: {
    environment: "node",
    include: ["src/**/*.test.ts"],
    restoreMocks: true,
    // The contrast test reads the real colours.
    css: true,
  },
});
