// Before the page is painted: dark or light, if a person has chosen.
"use strict";
(() => {
  const scheme = localStorage.getItem("scheme");
  if (scheme === "dark" || scheme === "light") document.documentElement.dataset.theme = scheme;
})();
