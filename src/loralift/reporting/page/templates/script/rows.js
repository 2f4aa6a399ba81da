// The list of rows: what is chosen, what is shown, and the link that says both.

const PAGE = 20;
const byId = (id) => document.getElementById(id);
// "asked" is there only where there are several protocols.
const CHOICES = ["adapter", "asked", "metric", "order", "result", "slice", "mode", "q"].filter(byId);
let linkTo = () => "#read";

/** Fill the controls, show the rows, and listen. */
function startRows(data) {
  const usual = { adapter: data.adapters[0] ?? data.base, asked: data.asked[0], metric: data.primary, order: "best", result: "", slice: "", mode: "", q: "" };
  let choice = { ...usual };
  let opened = "";
  let page = 0;
  let rows = [];
  let asked = usual.asked;

  linkTo = (id, chosen) => {
    const link = new URLSearchParams(id === "" ? {} : { row: id });
    for (const name of CHOICES) if (chosen[name] !== usual[name] || (name === "adapter" && id !== "")) link.set(name, chosen[name]);
    return `#${link}` === "#" ? "#read" : `#${link}`;
  };

  const ofAdapter = () => rowsOf(data, data.variants.indexOf(choice.adapter));

  function show({ keepPage = false } = {}) {
    if (choice.asked !== asked) askAs(data, asked = choice.asked);
    rows = chosenRows(data, choice);
    page = keepPage ? Math.min(page, Math.max(0, Math.ceil(rows.length / PAGE) - 1)) : 0;
    draw();
  }

  function draw() {
    const from = page * PAGE;
    const shown = rows.slice(from, from + PAGE);
    const none = make("p", { class: "lead" }, "Nothing fits. The rows are all still there: loosen a filter.");
    byId("rows").replaceChildren(...(shown.length ? shown.map((row) => rowElement(data, row, choice, row.id === opened, { toggle })) : [none]));
    const judged = data.adapters.length ? `, ${choice.adapter} against ${data.base}` : "";
    const under = asked === undefined ? "" : `, asked under ${asked}`;
    byId("count").textContent = `${rows.length.toLocaleString("en")} of ${ofAdapter().length.toLocaleString("en")} rows${judged}${under}`;
    byId("page").textContent = rows.length ? `${from + 1}–${from + shown.length} of ${rows.length}` : "0 of 0";
    byId("before").disabled = page === 0;
    byId("after").disabled = from + PAGE >= rows.length;
    byId("pages").hidden = rows.length <= PAGE;
  }

  function articleOf(id) {
    return [...byId("rows").children].find((article) => article.dataset.id === id);
  }

  /** Write the choice where a reader can copy it; without a new entry in the history for every letter typed. */
  function remember() {
    history.replaceState(null, "", linkTo(opened, choice));
  }

  function toggle(id) {
    const last = articleOf(opened);
    const before = opened;
    opened = opened === id ? "" : id;
    for (const [old, article] of [[before, last], [id, articleOf(id)]]) {
      if (article && old !== "") article.replaceWith(rowElement(data, data.byId.get(old), choice, old === opened, { toggle }));
    }
    articleOf(id)?.querySelector("button").focus({ preventScroll: true });
    remember();
  }

  /** Show one row opened, at its place; where the filters hide it, they give way. */
  function open(id) {
    if (!ofAdapter().some((row) => row.id === id)) {
      // Of no rows there is no list whose count could say it.
      const said = data.rows.length ? byId("count") : byId("telling-note");
      said.textContent = data.byId.has(id) ? `${choice.adapter} has no row ${id}.` : `Row ${id} is not on this page; every row is in answers.jsonl beside it.`;
      said.scrollIntoView({ block: "center", behavior: "instant" });
      return;
    }
    let at = rows.findIndex((row) => row.id === id);
    if (at < 0) {
      Object.assign(choice, { result: "", slice: "", mode: "", q: "" });
      fill();
      rows = chosenRows(data, choice);
      at = rows.findIndex((row) => row.id === id);
    }
    opened = id;
    page = Math.floor(at / PAGE);
    draw();
    remember();
    const article = articleOf(id);
    // At once: from a chart it is a long way down.
    article.scrollIntoView({ block: "start", behavior: "instant" });
    article.querySelector("button").focus({ preventScroll: true });
  }

  function step(by) {
    const at = rows.findIndex((row) => row.id === opened);
    const next = at < 0 ? rows[page * PAGE] : rows[at + by];
    if (next) open(next.id);
  }

  function fill() {
    for (const name of CHOICES) byId(name).value = choice[name];
  }

  function turn(by) {
    page += by;
    draw();
    byId("count").scrollIntoView({ block: "start", behavior: "instant" });
    byId("rows").querySelector("button")?.focus({ preventScroll: true });
  }

  /** Take what a link says; what it names and nobody knows stays as usual. */
  function follow() {
    const link = new URLSearchParams(location.hash.slice(1));
    if (!["row", ...CHOICES].some((name) => link.has(name))) return;
    const wanted = { ...usual };
    for (const name of CHOICES) {
      const known = name === "q" || [...byId(name).options].some((option) => option.value === link.get(name));
      if (link.has(name) && known) wanted[name] = link.get(name);
    }
    choice = wanted;
    opened = "";
    fill();
    show();
    if (link.has("row")) open(link.get("row"));
    else byId("read").scrollIntoView({ behavior: "instant" });
  }

  fillOptions(data);
  fill();
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  byId("controls").addEventListener("input", () => {
    for (const name of CHOICES) choice[name] = byId(name).value;
    show();
    remember();
  });
  byId("controls").addEventListener("reset", (event) => {
    event.preventDefault();
    choice = { ...usual, adapter: choice.adapter, asked: choice.asked };
    fill();
    show();
    remember();
  });
  byId("before").addEventListener("click", () => turn(-1));
  byId("after").addEventListener("click", () => turn(1));
  window.addEventListener("hashchange", follow);
  show();
  follow();

  return {
    step,
    /** Open a row of an adapter, or a question's first answer, from a chart, which shows the first protocol; say so where it is not here. */
    openFor(id, adapter) {
      if (data.adapters.includes(adapter)) choice.adapter = adapter;
      choice.asked = usual.asked;
      fill();
      show({ keepPage: true });
      open(data.firstOf.get(id) ?? id);
    },
  };
}

/** What the controls offer. */
function fillOptions(data) {
  const option = (value, text) => make("option", { value }, text);
  byId("adapter").append(...(data.adapters.length ? data.adapters : [data.base]).map((name) => option(name, name)));
  byId("metric").append(...data.metrics.map((metric) => option(metric.name, metric.name === data.primary ? `${metric.title} ★` : metric.title)));
  for (const [column, parts] of Object.entries(data.parts)) {
    byId("slice").append(make("optgroup", { label: column }, ...parts.map((part) => option(JSON.stringify([column, part]), part))));
  }
  if (byId("asked")) byId("asked").append(...data.asked.map((name) => option(name, name)));
  const modes = (of) => [...new Set(data.rows.flatMap((row) => row.ways.flatMap((way) => of(way.modes).flat())))].sort();
  for (const [who, label, found] of [["adapter", `of the ${data.called}`, modes((all) => all.slice(1))], ["base", "of the base", modes((all) => [all[0]])]]) {
    if (found.length) byId("mode").append(make("optgroup", { label }, ...found.map((mode) => option(JSON.stringify([who, mode]), mode))));
  }
}
