// What the pages add for those who have scripts: fresh data, keys, copying, dark or light. Without it links and forms work.
"use strict";
(() => {
  const STALE_SECONDS = 30;
  const PAGES = { o: "/", d: "/delegations", c: "/callees", r: "/callees?role=caller", f: "/failures", p: "/plumbing" };
  const root = document.documentElement;
  const content = () => document.getElementById("content");
  const dataTime = () => document.querySelector("[data-fresh] time")?.dateTime;
  let fresh = { at: performance.now(), of: dataTime() };
  let trouble = "";
  let awaitsPage = false;

  // A refresh leaves what a person has opened or filled in, and buttons that are shown already.
  Object.assign(Idiomorph.defaults.callbacks, {
    beforeNodeMorphed: (node) => !(node instanceof Element && node.matches(".filter")),
    beforeAttributeUpdated: (name, node) => !(name === "open" || (name === "hidden" && node.matches(".copy"))),
  });

  function toggleScheme() {
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    localStorage.setItem("scheme", root.dataset.theme);
  }

  function span(seconds) {
    if (seconds < 120) return `${seconds} s`;
    return seconds < 7200 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`;
  }

  // The age of the data, not of the page: an answer with the same data makes nothing fresh.
  function showAge() {
    const banner = document.getElementById("stale");
    if (!banner || !fresh.of) return;
    const seconds = Math.floor((performance.now() - fresh.at) / 10000) * 10; // in steps: a screen reader reads each
    const refreshes = content().hasAttribute("hx-get");
    const isStale = seconds >= STALE_SECONDS || trouble !== "";
    const text = refreshes
      ? `What you see is ${span(seconds)} old. ${trouble || "The dashboard does not answer."}`
      : `What you see is ${span(seconds)} old. Load the page again for what is true now.`;
    banner.hidden = !isStale;
    banner.classList.toggle("aged", !refreshes);
    root.classList.toggle("is-stale", isStale && refreshes);
    if (isStale && banner.textContent !== text) banner.textContent = text;
  }

  function refreshed() {
    if (dataTime() !== fresh.of) fresh = { at: performance.now(), of: dataTime() };
    trouble = "";
    showAge();
    showButtons();
  }

  function sentence(answer) {
    try {
      const { error } = JSON.parse(answer);
      return `${error[0].toUpperCase()}${error.slice(1)}${/[.?!]$/.test(error) ? "" : "."}`;
    } catch {
      return "The dashboard failed.";
    }
  }

  // The answer to a script is the sentence alone. Old data with this sentence is worth more than the sentence.
  function failed(event) {
    const { xhr } = event.detail;
    if (xhr.status === 401) return location.reload(); // the session has ended: the guard asks for the token
    trouble = sentence(xhr.responseText);
    showAge();
  }

  function showButtons() {
    document.querySelectorAll("#scheme, #show-keys").forEach((button) => (button.hidden = false));
    if (navigator.clipboard) document.querySelectorAll(".copy").forEach((button) => (button.hidden = false));
  }

  function move(step) {
    const rows = [...document.querySelectorAll(".rows tbody tr")];
    if (!rows.length) return;
    const here = rows.indexOf(document.activeElement.closest("tr"));
    rows[Math.min(Math.max(here + step, 0), rows.length - 1)].focus();
  }

  function open(row) {
    const link = row.querySelector('a[href^="/delegation?"]') || row.querySelector("td a[href]");
    if (link) location.assign(link.href);
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
    else if (event.key === "Enter" && event.target.matches(".rows tr")) open(event.target);
    else return;
    event.preventDefault();
  }

  async function copy(button) {
    await navigator.clipboard.writeText(button.previousElementSibling.textContent);
    button.textContent = "copied";
    setTimeout(() => (button.textContent = "copy"), 1500);
  }

  function clicked(event) {
    if (event.target.closest("#scheme")) toggleScheme();
    if (event.target.closest("#show-keys")) document.getElementById("keys").showModal();
    const button = event.target.closest(".copy");
    if (button) copy(button);
  }

  document.addEventListener("keydown", pressed);
  document.addEventListener("click", clicked);
  document.addEventListener("htmx:afterSettle", refreshed);
  document.addEventListener("htmx:responseError", failed);
  // A page that nobody sees asks for nothing.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden) event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && content().hasAttribute("hx-get")) htmx.trigger(content(), "seen");
  });
  setInterval(showAge, 1000);
  showButtons();
})();
