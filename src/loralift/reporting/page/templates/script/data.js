// The packed rows: what they are, and which of them a choice shows.

const packed = document.getElementById("packed");

/** @returns {Promise<object>} what `page/rows.py` packed, each row with its place in the data. */
async function unpack() {
  const bytes = Uint8Array.from(atob(packed.textContent.trim()), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const data = JSON.parse(await new Response(stream).text());
  data.rows.forEach((row, place) => {
    row.place = place;
    for (const way of row.ways) way.modes = way.modes.map((modes) => modes.map((mode) => data.words[mode]));
    for (const column of Object.keys(row.parts)) row.parts[column] = data.words[row.parts[column]];
  });
  data.base = data.variants[0];
  data.adapters = data.variants.slice(1);
  data.byId = new Map(data.rows.map((row) => [row.id, row]));
  // Where questions were answered several times a chart's point is a question: its first answer here.
  data.firstOf = new Map(data.rows.filter((row) => row.question_id).reverse().map((row) => [row.question_id, row.id]));
  askAs(data, data.asked[0]);
  return data;
}

/** Let every row be what came back under a protocol: its answers, values, modes and marks; one unknown, or none: the first. */
function askAs(data, protocol) {
  const place = Math.max(0, data.asked.indexOf(protocol));
  for (const row of data.rows) {
    const { answers, values, modes, marks, thinking = [] } = row.ways[place];
    Object.assign(row, { answers, values, modes, marks, thinking, texts: [] });
  }
}

/** The rows that a variant (by position) has. */
function rowsOf(data, variant) {
  return data.rows.filter((row) => row.values[variant] !== null);
}

/** The value of one variant of the metric chosen; null where the answer could not be scored, or there is none. */
function valueOf(data, row, variant, metric) {
  return row.values[variant]?.[data.metrics.findIndex((each) => each.name === metric)] ?? null;
}

/** The adapter's value less the base's; null where either could not be scored. */
function differenceOf(data, row, adapter, metric) {
  const after = valueOf(data, row, adapter, metric);
  const before = valueOf(data, row, 0, metric);
  return after === null || before === null || adapter === 0 ? null : after - before;
}

/** "win", "tie" or "loss" by the metric's direction, as the comparison counts them: it packed ties as equal values; "" where unscored. */
function outcomeOf(data, row, adapter, metric) {
  const difference = differenceOf(data, row, adapter, metric);
  if (difference === null) return "";
  if (difference === 0) return "tie";
  return difference > 0 === (directionOf(data, metric) >= 0) ? "win" : "loss";
}

/** 1: higher is better; -1: lower is; 0: never judged. */
function directionOf(data, metric) {
  return data.metrics.find((each) => each.name === metric)?.direction ?? 0;
}

/** Everything of a row that a search looks through, for one adapter, as it was asked. */
function textOf(row, adapter) {
  row.texts[adapter] ??= [row.id, row.question, row.reference, row.answers[0], row.answers[adapter]]
    .join("\n").toLocaleLowerCase();
  return row.texts[adapter];
}

/** The rows that a choice shows, in its order; rows without a difference last. */
function chosenRows(data, choice) {
  const adapter = data.variants.indexOf(choice.adapter);
  const words = choice.q.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  const [column, part] = choice.slice ? JSON.parse(choice.slice) : [];
  const [who, mode] = choice.mode ? JSON.parse(choice.mode) : [];
  const rows = rowsOf(data, adapter).filter((row) =>
    (!choice.result || outcomeOf(data, row, adapter, choice.metric) === choice.result) &&
    (column === undefined || row.parts[column] === part) &&
    (mode === undefined || row.modes[who === "base" ? 0 : adapter].includes(mode)) &&
    words.every((word) => textOf(row, adapter).includes(word)));
  if (choice.order === "data" || adapter === 0) return rows;
  const sign = directionOf(data, choice.metric) < 0 ? -1 : 1;
  const rank = (row) => {
    const difference = differenceOf(data, row, adapter, choice.metric);
    if (difference === null) return Infinity;
    if (choice.order === "most") return -Math.abs(difference);
    return choice.order === "worst" ? sign * difference : -sign * difference;
  };
  // Ranks are computed once a row: a comparison of each pair would compute them a dozen times.
  return rows.map((row) => [rank(row), row])
    .sort((one, other) => (one[0] === other[0] ? one[1].place - other[1].place : one[0] < other[0] ? -1 : 1))
    .map((pair) => pair[1]);
}
