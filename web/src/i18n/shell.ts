import { shell as en } from "./en/shell";
import { shell as ja } from "./ja/shell";
import { area } from "./language.svelte";

export const shellText = area(en, ja);
