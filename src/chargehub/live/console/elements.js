// Small builders for HTML and SVG elements.

const SVG = "http://www.w3.org/2000/svg";

export function element(tag, className = "", ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

export function setIcon(svg, name) {
  svg.firstElementChild.setAttribute("href", `#i-${name}`);
}

/** Set text only when it differs: the board writes hundreds a second. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
