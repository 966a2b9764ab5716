"""Texts on which two tokenizers that should be the same are compared: scripts, code, and what breaks splitters."""

PROBE = (
    " A naïve café:\n\n\tdef f(x_1): return 3.14 * x_1  # 漢字 🙂",
    "It's we'll THEY'VE 1234567 ½ Ⅷ ２３ $5.00, e.g. (a)b[c]{d} -> != <= ... ---- ====",
    "  leading   inner    spaces  \n\n\n   \r\n\r\n\ttabs\t\t  trailing   ",
    "Здравствуй, мир! Γειά σου. שָׁלוֹם مرحباً بالعالم नमस्ते ภาษาไทย 日本語のテキスト。한국어 Tiếng Việt",
    "e\u0301 \u00e9 \u0301alone \u1112\u1161\u11ab 👩\u200d👩\u200d👧 🇩🇪",
    "\ufeffbom \u00a0nbsp \u2028 \u200b \ue000 \U0010ffff",
    "\x00\x01\x7f\x85 \u2581 ▁▁ <0x41>",
    "",
    " ",
    "\n",
)
