// Everything around the rows: light and dark, contents, copying, keys.

document.documentElement.dataset.script = "";

/** Light, dark, or as the system says; kept where the browser lets a file keep anything. */
function startTheme() {
  const root = document.documentElement;
  const kept = () => { try { return localStorage.getItem("loralift-theme"); } catch { return null; } };
  const dark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const name = () => { byId("theme").textContent = dark() ? "☀ Light" : "☾ Dark"; };
  if (["light", "dark"].includes(kept())) root.dataset.theme = kept();
  name();
  byId("theme").addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem("loralift-theme", root.dataset.theme); } catch { /* a file may keep nothing */ }
    name();
  });
}

/** Mark in the contents where the reader is. */
function startContents() {
  const links = new Map([...document.querySelectorAll(".contents a")].map((link) => [link.hash.slice(1), link]));
  const seen = new Set();
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) entry.isIntersecting ? seen.add(entry.target.id) : seen.delete(entry.target.id);
    const current = [...links.keys()].find((id) => seen.has(id));
    for (const [id, link] of links) id === current ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current");
    // On a phone the contents are one line that scrolls.
    if (current) links.get(current).closest("ol").scrollLeft = links.get(current).offsetLeft - 60;
  }, { rootMargin: "-20% 0px -70% 0px" });
  for (const id of links.keys()) watch.observe(byId(id));
}

function startCopying() {
  byId("copy")?.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(byId("command").textContent);
      byId("copied").textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(byId("command"));
      byId("copied").textContent = "Selected: press Ctrl+C";
    }
  });
}

/** A point of a scatter chart opens its row, or says that the page has no room for it. */
function startPoints(list) {
  document.addEventListener("click", (event) => {
    const point = event.target.closest?.('[aria-roledescription="point"]');
    const chart = point?.closest('.chart[data-name^="scatter-"]');
    if (chart) list.openFor(point.getAttribute("aria-label"), chart.dataset.adapter);
  });
}

function startKeys(list) {
  const actions = { j: () => list.step(1), k: () => list.step(-1), "/": () => byId("q").focus(), "?": () => byId("keys").showModal() };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea, dialog");
    if (event.key === "Escape" && event.target === byId("q")) byId("q").blur();
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !byId("letters").checked) return;
    if (Object.hasOwn(actions, event.key)) {
      event.preventDefault();
      actions[event.key]();
    }
  });
  byId("help").addEventListener("click", actions["?"]);
  byId("close").addEventListener("click", () => byId("keys").close());
}

/** Paper cannot be unfolded. */
function startPrinting() {
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const each of folded) each.open = true;
  });
  addEventListener("afterprint", () => { for (const each of folded) each.open = false; });
}

/** A link into a folded table unfolds it, whether it is clicked, followed or opened with. */
function startUnfolding() {
  const unfold = (hash) => {
    const target = /^#of-[0-9-]+$/.test(hash) ? byId(hash.slice(1)) : null;
    const folded = target?.closest("details:not([open])");
    if (folded) folded.open = true;
    return target;
  };
  const arrive = () => unfold(location.hash)?.scrollIntoView({ block: "center", behavior: "instant" });
  // Before the browser goes there: it does not go to what is folded.
  document.addEventListener("click", (event) => unfold(event.target.closest?.("a")?.hash ?? ""));
  addEventListener("hashchange", arrive);
  arrive();
}

startTheme();
startContents();
startCopying();
startPrinting();
startUnfolding();
try {
  const data = await unpack();
  // First shown, then filled: a link to a row scrolls to it, and nothing scrolls to what is hidden.
  byId("telling").hidden = data.rows.length > 0;
  byId("explorer").hidden = data.rows.length === 0;
  const list = startRows(data);
  startPoints(list);
  startKeys(list);
  performance.mark("rows-shown");
} catch (error) {
  byId("telling").hidden = false;
  byId("explorer").hidden = true;
  byId("telling-note").textContent = `This browser cannot unpack the rows (${error.name}); a few that tell the most:`;
}
