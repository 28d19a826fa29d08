import { chat as en } from "./en/chat";
import { chat as ja } from "./ja/chat";
import { area } from "./language.svelte";

export const chatText = area(en, ja);
