// Streamlit's own fields speak English only. Their words are set in the language of the page, as text, and again
// wherever the page draws them anew.

let wanted = [], watching = null;

// words: [[selector, attribute or "", pattern, text], …]; none ends the watch. Without a pattern the text takes the
// place of whatever stands there, else of what the pattern matches.
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
  for (const [selector, attribute, pattern, text] of wanted) {
    const told = pattern ? new RegExp(pattern) : /^[^]*$/;
    for (const element of document.querySelectorAll(selector)) {
      const nodes = attribute ? [element.getAttributeNode(attribute)] : pattern ? [...element.childNodes] : [element.firstChild];
      for (const node of nodes) {
        if (!node || (!attribute && node.nodeType !== Node.TEXT_NODE)) continue;
        const said = node.nodeValue.replace(told, text);
        if (node.nodeValue !== said) node.nodeValue = said;  // the node stays: the page's own framework holds on to it
      }
    }
  }
}
