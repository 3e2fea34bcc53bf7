// The legend that is also a histogram: classes with their colours, residents by minute, the cutoff to drag or play.

import { UNREACHABLE } from "./cells.js";
import { el, svg } from "./dom.js";

const WIDTH = 264, HEIGHT = 54, BINS = 60, STEP_MS = 260;

export class Legend {
  constructor({ onCutoff, onSettled }) {
    this.onCutoff = onCutoff;
    this.onSettled = onSettled;
    this.title = el("h3");
    this.unit = el("p", { class: "unit" });
    this.served = el("p", { class: "served", "aria-live": "polite" });
    this.axis = el("div", { class: "axis", "aria-hidden": "true" });
    this.bars = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", class: "bars", role: "img" });
    this.slider = el("input", { type: "range", step: "1", oninput: () => this.drag(), onchange: () => this.settle() });
    this.play = el("button", { type: "button", class: "play", onclick: () => this.toggle() });
    this.range = el("div", { class: "cutoff" }, this.play, this.slider);
    this.classes = el("ul", { class: "classes" });
    this.extra = el("ul", { class: "extra" });
    this.key = el("ul", { class: "key" });
    this.root = el("section", { class: "legend" }, this.title, this.unit, this.served, this.bars, this.axis, this.range, this.classes, this.extra, this.key);
  }

  // header: what Python sent; cells: the layer; breaks follow from the scale and the cutoff.
  update(header, cells) {
    const { texts, scale, language } = header;
    this.header = header;
    this.cells = cells;
    this.format = new Intl.NumberFormat(language, { maximumFractionDigits: 1, roundingMode: "halfEven" });
    this.fine = new Intl.NumberFormat(language, { maximumFractionDigits: 2 });
    this.whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0, roundingMode: "halfEven" });
    this.percent = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 0, roundingMode: "halfEven" });
    this.title.textContent = texts.title;
    this.unit.textContent = texts.unit;
    this.root.setAttribute("aria-label", texts.legend);
    this.bars.setAttribute("aria-label", texts.histogram);
    this.slider.setAttribute("aria-label", texts.cutoff);
    this.range.hidden = scale.kind !== "cutoff";
    this.key.setAttribute("aria-label", texts.key);
    this.key.replaceChildren(...header.key.map(([kind, text]) =>
      el("li", {}, el("span", { class: `sign ${kind}`, "aria-hidden": "true" }), el("span", {}, text))));
    if (scale.kind === "cutoff") {
      [this.slider.min, this.slider.max] = header.cutoffRange;
      if (!this.timer) this.slider.value = scale.cutoff;
    } else this.stop(false);
    this.label();
    this.count();
    this.draw();
  }

  get cutoff() { return Number(this.slider.value); }

  get breaks() {
    const { scale } = this.header;
    return scale.kind === "cutoff" ? scale.ratios.map((r) => r * this.cutoff) : scale.breaks;
  }

  drag() {
    this.stop(false);
    this.moved();
  }

  moved() {
    this.slider.setAttribute("aria-valuetext", this.header.texts.minutes.replace("{n}", this.whole.format(this.cutoff)));
    this.onCutoff();
    this.draw();
  }

  settle() {
    this.onSettled(this.cutoff);
  }

  toggle() {
    if (this.timer) { this.stop(true); return; }
    if (this.cutoff >= Number(this.slider.max)) this.slider.value = this.slider.min;
    this.timer = setInterval(() => {
      if (this.cutoff >= Number(this.slider.max)) { this.stop(true); return; }
      this.slider.value = this.cutoff + 1;
      this.moved();
    }, STEP_MS);
    this.label();
  }

  stop(settle) {
    if (!this.timer) return;
    clearInterval(this.timer);
    this.timer = null;
    this.label();
    if (settle) this.settle();
  }

  label() {
    const { texts } = this.header;
    this.play.textContent = this.timer ? "❚❚" : "▶";
    this.play.setAttribute("aria-label", this.timer ? texts.pause : texts.play);
    this.play.title = this.timer ? texts.pause : texts.play;
  }

  // Residents (or cells, where the run has no population) by value: once for every new layer.
  count() {
    const { scale } = this.header, { packed, values } = this.cells;
    const change = scale.kind === "change";
    const top = scale.kind === "cutoff" ? Number(this.slider.max) * 1.5 : change ? scale.breaks.at(-1) * 3 : histogramTop(scale, values);
    // Whole numbers have a bar each.
    this.low = change ? -top : scale.whole ? -0.5 : 0;
    this.top = scale.whole ? scale.whole + 0.5 : top;
    this.bins = new Float64Array(scale.whole ? scale.whole + 1 : BINS);
    this.sorted = [];
    this.total = this.unreachable = this.isolated = this.beyondTop = 0;
    for (let row = 0; row < this.cells.count; row++) {
      if (this.cells.outside(row)) continue;
      // Residents of cells without streets count as not served; where nobody is known, such cells do not count.
      const weight = this.header.residents || !this.cells.noNetwork(row) ? packed.weight[row] : 0;
      this.total += weight;
      const value = values[row];
      if (this.cells.noNetwork(row) && (value >= UNREACHABLE || scale.kind === "cutoff")) { this.isolated += 1; continue; }
      if (value >= UNREACHABLE) { this.unreachable += 1; continue; }
      const bin = Math.floor(((value - this.low) / (this.top - this.low)) * this.bins.length);
      if (value > this.top && !change) this.beyondTop += weight;
      else if (!change || classOf(value, scale.breaks, true) !== 3) this.bins[Math.max(0, Math.min(this.bins.length - 1, bin))] += weight;
      this.sorted.push([value, weight]);
    }
    this.sorted.sort((a, b) => a[0] - b[0]);
  }

  // Weight of the values up to and including a limit.
  upTo(limit) {
    let sum = 0;
    for (const [value, weight] of this.sorted) {
      if (value > limit) break;
      sum += weight;
    }
    return sum;
  }

  draw() {
    const { texts, scale } = this.header, breaks = this.breaks, upward = scale.kind !== "cutoff";
    const tallest = Math.max(...this.bins, 1e-9), n = this.bins.length, gap = n < BINS ? 4 : 0.8;
    this.bars.replaceChildren(...Array.from(this.bins, (weight, i) => {
      const middle = this.low + ((i + 0.5) / n) * (this.top - this.low), height = (weight / tallest) * (HEIGHT - 4);
      return svg("rect", {
        x: ((i * WIDTH) / n + gap / 2).toFixed(2), width: (WIDTH / n - gap).toFixed(2),
        y: (HEIGHT - height).toFixed(2), height: height.toFixed(2),
        fill: scale.colours[classOf(middle, breaks, upward)], stroke: "#00000033", "stroke-width": 0.4,
      });
    }));
    if (!upward) {
      const x = (this.cutoff / this.top) * WIDTH;
      this.bars.append(svg("line", { x1: x, x2: x, y1: 0, y2: HEIGHT, class: "mark" }));
      const served = this.upTo(this.cutoff);
      const share = this.total ? this.percent.format(served / this.total) : "–";
      this.served.textContent = texts.served.replace("{share}", share)
        .replace("{count}", this.whole.format(served)).replace("{cutoff}", this.whole.format(this.cutoff));
    } else if (scale.kind === "change") {
      const sum = (wanted) => this.whole.format(this.sorted.reduce((s, [value, weight]) => s + (wanted(classOf(value, breaks, true)) ? weight : 0), 0));
      this.served.textContent = texts.served.replace("{better}", sum((k) => k > 3)).replace("{worse}", sum((k) => k < 3));
    } else {
      const sum = this.sorted.reduce((s, [value, weight]) => s + value * weight, 0);
      const weight = this.sorted.reduce((s, [, w]) => s + w, 0);
      this.served.textContent = texts.mean.replace("{value}", weight ? this.format.format(sum / weight) : "–");
    }
    this.classes.replaceChildren(...scale.colours.map((colour, i) => this.classItem(i, colour, breaks, upward)));
    this.ticks();
    const extra = [];
    if (this.unreachable) extra.push([scale.unreachable, `${texts.unreachable} (${this.whole.format(this.unreachable)})`]);
    if (this.isolated) extra.push([scale.noNetwork, `${texts.noNetwork} (${this.whole.format(this.isolated)})`]);
    this.extra.replaceChildren(...extra.map(([colour, text]) => el("li", {}, swatch(colour, true), el("span", {}, text))));
    if (texts.edge) this.extra.append(el("li", { class: "edge" }, texts.edge));
  }

  // A colour with the values of its class: whole ones in the middle under it, else its upper limit at its right edge.
  classItem(i, colour, breaks, upward) {
    const whole = this.header.scale.whole, last = i === breaks.length;
    const unit = last || whole ? "" : i === breaks.length - 1 ? `\u00a0${this.header.texts.unitShort}` : "";
    const seen = whole ? this.span(i, breaks, upward) : last ? "" : `${this.fine.format(breaks[i]).replace("-", "\u2212")}${unit}`;
    return el("li", { class: whole ? "whole" : "" }, swatch(colour),
      el("span", { class: "seen", "aria-hidden": "true" }, seen), el("span", { class: "heard" }, this.span(i, breaks, upward)));
  }

  // The axis under the histogram: its ends, and zero where it lies between them.
  ticks() {
    const ends = this.header.scale.whole ? [] : this.low < 0 ? [this.low, 0, this.top] : [this.low, this.top / 2, this.top];
    this.axis.replaceChildren(...ends.map((x, i) =>
      el("span", {}, `${this.number(x)}${i === ends.length - 1 ? `\u00a0${this.header.texts.unitShort}` : ""}`)));
  }

  number(x) { return this.format.format(x).replace("-", "\u2212"); }

  span(i, breaks, upward) {
    const n = (x) => this.number(x), last = breaks.length, { whole } = this.header.scale;
    if (whole) {
      const from = i ? breaks[i - 1] : 0, to = i === last ? whole : breaks[i] - 1;
      return from >= to ? n(from) : `${n(from)}–${n(to)}`;
    }
    if (this.header.scale.kind === "change" && i > 0 && i < last) return `${n(breaks[i - 1])}…${n(breaks[i])}`;
    if (upward) {
      if (i === 0) return `< ${n(breaks[0])}`;
      return i === last ? `≥ ${n(breaks[last - 1])}` : `${n(breaks[i - 1])}–${n(breaks[i])}`;
    }
    if (i === 0) return `≤ ${n(breaks[0])}`;
    return i === last ? `> ${n(breaks[last - 1])}` : `${n(breaks[i - 1])}–${n(breaks[i])}`;
  }
}

export function classOf(value, breaks, upward) {
  let k = 0;
  for (const b of breaks) if (upward ? value >= b : value > b) k++;
  return k;
}

function histogramTop(scale, values) {
  if (scale.top) return scale.top;
  let top = scale.breaks[scale.breaks.length - 1];
  for (const value of values) if (value < UNREACHABLE && value > top) top = value;
  return top;
}

function swatch(colour, striped = false) {
  return el("span", { class: striped ? "swatch striped" : "swatch", style: `background-color:${colour}`, "aria-hidden": "true" });
}
