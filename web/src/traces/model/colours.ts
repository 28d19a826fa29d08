// Which colour a service has: the four that every chat passes through have their own, the same on
// every page; others share the rest by their name, so that a service keeps its colour.

const OWN: Record<string, string> = {
  gateway: "var(--svc-1)",
  proxy: "var(--svc-2)",
  runtime: "var(--svc-4)",
  ollama: "var(--svc-4)",
  "llama-server": "var(--svc-4)",
  browser: "var(--svc-5)",
};
const SHARED = [
  "var(--svc-3)",
  "var(--svc-6)",
  "color-mix(in srgb, var(--svc-3) 50%, var(--svc-5))",
  "color-mix(in srgb, var(--svc-6) 55%, var(--svc-2))",
];

export function serviceColour(service: string): string {
  const own = OWN[service];
  if (own) return own;
  let hash = 0;
  for (const character of service) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) >>> 0;
  return SHARED[hash % SHARED.length] ?? "var(--svc-3)";
}
