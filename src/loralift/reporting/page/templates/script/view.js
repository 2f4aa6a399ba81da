// How things are written. Text only ever enters the page as text.

/** An element with attributes and children; a child that is a string becomes a text node. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** A metric's value with its own decimals; signs as in `formatting.py`. */
function written(value, metric) {
  return writtenDifference(value, metric).replace("+", "");
}

/** A difference with its sign; what rounds to zero has none. */
function writtenDifference(value, metric) {
  if (value === null) return "–";
  const text = Math.abs(value).toFixed(metric.decimals);
  return Number(text) === 0 ? text : (value < 0 ? "−" : "+") + text;
}

/** A text as nodes, its marked stretches in elements of the tag given; `lengths` are unmarked and marked in turn. */
function markedNodes(text, lengths, tag) {
  const nodes = [];
  let at = 0;
  lengths.forEach((length, position) => {
    const part = text.slice(at, at + length);
    if (part) nodes.push(position % 2 ? make(tag, {}, part) : part);
    at += length;
  });
  if (at < text.length) nodes.push(text.slice(at));
  return nodes;
}

/** The lengths of the marks in the first so many characters. */
function clippedLengths(lengths, most) {
  const clipped = [];
  let left = most;
  for (const length of lengths) {
    clipped.push(Math.min(length, left));
    left -= length;
    if (left <= 0) break;
  }
  return clipped;
}
