// The filter's little language as the pages need it: cut into terms, so that a facet can switch
// its own term on and off. What a term means is the server's business alone.

export interface Term {
  negated: boolean;
  /** Empty for a free word. */
  key: string;
  value: string;
}

const TERM = /(-?)(?:([a-z_]+):)?(?:"((?:[^"\\]|\\.)*)"|(\S+))/gy;

export function parseTerms(q: string): Term[] {
  const terms: Term[] = [];
  const text = q.trim();
  TERM.lastIndex = 0;
  while (TERM.lastIndex < text.length) {
    if (/\s/.test(text[TERM.lastIndex] ?? "")) {
      TERM.lastIndex += 1;
      continue;
    }
    const match = TERM.exec(text);
    // A lone sign such as «-» or «model:» is nothing yet; keep it, so that typing isn't lost.
    if (!match) {
      terms.push({ negated: false, key: "", value: text.slice(TERM.lastIndex) });
      break;
    }
    const quoted = match[3]?.replace(/\\(.)/g, "$1");
    terms.push({ negated: match[1] === "-", key: match[2] ?? "", value: quoted ?? match[4] ?? "" });
  }
  return terms;
}

function formatTerm(term: Term): string {
  const bare = /^[^\s"\\]+$/.test(term.value);
  const value = bare ? term.value : `"${term.value.replace(/["\\]/g, "\\$&")}"`;
  return `${term.negated ? "-" : ""}${term.key ? `${term.key}:` : ""}${value}`;
}

export function formatTerms(terms: Term[]): string {
  return terms.map(formatTerm).join(" ");
}

export function hasTerm(q: string, key: string, value: string): boolean {
  return parseTerms(q).some((term) => !term.negated && term.key === key && term.value === value);
}

/** Switches `key:value` on or off. Another value of the same key gives way: a trace has one. */
export function toggleTerm(q: string, key: string, value: string): string {
  const others = parseTerms(q).filter((term) => term.negated || term.key !== key);
  return formatTerms(hasTerm(q, key, value) ? others : [...others, { negated: false, key, value }]);
}
