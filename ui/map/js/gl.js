// The few pieces of WebGL 2 that the cell layer and the street layer share.

export function program(gl, vertex, fragment) {
  const made = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(type);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(made));
  return made;
}

export function buffer(gl, target, data) {
  const made = gl.createBuffer();
  gl.bindBuffer(target, made);
  gl.bufferData(target, data, gl.STATIC_DRAW);
  return made;
}

// "#rrggbb" as three numbers 0–1.
export function rgb(hex) {
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255);
}

// Where a frame of 65,536 steps lies on the screen: clip = step * scale + offset. The map is never turned or tilted.
// Computed in double precision, so that nothing trembles at street level.
export function placement(map, frame) {
  const { width, height } = map.transform;
  const world = 512 * 2 ** map.getZoom();
  const centre = maplibregl.MercatorCoordinate.fromLngLat(map.getCenter());
  const west = frame.west + Math.round(centre.x - frame.west - frame.size / 2);
  const sx = (2 * world) / width, sy = (-2 * world) / height;
  return {
    scale: [(frame.size / 65535) * sx, (frame.size / 65535) * sy],
    offset: [(west - centre.x) * sx, (frame.north - centre.y) * sy],
  };
}
