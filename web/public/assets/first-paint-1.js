// Runs before the first paint, so that a chosen theme or language does not flash in late. A file of
// its own, since the Content-Security-Policy allows no inline script. The number is its version.
(function () {
  try {
    var theme = localStorage.getItem("andon.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
    var lang = localStorage.getItem("andon.lang") || navigator.language || "en";
    document.documentElement.lang = lang.slice(0, 2) === "ja" ? "ja" : "en";
  } catch {
    // No storage: the browser's own theme and language hold.
  }
})();
