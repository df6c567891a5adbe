// Runs before the first paint, so that a remembered theme does not flash. Classic script: modules run too late.
(function () {
  try {
    var theme = localStorage.getItem("nautilus.theme");
    if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
  } catch (error) {
    console.info("preferences are not stored in this browser:", error.name);
  }
})();
