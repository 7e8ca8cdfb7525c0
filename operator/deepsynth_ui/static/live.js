// Keeps a page current: when the server reports a change, the page is read again, and each element with data-live that
// differs is replaced. What the user does meanwhile stays: focus, open details, chosen boxes, the place in a log.
"use strict";

const state = document.getElementById("live-state");
let source = null;
let isReading = false;
let isBehind = false;
const shown = new Map();

function show(text) {
  state.textContent = text ? `, ${text}` : "";
}

function describe(element) {
  if (!element || element === document.body) return null;
  if (element.id) return `#${CSS.escape(element.id)}`;
  for (const name of ["href", "value"]) {
    const value = element.getAttribute(name);
    if (value) return `${element.localName}[${name}="${CSS.escape(value)}"]`;
  }
  return null;
}

function replace(old, fresh) {
  const focus = old.contains(document.activeElement) ? describe(document.activeElement) : null;
  const open = [...old.querySelectorAll("details")].map((item) => item.open);
  const chosen = new Set([...old.querySelectorAll("input:checked")].map((item) => item.value));
  const places = [old, ...old.querySelectorAll(".scroll")].map((item) => [item.scrollLeft, item.scrollTop]);
  const isAtEnd = old.scrollTop + old.clientHeight >= old.scrollHeight - 4;
  old.replaceChildren(...document.adoptNode(fresh).childNodes);
  old.querySelectorAll("details").forEach((item, index) => { item.open = open[index] ?? false; });
  old.querySelectorAll("input[type=checkbox]").forEach((item) => { item.checked = chosen.has(item.value); });
  [old, ...old.querySelectorAll(".scroll")].forEach((item, index) => {
    if (places[index]) [item.scrollLeft, item.scrollTop] = places[index];
  });
  if (isAtEnd) old.scrollTop = old.scrollHeight;
  if (focus) (old.matches(focus) ? old : old.querySelector(focus))?.focus({ preventScroll: true });
}

async function refresh() {
  if (isReading) {
    isBehind = true;
    return;
  }
  isReading = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    const text = await answer.text();
    if (answer.ok) {
      const fresh = new DOMParser().parseFromString(text, "text/html");
      document.body.dataset.version = fresh.body.dataset.version;
      for (const part of document.querySelectorAll("[data-live][id]")) {
        const other = fresh.getElementById(part.id);
        if (other && other.innerHTML !== shown.get(part.id)) {
          shown.set(part.id, other.innerHTML);
          replace(part, other);
        }
      }
      show("live");
    } else {
      show(`not current: ${answer.status} ${answer.statusText}`);
    }
  } catch {
    show("not current: no answer");
  }
  isReading = false;
  if (isBehind) {
    isBehind = false;
    setTimeout(refresh, 1000);
  }
}

function connect() {
  if (source || document.hidden) return;
  source = new EventSource(`${document.body.dataset.changes}&since=${document.body.dataset.version}`);
  source.onopen = () => show("live");
  source.onmessage = refresh;
  source.onerror = () => show("not current: connecting again");
}

function disconnect() {
  source?.close();
  source = null;
}

// A browser keeps few connections to a server: a page that nobody looks at gives its own back.
document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));
addEventListener("pagehide", disconnect);
addEventListener("pageshow", connect);
addEventListener("keydown", (event) => {
  const search = document.querySelector("input[type=search]");
  if (event.key === "/" && search && !event.target.closest("input, select, textarea")) {
    event.preventDefault();
    search.focus();
  }
});
for (const part of document.querySelectorAll("[data-live][id]")) shown.set(part.id, part.innerHTML);
for (const log of document.querySelectorAll("pre.log")) log.scrollTop = log.scrollHeight;
connect();
