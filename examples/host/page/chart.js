// A chart of revenue by day and platform: stacked bars in SVG.

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, LEFT, BOTTOM] = [900, 240, 48, 24];

function element(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** The days from the first to the last. */
function daysBetween(first, last) {
  const days = [];
  for (let at = new Date(first); at <= new Date(last); at.setUTCDate(at.getUTCDate() + 1)) {
    days.push(at.toISOString().slice(0, 10));
  }
  return days;
}

/** A round number that is at least this large. */
function ceiling(value) {
  const unit = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 5, 10].map((step) => step * unit).find((round) => round >= value);
}

/**
 * Draws the chart. `series` is a list of `{ platform, byDay }`; `byDay` maps a day to its revenue.
 */
export function draw(place, first, last, series) {
  const days = daysBetween(first, last);
  const above = (day) => series.reduce((sum, { byDay }) => sum + Math.max(byDay.get(day) ?? 0, 0), 0);
  const top = ceiling(Math.max(...days.map(above)));
  const scale = (HEIGHT - BOTTOM - 10) / top;
  const step = (WIDTH - LEFT) / days.length;
  const svg = element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": "Revenue by day and platform" });

  for (const part of [0, 0.5, 1]) {
    const y = HEIGHT - BOTTOM - top * part * scale;
    svg.append(element("line", { class: "axis", x1: LEFT, x2: WIDTH, y1: y, y2: y }));
    svg.append(element("text", { class: "tick", x: LEFT - 6, y: y + 4, "text-anchor": "end" }, String(top * part)));
  }
  days.forEach((day, index) => {
    let y = HEIGHT - BOTTOM;
    const x = LEFT + index * step + 1;
    series.forEach(({ platform, byDay }, number) => {
      const revenue = Math.max(byDay.get(day) ?? 0, 0);
      if (revenue === 0) return;
      const height = revenue * scale;
      y -= height;
      const bar = element("rect", { class: `bar-${number % 5}`, x, y, width: Math.max(step - 2, 1), height });
      bar.append(element("title", {}, `${day}, ${platform}: ${revenue.toFixed(2)}`));
      svg.append(bar);
    });
    if (index % 7 === 0) {
      svg.append(element("text", { class: "tick", x, y: HEIGHT - 6 }, day.slice(5)));
    }
  });

  const keys = document.createElement("p");
  series.forEach(({ platform }, number) => {
    const key = document.createElement("span");
    key.className = `key key-${number % 5}`;
    keys.append(key, platform);
  });
  place.replaceChildren(svg, keys);
}
