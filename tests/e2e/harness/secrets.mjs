// Looking for texts where they may not be: in answers of the API, in every byte of a folder, and in
// what a folder says when it is asked.
import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { environment } from "./andon.mjs";
import { BINARY } from "./paths.mjs";

/** Pieces of this length betray a text. */
const PIECE = 6;

/**
 * Pieces of secrets behind the characters that may be kept of each, as `[name, piece]`. What stands
 * in the kept beginning of another secret, too, betrays nothing.
 */
function betrayals(secrets, keptCharacters) {
  const kept = Object.values(secrets).map((text) => [...text].slice(0, keptCharacters).join(""));
  const pieces = [];
  for (const [name, text] of Object.entries(secrets)) {
    const hidden = [...text].slice(keptCharacters);
    for (let at = 0; at + PIECE <= hidden.length; at += 1) {
      const piece = hidden.slice(at, at + PIECE).join("");
      if (!kept.some((beginning) => beginning.includes(piece))) pieces.push([name, piece]);
    }
  }
  return pieces;
}

/** A text as it is, as JSON escapes it, as an address does, and in the units of other languages. */
function forms(text) {
  const escaped = [...text].map(
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return [
    Buffer.from(text),
    Buffer.from(escaped.join("")),
    Buffer.from(encodeURIComponent(text)),
    Buffer.from(text, "utf16le"),
  ];
}

/** Each text in a value of JSON by its place, as `spans.0.attributes.note`; names, too. */
export function leaves(json, place = "") {
  if (json === null || typeof json !== "object") return [[place, `${json}`]];
  const entries = Object.entries(json);
  const names = Array.isArray(json)
    ? []
    : [[`${place} (names)`, entries.map(([name]) => name).join(" ")]];
  const below = entries.flatMap(([name, value]) =>
    leaves(value, place ? `${place}.${name}` : name),
  );
  return [...names, ...below];
}

/** Where which secrets stand in these bytes, by name: `["question in FILE: …excerpt…"]`. */
export function found(secrets, keptCharacters, things) {
  const pieces = betrayals(secrets, keptCharacters).map(([name, piece]) => [name, forms(piece)]);
  const places = [];
  for (const [where, what] of Object.entries(things)) {
    const bytes = Buffer.from(what);
    const seen = new Set();
    for (const [name, all] of pieces) {
      const form = seen.has(name) ? undefined : all.find((form) => bytes.includes(form));
      if (!form) continue;
      seen.add(name);
      const at = bytes.indexOf(form);
      const excerpt = bytes.subarray(Math.max(0, at - 120), at + 60).toString("utf8");
      places.push(`${name} in ${where}: …${excerpt}…`);
    }
  }
  return places;
}

/** What all tables that hold texts say, which may be packed in the files. */
export async function told(folder) {
  const said = {};
  for (const table of ["spans", "contents", "evaluations"]) {
    const args = ["query", `select * from ${table}`, "--format=json"];
    const options = { cwd: folder, env: environment(), maxBuffer: 1 << 28 };
    const asked = await promisify(execFile)(
      BINARY,
      [...args, `--data=${path.join(folder, "data")}`],
      options,
    );
    said[`table ${table}`] = asked.stdout;
  }
  return said;
}
