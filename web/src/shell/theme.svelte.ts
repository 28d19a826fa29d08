/** The pages' theme: the system's until the reader chooses; remembered beside the language. */
export type Theme = "auto" | "light" | "dark";

const STORAGE_KEY = "andon.theme";
const ORDER: readonly Theme[] = ["auto", "light", "dark"];

function remembered(): Theme {
  try {
    const kept = localStorage.getItem(STORAGE_KEY);
    return ORDER.find((theme) => theme === kept) ?? "auto";
  } catch {
    return "auto";
  }
}

const current = $state({ theme: remembered() });

export function theme(): Theme {
  return current.theme;
}

export function nextTheme(): void {
  const next = ORDER[(ORDER.indexOf(current.theme) + 1) % ORDER.length] ?? "auto";
  current.theme = next;
  if (next === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem(STORAGE_KEY, next);
  } catch {
    // Without storage the choice holds until the page is left.
  }
}
