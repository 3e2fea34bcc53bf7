// Layers over the cells: places, gaps, sites, isochrones, routes. Each is GeoJSON in a file or in the message.

import { el } from "./dom.js";

const EMPTY = { type: "FeatureCollection", features: [] };
const GROWING = (small, large) => ["interpolate", ["linear"], ["zoom"], 11, small, 16, large];

// Paint by kind; `ink` is dark on light cells, and every fill has an outline, so that colour alone never tells.
const STYLES = {
  backdrop: [
    { type: "fill", filter: ["==", ["get", "kind"], "water"], paint: { "fill-color": "#d3e0e6", "fill-opacity": 0.92 } },
    { type: "line", filter: ["==", ["get", "kind"], "park"], minzoom: 12, paint: { "line-color": "#2f6b3a", "line-width": GROWING(0.5, 1.6), "line-opacity": 0.8 } },
  ],
  gaps: [
    { type: "line", paint: { "line-color": "#ffffff", "line-width": 5, "line-opacity": 0.9 } },
    { type: "line", paint: { "line-color": "#b0003a", "line-width": ["case", ["==", ["get", "strong"], true], 4.5, 2.4], "line-dasharray": [2, 1] } },
  ],
  places: [
    { type: "circle", paint: { "circle-radius": GROWING(2, 5.5), "circle-color": "#1b1b1b", "circle-stroke-color": "#ffffff", "circle-stroke-width": GROWING(0.6, 1.6) } },
  ],
  sites: [
    { type: "circle", paint: {
      "circle-radius": GROWING(3.5, 9), "circle-stroke-width": 2, "circle-stroke-color": "#ffffff",
      "circle-color": ["case", ["==", ["get", "locked"], true], "#4a4a4a", "#7b2d8b"] } },
  ],
  isochrone: [
    { type: "line", paint: { "line-color": "#ffffff", "line-width": 4, "line-opacity": 0.8 } },
    { type: "line", paint: { "line-color": "#6a1470", "line-width": ["match", ["get", "minutes"], 5, 2.6, 10, 1.9, 1.4] } },
  ],
  route: [
    { type: "line", layout: { "line-cap": "round", "line-join": "round" }, paint: { "line-color": "#ffffff", "line-width": 8 } },
    { type: "line", layout: { "line-cap": "round", "line-join": "round" }, paint: { "line-color": ["match", ["get", "role"], "second", "#7a7a7a", "#101820"], "line-width": 4 } },
  ],
  edits: [
    { type: "line", filter: ["==", ["geometry-type"], "LineString"], layout: { "line-cap": "round" }, paint: { "line-color": "#ffffff", "line-width": 9 } },
    { type: "line", filter: ["==", ["geometry-type"], "LineString"], layout: { "line-cap": "round" }, paint: { "line-color": "#b0003a", "line-width": 5 } },
    { type: "fill", filter: ["==", ["geometry-type"], "Polygon"], paint: { "fill-color": "#b0003a", "fill-opacity": 0.25, "fill-outline-color": "#b0003a" } },
    { type: "circle", filter: ["==", ["geometry-type"], "Point"], paint: { "circle-radius": 8, "circle-color": "#b0003a", "circle-stroke-color": "#ffffff", "circle-stroke-width": 2.5 } },
  ],
  chosen: [
    { type: "line", paint: { "line-color": "#ffffff", "line-width": 6 } },
    { type: "line", paint: { "line-color": "#101820", "line-width": 2.6 } },
  ],
};
const ORDER = ["backdrop", "gaps", "isochrone", "places", "route", "sites", "edits", "chosen"];

export class Overlays {
  constructor(map) {
    this.map = map;
    this.shown = new Map();  // kind → what it was made from
    this.markers = [];
    map.on("move", () => this.spread());
    for (const kind of ORDER) {
      map.addSource(kind, { type: "geojson", data: EMPTY });
      STYLES[kind].forEach((style, i) => map.addLayer({ id: `${kind}-${i}`, source: kind, ...style }));
    }
  }

  // wanted: { kind: url or GeoJSON }. What is missing is cleared, what did not change is left alone.
  update(wanted) {
    for (const kind of ORDER) {
      const data = wanted[kind] ?? EMPTY;
      const mark = typeof data === "string" ? data : JSON.stringify(data);
      if (this.shown.get(kind) === mark) continue;
      this.shown.set(kind, mark);
      this.map.getSource(kind).setData(data);
    }
  }

  // Where points stand that came with the message.
  points(wanted) {
    return ["sites", "edits"].flatMap((kind) => wanted[kind]?.features ?? [])
      .filter(({ geometry }) => geometry?.type === "Point").map(({ geometry }) => geometry.coordinates);
  }

  // Numbers on the map: [{ text, lon, lat, label, strong }].
  badges(list) {
    const mark = JSON.stringify(list);
    if (this.shown.get("badges") === mark) return;
    this.shown.set("badges", mark);
    for (const marker of this.markers) marker.remove();
    this.markers = list.map(({ text, lon, lat, label, strong, kind }) => {
      const element = el("div", { class: `badge ${kind ?? ""} ${strong ? "strong" : ""}`, role: "img", "aria-label": label }, text);
      return new maplibregl.Marker({ element }).setLngLat([lon, lat]).addTo(this.map);
    });
    this.order = [...list.keys()].sort((a, b) => Boolean(list[b].strong) - Boolean(list[a].strong) || a - b);
    this.spread();
  }

  // A number that would cover one before it waits until the map is nearer; the chosen one always stands.
  spread() {
    const taken = [];
    for (const i of this.order ?? []) {
      const { x, y } = this.map.project(this.markers[i].getLngLat());
      const covered = taken.some((t) => Math.abs(t.x - x) < 30 && Math.abs(t.y - y) < 22);
      this.markers[i].getElement().hidden = covered;
      if (!covered) taken.push({ x, y });
    }
  }

  // Only the sites up to a rank; those that exist today have rank 0 and always stay.
  upTo(rank) {
    this.map.setFilter("sites-0", ["<=", ["coalesce", ["get", "rank"], 0], rank]);
  }

  // The topmost feature under a point that has something to say.
  at(point) {
    const around = [[point.x - 4, point.y - 4], [point.x + 4, point.y + 4]];
    const layers = ["sites-0", "places-0"].filter((id) => this.map.getLayer(id));
    return this.map.queryRenderedFeatures(around, { layers })[0] ?? null;
  }
}
