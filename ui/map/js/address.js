// The camera's place in the address. The server's frame writes path and query as it likes, and drops what stands
// after the hash: here it is put back, whoever wrote last. Back and Forward bring the hash of an earlier view: that one
// is followed.

let kept = "", arrived = null;
const followers = new Set();

export function keepInAddress(hash) {
  kept = hash;
  restore();
}

// Without a map on the page the address has no camera.
export function forgetAddress() { kept = ""; }

// A page that was opened from the menu has a bare address until the server has written the view into it: both are one
// entry, or Back would stop at the bare one and stay.
const push = history.pushState.bind(history);
const isBare = () => !new URLSearchParams(location.search).has("run");
history.pushState = (state, title, url) => {
  const next = new URL(url ?? location.href, location.href);
  if (isBare() && next.pathname === location.pathname && next.searchParams.has("run")) history.replaceState(state, title, url);
  else push(state, title, url);
};

// An entry of its own for what comes next, so that Back returns to what is seen now.
export function turnPage() { push({}, "", location.pathname + location.search + kept); }

// Call a map's `arrive(camera, run)` after Back or Forward; it says whether the camera was for it.
export function follow(map) { followers.add(map); }
export function unfollow(map) { followers.delete(map); }

// The camera that Back or Forward brought and no map has taken yet, once.
export function takeArrived() {
  const camera = arrived;
  arrived = null;
  return camera;
}

// #map=zoom/lat/lon as a camera, null where it is none.
export function cameraOf(hash) {
  const match = /^#map=([\d.]+)\/(-?[\d.]+)\/(-?[\d.]+)$/.exec(hash);
  if (!match) return null;
  const [zoom, lat, lon] = match.slice(1).map(Number);
  return Math.abs(lat) <= 85 && Math.abs(lon) <= 360 ? { center: [lon, lat], zoom } : null;
}

// The entry that the page was first opened with may be bare: the view was written into one of its own before this script
// was there. It shows nothing that the next one does not: Back goes on past it.
function travel({ from } = {}) {
  if (isBare() && from?.index > window.navigation.currentEntry.index) return history.back();
  arrived = cameraOf(location.hash);
  if (!arrived) return restore();
  kept = location.hash;
  const run = new URLSearchParams(location.search).get("run"), camera = arrived;
  for (const map of followers) if (map.arrive(camera, run)) arrived = null;
}

function restore() {
  if (!kept || location.hash === kept) return;
  history.replaceState(history.state, "", location.pathname + location.search + kept);
}

if (window.navigation) {
  window.navigation.addEventListener("currententrychange", (event) => (event.navigationType === "traverse" ? travel(event) : restore()));
} else {
  window.addEventListener("popstate", () => travel());
  setInterval(restore, 500);
}
