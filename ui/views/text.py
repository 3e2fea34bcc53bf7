"""Text from data on a page of Markdown: always as letters, never as markup."""

_SIGNS = frozenset(r"\`*_{}[]()#+-.!|<>~$:&@/^=")


def plain(text: str) -> str:
    r"""
    Text as Markdown shows it letter by letter: every sign that Markdown might read gets a backslash.

    Examples
    --------
    >>> plain("Café *Bar* <b>")
    'Café \\*Bar\\* \\<b\\>'
    """
    return "".join(f"\\{c}" if c in _SIGNS else c for c in " ".join(str(text).split()))
