// The camera's place in the address. The server's frame writes path and query as it likes, and drops what stands
// after the hash: here it is put back, whoever wrote last.

let kept = "";

export function keepInAddress(hash) {
  kept = hash;
  restore();
}

// Without a map on the page the address has no camera.
export function forgetAddress() { kept = ""; }

function restore() {
  if (!kept || location.hash === kept) return;
  history.replaceState(history.state, "", location.pathname + location.search + kept);
}

if (window.navigation) window.navigation.addEventListener("currententrychange", restore);
else setInterval(restore, 500);
