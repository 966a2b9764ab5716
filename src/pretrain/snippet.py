"""Text from a corpus, as it may be shown: on one line, without secrets, and harmless where Markdown is drawn.

Whoever wrote a web page wrote what stands in a ledger's evidence and in examples, so none of it may act: not as an
escape code of a terminal, not as a link, an image or HTML in a user interface.
"""

import re
import unicodedata

from pretrain.redaction import holds_secret, without_secrets

SNIPPET_CHARS = 120
_MASK = "[secret]"
_WINDOW_CHARS = 1000  # read before the cut, so that a secret that lies across it is seen whole

# Formats as their issuers publish them, and as gitleaks' default rules have them.
_SECRETS = re.compile(
    r"""
    -----BEGIN[A-Z ]*PRIVATE\ KEY-----.*?(-----END[A-Z ]*PRIVATE\ KEY-----|$)
    | \b(AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b            # AWS access key id
    | \bgh[pousr]_[A-Za-z0-9]{36,}\b                   # GitHub
    | \bgithub_pat_\w{22,}
    | \bglpat-[\w-]{20,}                               # GitLab
    | \bhf_[A-Za-z0-9]{30,}\b                          # Hugging Face
    | \bsk-[A-Za-z0-9_-]{20,}                          # OpenAI, Anthropic
    | \bxox[abprs]-[A-Za-z0-9-]{10,}                   # Slack
    | \bAIza[A-Za-z0-9_-]{35}                          # Google
    | \beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]*)?   # JSON Web Token
    """,
    re.VERBOSE | re.DOTALL,
)
_ASSIGNED_SECRET = re.compile(
    r"""\b([\w-]*(?:password|passwd|secret|token|api[_-]?key|access[_-]?key)[\w-]*["']?\s*[:=]\s*)"""
    r"""(?:"[^"]{4,}"|'[^']{4,}'|[^\s"',;&]{8,})""",
    re.IGNORECASE,
)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'<>]+")

# What begins a link, an image, HTML or an entity in Markdown, and addresses that GitHub's dialect links unasked.
_ACTIVE = re.compile(r"[<>\[\]()!&\\|#@]|:(?=//)|(?<=\bwww)\.", re.IGNORECASE)
_SEPARATOR = "\u200b"  # zero width space: no one sees it, and no parser takes what it parts for one token
_LOOK_ALIKES = str.maketrans({"`": "\u02cb", "*": "\u2217", "~": "\u223c"})  # these act whatever stands beside them


def one_line(text: str, max_chars: int | None = None) -> str:
    """The text with runs of white space as one space, and control and direction characters as U+FFFD.

    Args:
        text: any text.
        max_chars: at most so many characters, the last of which says `…` where more came.
    """
    spaced = " ".join(text.split())
    shown = "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co") else c for c in spaced)
    if max_chars is None or len(shown) <= max_chars:
        return shown
    return f"{shown[: max_chars - 1]}…"


def without_credentials(text: str) -> str:
    """The text with keys, tokens, passwords and signed URLs masked, as far as their form gives them away."""
    text = _URL.sub(lambda url: without_secrets(url[0]) if holds_secret(url[0]) else url[0], text)
    return _ASSIGNED_SECRET.sub(rf"\1{_MASK}", _SECRETS.sub(_MASK, text))


def harmless(text: str) -> str:
    """A line looking the same, with nothing in it that Markdown or HTML would act on."""
    parted = _ACTIVE.sub(lambda found: f"{found[0]}{_SEPARATOR}", text.translate(_LOOK_ALIKES))
    # `_` is no emphasis inside a word (CommonMark 0.31, section 6.2), and a line that begins so is no list
    return _SEPARATOR + parted.replace("_", f"{_SEPARATOR}_{_SEPARATOR}")


def snippet(text: str, max_chars: int = SNIPPET_CHARS) -> str:
    """The first characters of a text for a user interface: on one line, masked and harmless."""
    return harmless(one_line(without_credentials(text[:_WINDOW_CHARS]), max_chars))
