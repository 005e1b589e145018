// What the pages add for those who have scripts: fresh data, keys, copying, dark or light. Without it links and forms work.
"use strict";
(() => {
  const STALE_SECONDS = 30;
  const PAGES = { o: "/", d: "/delegations", c: "/callees", f: "/failures", p: "/plumbing" };
  const root = document.documentElement;
  let freshAt = performance.now();
  let awaitsPage = false;

  const scheme = localStorage.getItem("scheme");
  if (scheme === "dark" || scheme === "light") root.dataset.theme = scheme;

  function toggleScheme() {
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    localStorage.setItem("scheme", root.dataset.theme);
  }

  function showAge() {
    const banner = document.getElementById("stale");
    if (!banner || !document.querySelector("[data-fresh]")) return;
    const seconds = Math.round((performance.now() - freshAt) / 1000);
    banner.hidden = seconds < STALE_SECONDS;
    if (!banner.hidden) document.getElementById("stale-age").textContent = `${seconds} s`;
  }

  function showCopyButtons() {
    if (navigator.clipboard) document.querySelectorAll(".copy").forEach((button) => (button.hidden = false));
  }

  function move(step) {
    const rows = [...document.querySelectorAll(".rows tbody tr")];
    if (!rows.length) return;
    const here = rows.indexOf(document.activeElement.closest("tr"));
    rows[Math.min(Math.max(here + step, 0), rows.length - 1)].focus();
  }

  function pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea, dialog")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (awaitsPage) {
      awaitsPage = false;
      if (PAGES[event.key]) location.assign(PAGES[event.key]);
      return;
    }
    const find = document.getElementById("find");
    if (event.key === "/" && find) find.focus();
    else if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "g") awaitsPage = true;
    else if (event.key === "?") document.getElementById("keys")?.showModal();
    else if (event.key === "Enter" && event.target.matches(".rows tr")) {
      const link = event.target.querySelector('a[href^="/delegation?"]');
      if (link) location.assign(link.href);
      return;
    } else return;
    event.preventDefault();
  }

  async function clicked(event) {
    if (event.target.closest("#scheme")) toggleScheme();
    const button = event.target.closest(".copy");
    if (!button) return;
    await navigator.clipboard.writeText(button.previousElementSibling.textContent);
    button.textContent = "copied";
    setTimeout(() => (button.textContent = "copy"), 1500);
  }

  document.addEventListener("keydown", pressed);
  document.addEventListener("click", clicked);
  document.addEventListener("htmx:afterSwap", () => {
    freshAt = performance.now();
    showAge();
    showCopyButtons();
  });
  // A session that ended answers with the page of the token: go there.
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (new URL(event.detail.xhr.responseURL).pathname === "/login") location.reload();
  });
  setInterval(showAge, 1000);
  showCopyButtons();
})();
