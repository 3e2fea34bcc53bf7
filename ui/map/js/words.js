// Streamlit's own fields speak English only. Their words are set in the language of the page, as text, and again
// wherever the page draws them anew.

let wanted = [], watching = null;

// words: [[selector, attribute or "", text], …]; none ends the watch.
export function speak(words) {
  wanted = words;
  if (!wanted.length) {
    watching?.disconnect();
    watching = null;
    return;
  }
  watching ??= new MutationObserver(say);
  watching.observe(document.body, { childList: true, subtree: true, characterData: true });
  say();
}

function say() {
  for (const [selector, attribute, text] of wanted) {
    for (const element of document.querySelectorAll(selector)) {
      if (attribute) {
        if (element.getAttribute(attribute) !== text) element.setAttribute(attribute, text);
      } else if (element.firstChild?.nodeType === Node.TEXT_NODE && element.firstChild.nodeValue !== text) {
        element.firstChild.nodeValue = text;  // the node stays: the page's own framework holds on to it
      }
    }
  }
}
