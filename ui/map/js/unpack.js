// Reads what ui/layers/packing.py wrote: a JSON header and typed arrays laid over the same buffer.

const TYPES = { Uint8Array, Uint16Array, Uint32Array, BigUint64Array, Float32Array, Float64Array };

export function unpack(buffer) {
  const size = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
  const arrays = {};
  for (const { name, type, offset, length } of header.arrays) {
    arrays[name] = new TYPES[type](buffer, 4 + size + offset, length);
  }
  return { header, ...arrays };
}

// Bytes that arrive inside a larger buffer are copied once, so that typed arrays start where they must.
export function unpackView(bytes) {
  return unpack(bytes.slice().buffer);
}

const files = new Map();

// A file of a run never changes under its name (the name is its digest), so it is fetched once a page load.
export function fetchPacked(url) {
  return once(url, async (answer) => unpack(await answer.arrayBuffer()));
}

export function fetchNames(url) {
  return once(url, (answer) => answer.json());
}

function once(url, read) {
  if (!files.has(url)) {
    files.set(url, fetch(url).then(async (answer) => {
      if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
      return read(answer);
    }));
    files.get(url).catch(() => files.delete(url));
  }
  return files.get(url);
}
