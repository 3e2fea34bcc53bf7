// The map component. Streamlit calls the default export once for every change of data; the map itself stays.

import { cameraOf, follow, forgetAddress, keepInAddress, takeArrived, turnPage, unfollow } from "./address.js";
import { Cells, UNREACHABLE } from "./cells.js";
import { Curve } from "./curve.js";
import { el } from "./dom.js";
import { savePicture } from "./image.js";
import { Legend } from "./legend.js";
import { Names } from "./names.js";
import { Overlays } from "./overlays.js";
import { Streets } from "./streets.js";
import { fetchNames, fetchPacked, unpackView } from "./unpack.js";
import { speak } from "./words.js";

const here = new URL(".", import.meta.url);
const cameras = new Map();  // run → camera, so that the view survives a change of page
const shownMaps = new Set();
let lastFlight = 0, library = null;

function loadLibrary(base) {
  library ??= new Promise((resolve, reject) => {
    const script = el("script", { src: new URL("maplibre-gl.js", base), onload: resolve, onerror: () => reject(new Error("maplibre-gl.js")) });
    document.head.append(script);
  });
  return library;
}

class ProcheMap {
  constructor(parent) {
    this.parent = parent;
    this.canvas = el("div", { class: "canvas" });
    this.tip = el("div", { class: "tip", hidden: "" });
    this.note = el("p", { class: "note", role: "status" });
    this.legend = new Legend({
      onCutoff: () => this.cells?.paint(this.header.scale, this.legend.breaks),
      onSettled: (cutoff) => this.send("cutoff", cutoff),
    });
    this.frame = el("div", { class: "proche" }, this.canvas, this.tip, this.note);
    this.queue = Promise.resolve();
    this.flown = lastFlight;
    shownMaps.add(this);
    follow(this);
  }

  update(component) {
    this.send = (name, value) => component.setTriggerValue(name, value);
    const message = unpackView(component.data);
    this.wanted = message;
    if (!this.map) this.wait(message.header);
    this.queue = this.queue.then(() => (this.wanted === message ? this.show(message) : null)).catch((error) => {
      this.note.textContent = `${message.header.texts.failed} (${error.message})`;
      throw error;
    });
  }

  // What stands where the map will be, until its first picture.
  wait({ height, texts }) {
    this.canvas.style.height = `${height}px`;
    this.note.textContent = texts.loading;
    if (!this.frame.isConnected) this.parent.append(this.frame);
  }

  async show(message) {
    const { header } = message;
    this.header = header;
    document.documentElement.lang = header.language;
    speak(header.words);
    this.base = new URL(`../${header.filesAt}/`, here);
    const geometry = [header.files.cells, header.files.streets].map((name) => fetchPacked(this.asset(name).href));
    if (!this.map) await this.start(header);
    const [cells, streets] = await Promise.all(geometry);
    if (this.gone) return;
    this.header = header;
    this.canvas.style.height = `${header.height}px`;
    this.map.getCanvas().setAttribute("aria-label", header.texts.map);
    for (const [name, text] of [["zoom-in", header.texts.zoomIn], ["zoom-out", header.texts.zoomOut]]) {
      const button = this.frame.querySelector(`.maplibregl-ctrl-${name}`);
      button?.setAttribute("aria-label", text);
      button?.setAttribute("title", text);
    }
    if (this.shownFiles !== header.files.cells) this.replaceRun(header, cells, streets);
    this.attribution.write(header.texts.attribution);
    this.cells.show(message.values, message.mask);
    this.legend.update(header, this.cells);
    this.cells.paint(header.scale, this.legend.breaks);
    seat(header.legend, this.legend.root);
    const overlays = Object.fromEntries(Object.entries(header.overlays).map(([kind, data]) => [kind, typeof data === "string" ? this.asset(data).href : data]));
    const row = header.cell ? this.cells.row(header.cell) : -1;
    if (row >= 0) overlays.chosen = { type: "Feature", properties: {}, geometry: { type: "Polygon", coordinates: [this.cells.ring(row)] } };
    this.overlays.update(overlays);
    this.overlays.badges(header.badges ?? []);
    this.names.avoid([...this.overlays.points(overlays), ...(header.badges ?? []).map(({ lon, lat }) => [lon, lat])]);
    curves.get(header.legend)?.move();
    this.cells.dim(header.dim);
    this.fly(header);
    this.remember();
    this.note.textContent = "";
    this.map.once("idle", () => { this.frame.dataset.shown = header.serial; });
    if (this.shownNames !== header.files.names) {
      this.shownNames = header.files.names;
      const names = await fetchNames(this.asset(header.files.names).href);
      if (!this.gone) this.names.use(names);
    }
    this.map.triggerRepaint();
  }

  asset(name) { return new URL(name, this.base); }

  async start(header) {
    const libraryAt = new URL(`../${header.libraryAt}/`, here);
    const dressed = [new URL("maplibre-gl.css", libraryAt), new URL("map.css", here)].map((href) => dress(this.frame, href));
    if (!this.frame.isConnected) this.parent.append(this.frame);
    await Promise.all([loadLibrary(libraryAt), ...dressed]);
    this.canvas.style.height = `${header.height}px`;
    if (!document.createElement("canvas").getContext("webgl2")) throw new Error("WebGL 2");
    this.map = new maplibregl.Map({
      container: this.canvas,
      style: { version: 8, sources: {}, layers: [{ id: "paper", type: "background", paint: { "background-color": "#e7e4dc" } }] },
      attributionControl: false, dragRotate: false, pitchWithRotate: false, touchPitch: false, fadeDuration: 0,
      maxPitch: 0, minZoom: 6, maxZoom: 19, renderWorldCopies: false, trackResize: false,
      ...(camera(header) ?? { bounds: header.bounds, fitBoundsOptions: { padding: 24 } }),
    });
    this.map.touchZoomRotate.disableRotation();
    this.map.keyboard.disableRotation();
    this.map.addControl(new maplibregl.NavigationControl({ showCompass: false }), "top-right");
    this.map.addControl(new maplibregl.ScaleControl({ maxWidth: 110 }), "bottom-right");
    this.attribution = new AttributionControl();
    this.map.addControl(this.attribution, "bottom-right");
    this.map.addControl(new PictureControl(() => savePicture(this.map, this.names, this.legend, this.header), header.texts.picture), "top-right");
    this.map.on("resize", () => { if (this !== this.leader) this.comeTo(this.leader); });
    this.comeTo(this.leader);
    await new Promise((resolve) => { this.map.once("style.load", resolve); });
    this.overlays = new Overlays(this.map);
    this.names = new Names(this.map);
    this.listen();
  }

  replaceRun(header, cells, streets) {
    for (const id of ["cells", "streets"]) if (this.map.getLayer(id)) this.map.removeLayer(id);
    this.cells = new Cells(cells);
    this.map.addLayer(this.cells, "backdrop-0");
    this.map.addLayer(new Streets(streets), "gaps-0");
    if (this.shownFiles) this.map.jumpTo(camera(header) ?? this.map.cameraForBounds(header.bounds, { padding: 24 }));
    this.shownFiles = header.files.cells;
  }

  listen() {
    this.map.on("click", ({ lngLat }) => this.choose(lngLat));
    this.map.on("mousemove", (event) => this.hover(event));
    this.map.on("mouseout", () => { this.tip.hidden = true; });
    this.map.on("move", ({ resized }) => { if (!resized) this.lead(); });
    this.map.on("movestart", () => { delete this.frame.dataset.still; });
    this.map.on("moveend", () => this.remember());
    this.map.on("idle", () => { if (this.names.ready) this.frame.dataset.still = ""; });
    this.map.getCanvas().addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.choose(this.map.getCenter());
    });
    this.resize = new ResizeObserver(() => this.map.resize({ resized: true }));
    this.resize.observe(this.canvas);
  }

  choose(lngLat) {
    const row = this.cells.at(lngLat);
    this.send("chosen", { cell: row < 0 ? null : this.cells.h3(row), lon: lngLat.lng, lat: lngLat.lat });
  }

  hover({ point, lngLat }) {
    if (!this.cells) return;
    const feature = this.overlays.at(point), row = this.cells.at(lngLat);
    const lines = feature ? [feature.properties.label ?? ""] : row < 0 ? [] : this.describe(row);
    this.tip.hidden = !lines.length;
    this.map.getCanvas().style.cursor = row < 0 ? "" : "pointer";
    this.tip.replaceChildren(...lines.map((text, i) => el(i ? "span" : "strong", {}, text)));
    const right = point.x > this.canvas.clientWidth - 190;
    this.tip.style.transform = `translate(${point.x + (right ? -14 : 14)}px, ${point.y + 12}px)${right ? " translateX(-100%)" : ""}`;
  }

  describe(row) {
    const { texts, residents } = this.header, value = this.cells.values[row];
    const text = this.cells.noNetwork(row) ? texts.noNetwork
      : value >= UNREACHABLE ? texts.unreachable
        : this.header.scale.kind === "change" ? this.gain(value)
          : texts.value.replace("{value}", this.legend.format.format(value));
    return residents ? [text, texts.residents.replace("{count}", this.legend.whole.format(this.cells.packed.weight[row]))] : [text];
  }

  // What a cell gains or loses, in words; one that reaches a place for the first time has no minutes to count.
  gain(value) {
    const { texts, farthest } = this.header, seen = this.legend.format.format(Math.abs(value));
    if (Math.abs(value) >= farthest) return value > 0 ? texts.change_newly : texts.change_no_longer;
    if (seen === this.legend.format.format(0)) return texts.change_same;
    return (value > 0 ? texts.change_gained : texts.change_lost).replace("{value}", seen);
  }

  // The camera lives in the address after the hash, and never needs the server.
  remember() {
    if (this !== this.leader) return;
    const { lng, lat } = this.map.getCenter(), zoom = this.map.getZoom();
    cameras.set(this.header.run, { center: [lng, lat], zoom });
    keepInAddress(`#map=${zoom.toFixed(2)}/${lat.toFixed(5)}/${lng.toFixed(5)}`);
  }

  // Back or Forward has brought another camera: it is this map's where it is of this map's run.
  arrive(camera, run) {
    if (!this.map || !this.header?.run.startsWith(`${run} `)) return false;
    this.map.stop();
    this.map.jumpTo(camera);
    return true;
  }

  fly({ flight }) {
    if (!flight || flight.serial <= this.flown) return;
    if (flight.alone && lastFlight < flight.serial) turnPage();
    this.flown = lastFlight = flight.serial;
    this.map.fitBounds(flight.bounds, { padding: 60, maxZoom: 16, duration: 500 });
  }

  // Of maps of one name the first keeps the camera; the others show the same place, in a smaller frame from farther away.
  get leader() {
    const mine = (map) => map.map && map.header?.linked === this.header?.linked;
    return this.header?.linked ? [...shownMaps].find(mine) ?? this : this;
  }

  // What moves first leads, the others follow without answering.
  lead() {
    if (this.following || !this.header.linked) return;
    for (const other of shownMaps) if (other.map && other.header.linked === this.header.linked) other.comeTo(this);
  }

  comeTo(other) {
    if (other === this) return;
    const [mine, theirs] = [this.map, other.map].map((map) => map.getContainer());
    const smaller = Math.min(mine.clientWidth / theirs.clientWidth, mine.clientHeight / theirs.clientHeight);
    this.following = true;
    this.map.jumpTo({ center: other.map.getCenter(), zoom: other.map.getZoom() + Math.log2(smaller) });
    this.following = false;
  }

  remove() {
    this.gone = true;
    shownMaps.delete(this);
    unfollow(this);
    if (!shownMaps.size) {
      forgetAddress();
      speak([]);
    }
    this.legend.stop(false);
    this.legend.root.remove();
    this.resize?.disconnect();
    this.map?.remove();
    this.frame.remove();
  }
}

function camera(header) {
  const brought = takeArrived();
  if (brought || cameras.has(header.run)) return brought ?? cameras.get(header.run);
  // The page may have rewritten its query by now, which drops the hash; the address it was opened with is kept.
  const opened = location.hash || new URL(performance.getEntriesByType("navigation")[0]?.name ?? location.href).hash;
  return cameras.size ? null : cameraOf(opened);
}

class PictureControl {
  constructor(save, label) { Object.assign(this, { save, label }); }

  onAdd() {
    const button = el("button", { type: "button", title: this.label, "aria-label": this.label, class: "picture", onclick: this.save }, "⤓");
    this.root = el("div", { class: "maplibregl-ctrl maplibregl-ctrl-group" }, button);
    return this.root;
  }

  onRemove() { this.root.remove(); }
}

class AttributionControl {
  onAdd() {
    this.link = el("a", { href: "https://www.openstreetmap.org/copyright", target: "_blank", rel: "noopener" });
    this.root = el("div", { class: "maplibregl-ctrl attribution" }, this.link);
    return this.root;
  }

  write(text) { this.link.textContent = text; }

  onRemove() { this.root.remove(); }
}

function dress(element, href) {
  return new Promise((resolve) => {
    element.prepend(el("link", { rel: "stylesheet", href, onload: resolve, onerror: resolve }));
  });
}

// The legend sits in a component of its own beside the map; whichever comes first waits for the other.
const seats = new Map(), waiting = new Map();

function seat(name, root) {
  waiting.set(name, root);
  if (seats.has(name) && root.parentNode !== seats.get(name)) seats.get(name).replaceChildren(root);
}

export function mountLegend({ parentElement, data }) {
  const { name } = data;
  if (!seats.has(name) || !parentElement.contains(seats.get(name))) {
    const chair = el("div"), frame = el("div", { class: "proche" }, chair);
    dress(frame, new URL("map.css", here));
    parentElement.replaceChildren(frame);
    seats.set(name, chair);
    if (waiting.has(name)) chair.replaceChildren(waiting.get(name));
  }
  return () => seats.delete(name);
}

const curves = new Map();

export function mountCurve({ parentElement, data, setTriggerValue }) {
  const { name } = data;
  let curve = curves.get(name);
  if (!curve || !parentElement.contains(curve.root)) {
    curve = new Curve({
      onMove: (count) => { for (const map of shownMaps) if (map.header?.legend === name) map.overlays?.upTo(count); },
      onSettled: (count) => curve.send("count", count),
    });
    const frame = el("div", { class: "proche" }, curve.root);
    dress(frame, new URL("map.css", here));
    parentElement.replaceChildren(frame);
    curves.set(name, curve);
  }
  curve.send = setTriggerValue;
  curve.update(data);
  return () => curves.delete(name);
}

const maps = new WeakMap();

export default function mount(component) {
  const { parentElement } = component;
  if (!maps.has(parentElement)) maps.set(parentElement, new ProcheMap(parentElement));
  const map = maps.get(parentElement);
  map.update(component);
  return () => {
    map.remove();
    maps.delete(parentElement);
  };
}
