// Cells as a custom layer: outlines go to the graphics card once, a new figure a cell is one small texture.

import { buffer, placement, program, rgb } from "./gl.js";

export const UNREACHABLE = 1e9;
const NO_NETWORK = 1;
const INSIDE = 1, STREETLESS = 2;  // of the mask
const MOST_CLASSES = 8;
const TEXTURE_WIDTH = 1024;

const VERTEX = `#version 300 es
precision highp float; precision highp int; precision highp sampler2D;
in vec2 corner; in vec2 centre; in uint cell;
uniform vec2 scale, offset; uniform float inset;
uniform sampler2D figures;
flat out vec2 figure;
void main() {
  int i = int(cell);
  figure = texelFetch(figures, ivec2(i % ${TEXTURE_WIDTH}, i / ${TEXTURE_WIDTH}), 0).rg;
  gl_Position = vec4(mix(corner, centre, inset) * scale + offset, 0.0, 1.0);
}`;

// figure.r is the value, figure.g a sum of states: 1 no network, 2 outside the chosen district.
const FRAGMENT = `#version 300 es
precision highp float; precision highp int;
flat in vec2 figure; out vec4 colour;
uniform vec3 colours[${MOST_CLASSES}]; uniform float breaks[${MOST_CLASSES}]; uniform int count; uniform bool upward;
uniform vec3 unreachable, noNetwork; uniform float opacity, pixel;
void main() {
  int state = int(figure.g + 0.5);
  float alpha = opacity;
  vec3 c;
  bool striped = mod(gl_FragCoord.x + gl_FragCoord.y, 8.0 * pixel) < 2.5 * pixel;
  if ((state & 1) == 1) { c = noNetwork; alpha *= striped ? 0.9 : 0.25; }
  else if (figure.r > 9.0e8) { c = striped ? unreachable * 1.35 : unreachable; }
  else {
    int k = 0;
    for (int i = 0; i < ${MOST_CLASSES} - 1; i++) {
      if (i < count - 1 && (upward ? figure.r >= breaks[i] : figure.r > breaks[i])) k = i + 1;
    }
    c = colours[k];
  }
  if ((state & 2) == 2) alpha *= 0.16;
  colour = vec4(c * alpha, alpha);
}`;

export class Cells {
  constructor(packed) {
    this.id = "cells";
    this.type = "custom";
    this.renderingMode = "2d";
    this.packed = packed;
    this.count = packed.header.count;
    this.values = new Float32Array(this.count).fill(UNREACHABLE);
    this.mask = null;
    this.breaks = [];
    this.opacity = 0.86;
    this.index = gridIndex(packed);
  }

  // H3 indexes are 64 bits; the address bar and Python write them in hexadecimal.
  h3(row) { return this.packed.h3[row].toString(16); }

  row(h3) {
    if (!this.rows) this.rows = new Map(Array.from(this.packed.h3, (cell, row) => [cell.toString(16), row]));
    return this.rows.get(h3) ?? -1;
  }

  noNetwork(row) { return this.mask ? (this.mask[row] & STREETLESS) !== 0 : (this.packed.flags[row] & NO_NETWORK) !== 0; }

  outside(row) { return this.mask !== null && (this.mask[row] & INSIDE) === 0; }

  show(values, mask) {
    this.values = values;
    this.mask = mask && mask.length ? mask : null;
    this.stale = true;
    this.map?.triggerRepaint();
  }

  paint(scale, breaks) {
    this.colours = scale.colours.map(rgb).flat();
    this.none = [rgb(scale.unreachable), rgb(scale.noNetwork)];
    this.upward = scale.kind !== "cutoff";
    this.breaks = breaks;
    this.map?.triggerRepaint();
  }

  dim(faint) {
    this.opacity = faint ? 0.35 : 0.86;
    this.map?.triggerRepaint();
  }

  onAdd(map, gl) {
    this.map = map;
    const { corners, sides } = this.packed;
    const total = corners.length / 2;
    const xy = new Uint16Array(total * 4), cell = new Uint32Array(total);
    const triangles = new Uint32Array(3 * (total - 2 * this.count));
    for (let row = 0, first = 0, t = 0; row < this.count; row++) {
      const n = sides[row], [cx, cy] = this.index.centre(row);
      for (let k = 0; k < n; k++) {
        const v = first + k;
        xy.set([corners[2 * v], corners[2 * v + 1], cx, cy], 4 * v);
        cell[v] = row;
        if (k >= 2) { triangles[t++] = first; triangles[t++] = v - 1; triangles[t++] = v; }
      }
      first += n;
    }
    this.program = program(gl, VERTEX, FRAGMENT);
    this.triangles = triangles.length;
    this.vertices = gl.createVertexArray();
    gl.bindVertexArray(this.vertices);
    const at = (name) => gl.getAttribLocation(this.program, name);
    buffer(gl, gl.ARRAY_BUFFER, xy);
    gl.enableVertexAttribArray(at("corner"));
    gl.vertexAttribPointer(at("corner"), 2, gl.UNSIGNED_SHORT, false, 8, 0);
    gl.enableVertexAttribArray(at("centre"));
    gl.vertexAttribPointer(at("centre"), 2, gl.UNSIGNED_SHORT, false, 8, 4);
    buffer(gl, gl.ARRAY_BUFFER, cell);
    gl.enableVertexAttribArray(at("cell"));
    gl.vertexAttribIPointer(at("cell"), 1, gl.UNSIGNED_INT, 0, 0);
    buffer(gl, gl.ELEMENT_ARRAY_BUFFER, triangles);
    gl.bindVertexArray(null);
    this.texture = gl.createTexture();
    this.stale = true;
  }

  upload(gl) {
    const height = Math.max(1, Math.ceil(this.count / TEXTURE_WIDTH));
    const texels = new Float32Array(2 * TEXTURE_WIDTH * height);
    for (let row = 0; row < this.count; row++) {
      texels[2 * row] = this.values[row];
      texels[2 * row + 1] = (this.noNetwork(row) ? 1 : 0) + (this.outside(row) ? 2 : 0);
    }
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 4);
    gl.pixelStorei(gl.UNPACK_FLIP_Y_WEBGL, false);
    gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RG32F, TEXTURE_WIDTH, height, 0, gl.RG, gl.FLOAT, texels);
    for (const [key, value] of [["MIN_FILTER", "NEAREST"], ["MAG_FILTER", "NEAREST"], ["WRAP_S", "CLAMP_TO_EDGE"], ["WRAP_T", "CLAMP_TO_EDGE"]]) {
      gl.texParameteri(gl.TEXTURE_2D, gl[`TEXTURE_${key}`], gl[value]);
    }
    this.stale = false;
  }

  render(gl) {
    if (!this.colours) return;
    const { scale, offset } = placement(this.map, this.packed.header.frame);
    const uniform = (name) => gl.getUniformLocation(this.program, name);
    gl.useProgram(this.program);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    if (this.stale) this.upload(gl);
    gl.uniform1i(uniform("figures"), 0);
    gl.uniform2fv(uniform("scale"), scale);
    gl.uniform2fv(uniform("offset"), offset);
    const side = Math.abs(scale[0]) * this.index.width * this.map.transform.width / 2;  // pixels across one cell
    gl.uniform1f(uniform("inset"), side > 14 ? Math.min(0.03, 1.1 / side) : 0);
    const padded = new Float32Array(3 * MOST_CLASSES), breaks = new Float32Array(MOST_CLASSES);
    padded.set(this.colours);
    breaks.set(this.breaks);
    gl.uniform3fv(uniform("colours"), padded);
    gl.uniform1fv(uniform("breaks"), breaks);
    gl.uniform1i(uniform("count"), this.colours.length / 3);
    gl.uniform1i(uniform("upward"), this.upward ? 1 : 0);
    gl.uniform3fv(uniform("unreachable"), this.none[0]);
    gl.uniform3fv(uniform("noNetwork"), this.none[1]);
    gl.uniform1f(uniform("opacity"), this.opacity);
    gl.uniform1f(uniform("pixel"), devicePixelRatio);
    gl.disable(gl.DEPTH_TEST);
    gl.disable(gl.STENCIL_TEST);
    gl.disable(gl.CULL_FACE);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.bindVertexArray(this.vertices);
    gl.drawElements(gl.TRIANGLES, this.triangles, gl.UNSIGNED_INT, 0);
    gl.bindVertexArray(null);
  }

  // Row of the cell under a place, -1 where there is none.
  at(lngLat) {
    const { west, north, size } = this.packed.header.frame;
    const point = maplibregl.MercatorCoordinate.fromLngLat(lngLat);
    const x = point.x + Math.round(west + size / 2 - point.x);
    return this.index.find(((x - west) / size) * 65535, ((point.y - north) / size) * 65535);
  }

  // Outline of a cell as longitudes and latitudes.
  ring(row) {
    const { west, north, size } = this.packed.header.frame;
    const { corners } = this.packed, first = this.index.first[row], n = this.packed.sides[row];
    const ring = Array.from({ length: n + 1 }, (_, k) => {
      const v = first + (k % n);
      const c = new maplibregl.MercatorCoordinate(west + (corners[2 * v] / 65535) * size, north + (corners[2 * v + 1] / 65535) * size);
      return c.toLngLat().toArray();
    });
    return ring;
  }
}

// Cells by a grid of squares about as wide as a cell: which outline holds a point?
function gridIndex({ header, corners, sides }) {
  const n = header.count, first = new Uint32Array(n), centres = new Uint16Array(2 * n);
  let width = 1;
  for (let row = 0, v = 0; row < n; v += sides[row++]) {
    first[row] = v;
    let sx = 0, sy = 0, low = 65535, high = 0;
    for (let k = v; k < v + sides[row]; k++) {
      sx += corners[2 * k];
      sy += corners[2 * k + 1];
      low = Math.min(low, corners[2 * k]);
      high = Math.max(high, corners[2 * k]);
    }
    centres[2 * row] = Math.round(sx / sides[row]);
    centres[2 * row + 1] = Math.round(sy / sides[row]);
    width = Math.max(width, high - low);
  }
  const squares = new Map(), key = (x, y) => Math.floor(x / width) * 65536 + Math.floor(y / width);
  for (let row = 0; row < n; row++) {
    const k = key(centres[2 * row], centres[2 * row + 1]);
    if (squares.has(k)) squares.get(k).push(row);
    else squares.set(k, [row]);
  }
  const holds = (row, x, y) => {
    let inside = false;
    const v = first[row], m = sides[row];
    for (let i = 0, j = m - 1; i < m; j = i++) {
      const xi = corners[2 * (v + i)], yi = corners[2 * (v + i) + 1], xj = corners[2 * (v + j)], yj = corners[2 * (v + j) + 1];
      if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
    }
    return inside;
  };
  return {
    width, first,
    centre: (row) => [centres[2 * row], centres[2 * row + 1]],
    find(x, y) {
      for (let dx = -1; dx <= 1; dx++) for (let dy = -1; dy <= 1; dy++) {
        for (const row of squares.get(key(x + dx * width, y + dy * width)) ?? []) if (holds(row, x, y)) return row;
      }
      return -1;
    },
  };
}
