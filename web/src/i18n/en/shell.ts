export const shell = {
  brand: "Andon",
  skip: "Skip to content",
  navigation: "Pages",
  chat: "Chat",
  overview: "Overview",
  traces: "Traces",
  runtimes: "Runtimes",
  language: "Language: English. Switch to Japanese",
  otherLanguage: "日本語",
  theme: {
    auto: "Theme: as the system",
    light: "Theme: light",
    dark: "Theme: dark",
  },
  copy: "Copy",
  copied: "Copied",
  copyFailed: "Not copied",
};
