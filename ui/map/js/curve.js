// What each further site adds, as a curve with a slider under it: the map follows without asking the server.

import { el, svg } from "./dom.js";

const HEIGHT = 110, ROOM = 22;

export class Curve {
  constructor({ onMove, onSettled }) {
    this.onMove = onMove;
    this.onSettled = onSettled;
    this.title = el("h3");
    this.text = el("p", { class: "served", "aria-live": "polite" });
    this.plot = svg("svg", { class: "plot", role: "img" });
    this.axis = el("div", { class: "axis", "aria-hidden": "true" });
    this.slider = el("input", { type: "range", min: "0", step: "1", oninput: () => this.move(), onchange: () => this.onSettled(this.count) });
    this.note = el("p", { class: "unit" });
    this.key = el("ul", { class: "extra" });
    this.root = el("section", { class: "legend" }, this.title, this.text, this.plot, this.axis, el("div", { class: "cutoff" }, this.slider), this.note, this.key);
  }

  get count() { return Number(this.slider.value); }

  // data: language, texts, curve (value after each site), bend (site after which further ones add least), total, count, colours of the key.
  update(data) {
    this.data = data;
    this.whole = new Intl.NumberFormat(data.language, { maximumFractionDigits: 0, roundingMode: "halfEven" });
    this.percent = new Intl.NumberFormat(data.language, { style: "percent", maximumFractionDigits: 1, roundingMode: "halfEven" });
    this.root.setAttribute("aria-label", data.texts.title);
    this.slider.setAttribute("aria-label", data.texts.slider);
    this.plot.setAttribute("aria-label", data.texts.plot);
    this.title.textContent = data.texts.title;
    this.note.textContent = data.texts.proof;
    this.slider.max = data.curve.length - 1;
    this.slider.value = data.count;
    this.key.replaceChildren(...data.key.map(([colour, text]) =>
      el("li", {}, el("span", { class: "dot", style: `background-color:${colour}` }), el("span", {}, text))));
    this.axis.replaceChildren(el("span", {}, "0"), el("span", {}, `${this.whole.format(data.curve.length - 1)}\u00a0${data.texts.axis}`));
    this.move();
  }

  move() {
    const width = this.plot.clientWidth || 264;
    this.plot.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    const { curve, total, texts } = this.data, n = this.count, top = Math.max(...curve, 1e-9), low = Math.min(...curve) * 0.9;
    const x = (i) => (curve.length > 1 ? (i / (curve.length - 1)) * (width - 12) + 6 : width / 2);
    const y = (v) => HEIGHT - 6 - ((v - low) / Math.max(top - low, 1e-9)) * (HEIGHT - ROOM);
    const points = curve.map((v, i) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`);
    const level = (v) => svg("text", { x: 4, y: Math.max(11, y(v) - 4), class: "level" }, this.whole.format(v));
    const { bend } = this.data, bent = bend > 0 && bend < curve.length - 1;
    this.plot.replaceChildren(
      svg("line", { x1: 0, x2: width, y1: y(top), y2: y(top), class: "rule" }),
      svg("polygon", { points: [`${x(0)},${HEIGHT}`, ...points.slice(0, n + 1), `${x(n).toFixed(1)},${HEIGHT}`].join(" "), fill: "#7b2d8b", "fill-opacity": 0.18 }),
      svg("polyline", { points: points.join(" "), fill: "none", stroke: "#7b2d8b", "stroke-width": 2 }),
      ...(bent ? [svg("line", { x1: x(bend), x2: x(bend), y1: y(curve[bend]), y2: HEIGHT, stroke: "#4a4a4a", "stroke-dasharray": "3 3" })] : []),
      svg("circle", { cx: x(n), cy: y(curve[n]), r: 4.5, fill: "#7b2d8b", stroke: "#fff", "stroke-width": 1.5 }),
      level(curve[0]), svg("text", { x: width - 4, y: 11, "text-anchor": "end", class: "level" }, this.whole.format(top)),
    );
    const fill = (text) => text.replace("{count}", this.whole.format(n)).replace("{value}", this.whole.format(curve[n]))
      .replace("{added}", this.whole.format(curve[n] - curve[0])).replace("{share}", total ? this.percent.format(curve[n] / total) : "–");
    this.text.textContent = fill(total ? texts.value_of : texts.value);
    this.slider.setAttribute("aria-valuetext", this.text.textContent);
    this.onMove(n);
  }
}
