// The run's own streets as a custom layer: white lines with a soft edge, wider for main streets.

import { buffer, placement, program } from "./gl.js";

const TEXTURE_WIDTH = 2048;

// Four corners a segment, told apart by the vertex's number: drawing instances is far slower on software WebGL.
const VERTEX = `#version 300 es
precision highp float; precision highp int; precision highp usampler2D;
uniform usampler2D segments; uniform vec2 scale, offset, screen; uniform float width;
out float across;
void main() {
  int i = gl_VertexID >> 2;
  vec2 side = vec2(float(gl_VertexID & 1), float(gl_VertexID & 2) - 1.0);
  vec4 ends = vec4(texelFetch(segments, ivec2(i % ${TEXTURE_WIDTH}, i / ${TEXTURE_WIDTH}), 0));
  vec2 a = (ends.xy * scale + offset) * screen, b = (ends.zw * scale + offset) * screen;
  vec2 along = normalize(b - a + vec2(1e-6, 0.0));
  float half_ = width * 0.5 + 0.5;
  vec2 at = mix(a - along * width * 0.4, b + along * width * 0.4, side.x) + vec2(-along.y, along.x) * side.y * half_;
  across = side.y * half_;
  gl_Position = vec4(at / screen, 0.0, 1.0);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
in float across; out vec4 colour;
uniform float width; uniform vec4 paint;
void main() {
  float alpha = paint.a * clamp(width * 0.5 + 0.5 - abs(across), 0.0, 1.0) * min(1.0, width);
  colour = vec4(paint.rgb * alpha, alpha);
}`;

// [px] Width at zoom 14, and the zoom from which a class is drawn in full.
const CLASSES = [{ width: 2.4, from: 9 }, { width: 1.7, from: 10.5 }, { width: 1.1, from: 11.5 }, { width: 0.65, from: 13 }];
const GROWTH = 0.62;

export class Streets {
  constructor(packed) {
    this.id = "streets";
    this.type = "custom";
    this.renderingMode = "2d";
    this.packed = packed;
  }

  onAdd(map, gl) {
    this.map = map;
    const { points, sizes, classes } = this.packed;
    const count = Math.max(0, points.length / 2 - sizes.length), height = Math.max(1, Math.ceil(count / TEXTURE_WIDTH));
    const segments = new Uint16Array(4 * TEXTURE_WIDTH * height);
    this.runs = CLASSES.map(() => ({ first: 0, count: 0 }));
    let s = 0;
    for (let line = 0, v = 0; line < sizes.length; v += sizes[line++]) {
      const run = this.runs[classes[line]];
      if (!run.count) run.first = s;
      for (let k = v; k < v + sizes[line] - 1; k++) {
        segments.set(points.subarray(2 * k, 2 * k + 4), 4 * s++);
        run.count++;
      }
    }
    // The first class that a run has is drawn from afar: a table of streets may know no classes.
    const main = this.runs.findIndex(({ count }) => count > 0);
    this.from = CLASSES.map(({ from }, k) => (k === main ? Math.min(from, CLASSES[0].from) : from));
    this.program = program(gl, VERTEX, FRAGMENT);
    const corners = new Uint32Array(6 * s);
    for (let i = 0; i < s; i++) corners.set([4 * i, 4 * i + 1, 4 * i + 2, 4 * i + 2, 4 * i + 1, 4 * i + 3], 6 * i);
    this.vertices = gl.createVertexArray();
    gl.bindVertexArray(this.vertices);
    buffer(gl, gl.ELEMENT_ARRAY_BUFFER, corners);
    gl.bindVertexArray(null);
    this.texture = gl.createTexture();
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 4);
    gl.pixelStorei(gl.UNPACK_FLIP_Y_WEBGL, false);
    gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA16UI, TEXTURE_WIDTH, height, 0, gl.RGBA_INTEGER, gl.UNSIGNED_SHORT, segments);
    for (const key of ["TEXTURE_MIN_FILTER", "TEXTURE_MAG_FILTER"]) gl.texParameteri(gl.TEXTURE_2D, gl[key], gl.NEAREST);
  }

  render(gl) {
    const { width, height } = this.map.transform, zoom = this.map.getZoom();
    const { scale, offset } = placement(this.map, this.packed.header.frame);
    const uniform = (name) => gl.getUniformLocation(this.program, name);
    gl.useProgram(this.program);
    gl.bindVertexArray(this.vertices);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    gl.uniform1i(uniform("segments"), 0);
    gl.uniform2fv(uniform("scale"), scale);
    gl.uniform2fv(uniform("offset"), offset);
    gl.uniform2f(uniform("screen"), width / 2, height / 2);
    gl.disable(gl.DEPTH_TEST);
    gl.disable(gl.STENCIL_TEST);
    gl.disable(gl.CULL_FACE);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    for (let k = CLASSES.length - 1; k >= 0; k--) {
      const { first, count } = this.runs[k];
      const alpha = 0.85 * Math.min(1, Math.max(0, 2 * (zoom - this.from[k] + 0.5)));
      if (!count || !alpha) continue;
      gl.uniform1f(uniform("width"), CLASSES[k].width * 2 ** (GROWTH * (zoom - 14)));
      gl.uniform4f(uniform("paint"), 1, 1, 1, alpha);
      gl.drawElements(gl.TRIANGLES, 6 * count, gl.UNSIGNED_INT, 24 * first);
    }
    gl.bindVertexArray(null);
  }
}
