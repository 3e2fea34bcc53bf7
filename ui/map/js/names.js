// Names of streets, parks, water and neighbourhoods on a canvas of their own over the map. Text is drawn, never parsed.

import { el } from "./dom.js";

const MOST = 90, PAD = 5, STREETS_FROM = 12.5, DISTRICTS_TO = 14.6;
const FONT = '"Source Sans", "Source Sans Pro", system-ui, sans-serif';
const STYLES = {
  district: { font: `600 12px ${FONT}`, colour: "#3b3f45", spacing: "1.2px", upper: true },
  water: { font: `italic 500 12px ${FONT}`, colour: "#2c5d7c" },
  park: { font: `500 12px ${FONT}`, colour: "#23552c" },
  street: { font: `500 11.5px ${FONT}`, colour: "#23282e" },
};
const EARTH_M = 40075016.686;

export class Names {
  constructor(map) {
    this.map = map;
    this.entries = [];
    this.shown = [];
    this.points = [];
    this.stamps = new Map();
    this.canvas = el("canvas", { class: "names", "aria-hidden": "true" });
    map.getCanvasContainer().append(this.canvas);
    map.on("render", () => this.draw());
    map.on("moveend", () => this.choose());
    map.on("resize", () => this.choose());
  }

  // list: [kind, text, lon, lat, angle, room in metres], the weightiest first.
  use(list) {
    this.entries = list.map(([kind, text, lon, lat, angle, room]) =>
      ({ kind, text, at: [lon, lat], angle: (angle * Math.PI) / 180, room, metre: 1 / (EARTH_M * Math.cos((lat * Math.PI) / 180)) }));
    this.ready = true;
    this.choose();
    this.map.triggerRepaint();
  }

  // What is drawn as a point over the cells is not to be hidden: [[lon, lat], …].
  avoid(points) {
    this.points = points;
    this.choose();
  }

  // Which names have room now: in their order, none over another.
  choose() {
    const { width, height } = this.map.transform, zoom = this.map.getZoom(), world = 512 * 2 ** zoom;
    const boxes = this.points.map((at) => ({ ...this.map.project(at), halfW: 6, halfH: 6 }));
    this.shown = [];
    for (const entry of this.entries) {
      if (this.shown.length >= MOST) break;
      if (entry.kind === "district" ? zoom > DISTRICTS_TO : entry.kind === "street" && zoom < STREETS_FROM) continue;
      const { x, y } = this.map.project(entry.at);
      if (x < -60 || y < -20 || x > width + 60 || y > height + 20) continue;
      const { w, h } = this.stamp(entry);
      if (w > entry.room * entry.metre * world * (entry.kind === "street" ? 1 : 1.25)) continue;
      const c = Math.abs(Math.cos(entry.angle)), s = Math.abs(Math.sin(entry.angle));
      const halfW = (w * c + h * s) / 2 + PAD, halfH = (w * s + h * c) / 2 + PAD;
      if (boxes.some((b) => Math.abs(b.x - x) < b.halfW + halfW && Math.abs(b.y - y) < b.halfH + halfH)) continue;
      boxes.push({ x, y, halfW, halfH });
      this.shown.push(entry);
    }
  }

  // A name as a small picture, made once.
  stamp({ kind, text }) {
    const key = `${kind} ${text}`;
    if (this.stamps.has(key)) return this.stamps.get(key);
    const { font, colour, spacing, upper } = STYLES[kind], ratio = devicePixelRatio, words = upper ? text.toLocaleUpperCase() : text;
    const picture = document.createElement("canvas"), pen = picture.getContext("2d");
    const dress = () => Object.assign(pen, { font, letterSpacing: spacing ?? "0px", textBaseline: "middle", lineJoin: "round" });
    dress();
    const w = Math.ceil(pen.measureText(words).width) + 8, h = 20;
    Object.assign(picture, { width: w * ratio, height: h * ratio });
    pen.scale(ratio, ratio);
    dress();
    Object.assign(pen, { strokeStyle: "#ffffffd9", lineWidth: 3.2, fillStyle: colour });
    pen.strokeText(words, 4, h / 2);
    pen.fillText(words, 4, h / 2);
    const made = { picture, w, h };
    this.stamps.set(key, made);
    return made;
  }

  draw() {
    const { width, height } = this.map.transform, ratio = devicePixelRatio;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      Object.assign(this.canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
      Object.assign(this.canvas.style, { width: `${width}px`, height: `${height}px` });
    }
    const pen = this.canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    for (const entry of this.shown) {
      const { x, y } = this.map.project(entry.at), { picture, w, h } = this.stamp(entry);
      pen.save();
      pen.translate(x, y);
      pen.rotate(entry.angle);
      pen.drawImage(picture, -w / 2, -h / 2, w, h);
      pen.restore();
    }
  }
}
