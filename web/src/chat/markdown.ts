/**
 * Markdown of an answer as blocks of tokens. No HTML string is ever made: components turn tokens
 * into elements, so nothing a model writes can become markup, and unknown tokens show as text.
 *
 * While an answer streams only its end changes. All blocks but the last are kept as they are (the
 * very same objects, so nothing is drawn again), and only the last is read anew. What reaches
 * further (link definitions below their use) is caught by reading everything once at the end.
 */
import { Lexer, type Token } from "marked";

export interface Block {
  /** Where it starts in the text: stable while the text grows, so it is its key. */
  offset: number;
  token: Token;
}

const OPTIONS = { gfm: true, breaks: true };

/** Deeper nesting than this is shown as plain text: no answer needs it, and it costs the stack. */
export const MAX_DEPTH = 12;

function lex(text: string, offset: number): Block[] {
  const blocks: Block[] = [];
  for (const token of new Lexer(OPTIONS).lex(text)) {
    if (token.type !== "space" && token.type !== "def") blocks.push({ offset, token });
    offset += token.raw.length;
  }
  return blocks;
}

export class BlockReader {
  #text = "";
  #blocks: Block[] = [];

  read(text: string, finished: boolean): Block[] {
    if (text === this.#text && !finished) return this.#blocks;
    // The lexer rewrites line ends and tabs, so that its lengths fit the text only after this.
    const clean = text.replace(/\r\n?/gu, "\n");
    this.#blocks =
      finished || !clean.startsWith(this.#text) ? lex(clean, 0) : this.#continued(clean);
    this.#text = clean;
    return this.#blocks;
  }

  #continued(text: string): Block[] {
    const last = this.#blocks.at(-1);
    if (!last) return lex(text, 0);
    return [...this.#blocks.slice(0, -1), ...lex(text.slice(last.offset), last.offset)];
  }
}

const SAFE_SCHEMES = new Set(["http:", "https:", "mailto:"]);

/** A link's address if it is safe to follow, else null. Only absolute ones: answers have no base. */
export function safeLink(href: string): string | null {
  try {
    const url = new URL(href);
    return SAFE_SCHEMES.has(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

const NAMED: Record<string, string> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  nbsp: "\u00A0",
  copy: "©",
  reg: "®",
  hellip: "…",
  mdash: "—",
  ndash: "–",
  times: "×",
  rarr: "→",
  larr: "←",
};

/** Entities in plain text (`&amp;`, `&#8594;`), which the lexer leaves to HTML. */
export function plain(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(/&(#x[0-9a-f]{1,6}|#\d{1,7}|[a-z]{2,8});/giu, (whole, name: string) => {
    if (!name.startsWith("#")) return NAMED[name.toLowerCase()] ?? whole;
    const hex = name[1] === "x" || name[1] === "X";
    const code = Number.parseInt(name.slice(hex ? 2 : 1), hex ? 16 : 10);
    const valid = code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
    return valid ? String.fromCodePoint(code) : "\uFFFD";
  });
}

/** `<br>` is the one tag that models write into tables and mean it. */
export function isLineBreak(html: string): boolean {
  return /^<br\s*\/?>$/iu.test(html.trim());
}
