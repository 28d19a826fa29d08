/**
 * The pages' language: the browser's until the reader chooses one, which is then remembered.
 *
 * Texts are typed objects, one file per area and language; the Japanese one has the English one's
 * type, so a missing sentence does not compile.
 */
export type Language = "en" | "ja";

const STORAGE_KEY = "andon.lang";

export function languageOf(tag: string | null | undefined): Language {
  return tag?.toLowerCase().startsWith("ja") ? "ja" : "en";
}

function chosen(): string | null {
  try {
    return localStorage.getItem(STORAGE_KEY);
  } catch {
    return null;
  }
}

const current = $state({ language: languageOf(chosen() ?? globalThis.navigator?.language) });

export function language(): Language {
  return current.language;
}

export function setLanguage(chosen: Language): void {
  current.language = chosen;
  document.documentElement.lang = chosen;
  try {
    localStorage.setItem(STORAGE_KEY, chosen);
  } catch {
    // Without storage the choice holds until the page is left.
  }
}

/** The server's configured language: it holds until the reader chooses one. */
export function suggestLanguage(suggested: Language | null): void {
  if (suggested === null || chosen() !== null) return;
  current.language = suggested;
  document.documentElement.lang = suggested;
}

/** An area's texts in the current language: `const t = area(en, ja)`, then `t().send` in markup. */
export function area<Texts>(en: Texts, ja: Texts): () => Texts {
  return () => (current.language === "ja" ? ja : en);
}
