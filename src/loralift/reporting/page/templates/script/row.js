// One row: a line of the list, and opened everything that is known of it.

const PREVIEW = 420;
const LONG = 1500;
const UNMARKED = {
  long: "An answer has more than 60,000 words, so none is marked.",
  different: "Fewer than a fifth of the shorter answer's words are in the other, in their order, so none is marked.",
};
const OUTCOMES = { win: "▲ win", loss: "▼ loss", tie: "= tie", "": "not scored" };

/** The article of a row. `open`: show everything; `on.toggle(id)` is called when its question is clicked. */
function rowElement(data, row, choice, open, on) {
  const adapter = data.variants.indexOf(choice.adapter);
  const button = make("button", { type: "button", "aria-expanded": String(open) }, make("bdi", { dir: "auto" }, row.question || `row ${row.id}`));
  button.addEventListener("click", () => on.toggle(row.id));
  const article = make("article", { class: open ? "row open" : "row" }, make("h3", {}, button), metaElement(data, row, choice, adapter));
  article.dataset.id = row.id;
  const found = adapter > 0 ? row.marks[adapter - 1] : [[], []];
  const marks = typeof found === "string" ? [[], []] : found;
  const columns = data.references ? [["Reference", row.reference, [], "ins", null]] : [];
  if (data.answering[0]) columns.push([data.base, row.answers[0], marks[0], "del", row.thinking[0]]);
  if (adapter > 0 && data.answering[adapter]) columns.push([choice.adapter, row.answers[adapter], marks[1], "ins", row.thinking[adapter]]);
  article.append(make("div", { class: "answers" }, ...columns.map((column) => answerElement(...column, open))));
  if (open && found in UNMARKED) article.append(make("p", { class: "note" }, UNMARKED[found]));
  if (open) article.append(valuesElement(data, row, adapter), linkElement(row, choice));
  return article;
}

function metaElement(data, row, choice, adapter) {
  const metric = data.metrics.find((each) => each.name === choice.metric);
  const meta = make("p", { class: "meta" });
  if (adapter > 0 && metric) {
    const outcome = outcomeOf(data, row, adapter, choice.metric);
    const difference = writtenDifference(differenceOf(data, row, adapter, choice.metric), metric);
    const word = metric.direction === 0 && outcome !== "" ? "" : `${OUTCOMES[outcome]} `;
    meta.append(make("span", { class: `outcome ${metric.direction ? outcome : "tie"}` }, `${word}${difference} ${metric.title}`));
  }
  meta.append(make("span", {}, "row ", make("bdi", {}, row.id)));
  const modes = row.modes[adapter > 0 ? adapter : 0];
  meta.append(...modes.map((mode) => make("span", { class: "mode" }, mode)));
  return meta;
}

/** A text under its title; `text` null: there is no answer; `thinking`: what was parted from it, if anything was. */
function answerElement(title, text, lengths, tag, thinking, open) {
  const shown = make("p", { class: "text", dir: "auto" });
  const section = make("section", {}, make("h4", {}, make("bdi", {}, title)), shown);
  if (typeof thinking === "string") {
    const thought = make("p", { class: "text", dir: "auto" }, thinking);
    shown.before(make("details", { class: "thinking" }, make("summary", {}, "Thinking, not scored"), thought));
  }
  if (text === null) {
    shown.append(make("i", { class: "note" }, typeof thinking === "string" ? "(thinking never finished: no answer)" : "(no answer in what was compared)"));
  } else if (text === "") {
    shown.append(make("i", { class: "note" }, "(empty)"));
  } else if (!open && text.length > PREVIEW) {
    shown.append(...markedNodes(`${text.slice(0, PREVIEW)} …`, clippedLengths(lengths, PREVIEW), tag));
  } else if (text.length > LONG) {
    const all = make("button", { type: "button", class: "more" }, `Show all ${text.length.toLocaleString("en")} characters`);
    shown.classList.add("clipped");
    shown.append(...markedNodes(`${text.slice(0, LONG)} …`, clippedLengths(lengths, LONG), tag));
    all.addEventListener("click", () => {
      shown.classList.remove("clipped");
      shown.replaceChildren(...markedNodes(text, lengths, tag));
      shown.tabIndex = -1;
      shown.focus();
      all.remove();
    });
    section.append(all);
  } else {
    shown.append(...markedNodes(text, lengths, tag));
  }
  return section;
}

/** Every metric of base and adapter. */
function valuesElement(data, row, adapter) {
  const heads = ["metric", data.base, ...(adapter > 0 ? [data.variants[adapter], "difference", ""] : [])];
  const body = make("tbody");
  data.metrics.forEach((metric, position) => {
    if (row.values.every((values) => (values?.[position] ?? null) === null)) return;
    const unit = metric.unit && metric.unit !== metric.title.toLowerCase() ? ` (${metric.unit})` : "";
    const line = make("tr", {}, make("th", { scope: "row" }, metric.title + unit), make("td", { class: "number" }, written(row.values[0][position], metric)));
    if (adapter > 0) {
      const outcome = metric.direction ? outcomeOf(data, row, adapter, metric.name) : "";
      line.append(
        make("td", { class: "number" }, written(row.values[adapter][position], metric)),
        make("td", { class: "number" }, writtenDifference(differenceOf(data, row, adapter, metric.name), metric)),
        make("td", {}, outcome),
      );
    }
    body.append(line);
  });
  const head = make("tr", {}, ...heads.map((text, position) =>
    make("th", { scope: "col", class: position && text ? "number" : false }, make("bdi", {}, text || "result"))));
  const caption = make("caption", {}, make("span", { class: "caption-note" }, "Every metric of this row"));
  return make("div", { class: "values", tabindex: "0", role: "region", "aria-label": "Every metric of this row" },
    make("table", {}, caption, make("thead", {}, head), body));
}

function linkElement(row, choice) {
  const parts = Object.entries(row.parts).map(([column, part]) => `${column}: ${part} · `);
  const link = make("a", { href: linkTo(row.id, choice) }, "link to this row");
  return make("p", { class: "note" }, make("bdi", {}, parts.join("")), link);
}
