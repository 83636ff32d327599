"""Pack the browser modules of static/livebell/src into client.js, bell.js and bell.css.

Three small files, and no tools needed: comments and blanks go, what is local gets a short name, properties keep theirs.
``--check`` says whether the packed files are up to date. It knows the JavaScript we write, not all there is: semicolons
everywhere, imports on one line, every top-level name once, and every global listed below.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

STATIC = Path(__file__).resolve().parent.parent / "src" / "livebell" / "static" / "livebell"
HEAD = "Packed from src/"
IMPORT = re.compile(r'^import (?:\{(.*)\} from )?"\./(\w+)\.js";$', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?\w+ (\w+))", re.MULTILINE)
TOP = re.compile(r"^(?:export )?(?:async )?(?:const|let|class|function) (\w+)", re.MULTILINE)
TOKEN = re.compile(
    r"""(?P<blank>\s+|//[^\n]*|/\*.*?\*/)|(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<template>`(?:[^`\\]|\\.)*`)"""
    r"""|(?P<regex>(?<=[(=&|,?:])/(?![/*])(?:[^/\\\n]|\\.)+/\w*)|(?P<word>#?[A-Za-z_$][\w$]*)|(?P<number>\d[\w.]*)"""
    r"""|(?P<sign>\.\.\.|=>|\?\.|[=!]==|\*\*|&&=?|\|\|=?|\?\?=?|\+\+|--|[<>+-]=|.)""",
    re.DOTALL,
)
HOLE = re.compile(r"\$\{([^}]*)\}")
LOWER = "abcdefghijklmnopqrstuvwxyz"
KEYWORDS = set(
    """
    async await break case catch class const constructor continue default do else export extends false finally for
    function get if import in instanceof let new null of return set static super switch this throw true try typeof
    undefined void while yield as from Infinity NaN
    """.split()  # noqa: SIM905
)
GLOBALS = set(
    """
    AbortController Array AudioContext Blob Boolean BroadcastChannel CSS CustomEvent Date Error EventSource EventTarget
    HTMLElement Intl JSON Map Math Number Object Promise Set String URL WebSocket addEventListener clearInterval
    clearTimeout customElements document encodeURIComponent fetch getComputedStyle innerHeight innerWidth location
    navigator requestAnimationFrame sessionStorage setInterval setTimeout window
    """.split()  # noqa: SIM905
)


class Token:
    def __init__(self, kind: str, text: str) -> None:
        self.kind, self.text = kind, text
        self.role = ""
        """Of a word: "binding", "shorthand", or "" for a property, a keyword, a global."""
        self.part = 0
        """Number of the top-level statement or class member it stands in: what is local, is local to that."""
        self.owner = 0
        """Number of the class it stands in, for #private names."""


def source(name: str) -> str:
    return (STATIC / "src" / f"{name}.js").read_text()


def order(name: str, seen: list[str]) -> list[str]:
    """The modules that ``name`` needs, each after those it imports."""
    for _, other in IMPORT.findall(source(name)):
        if other not in seen:
            order(other, seen)
    if name not in seen:
        seen.append(name)
    return seen


def joined(names: list[str]) -> str:
    """The modules as one: no imports or exports between them."""
    text = "\n".join(EXPORT.sub("", IMPORT.sub("", source(name))) for name in names)
    doubled = [name for name, times in Counter(TOP.findall(text)).items() if times > 1]
    if doubled:
        raise SystemExit(f"top-level names used twice: {doubled}")
    return text


def tokens(text: str) -> list[Token]:
    text = re.sub(r"([(=&|,?:]) (?=/[^/*])", r"\1", text)
    found = [Token(str(m.lastgroup), m.group()) for m in TOKEN.finditer(text)]
    return [token for token in found if token.kind != "blank"]


def braces(list_: list[Token]) -> Iterator[tuple[int, str]]:
    """Each token's index with the kind of bracket around it: "object", "class", "block", "(" or "["."""
    stack, class_ahead = ["block"], False
    for i, token in enumerate(list_):
        before = list_[i - 1].text if i else ";"
        class_ahead = class_ahead or token.text == "class"
        if token.text in ("}", ")", "]"):
            stack.pop()
        yield i, stack[-1]
        if token.text == "{":
            block = before in (")", "=>", "else", "try", "finally", "catch", ";", "{", "}")
            stack.append("class" if class_ahead else "block" if block else "object")
            class_ahead = False
        elif token.text in ("(", "["):
            stack.append(token.text)


def classify(list_: list[Token]) -> None:
    """Say of each word whether it is a name of ours."""
    for i, around in braces(list_):
        token = list_[i]
        if token.kind != "word" or token.text in KEYWORDS | GLOBALS:
            continue
        before, after = list_[i - 1].text if i else ";", list_[i + 1].text if i + 1 < len(list_) else ";"
        member = around == "class" and before in ("{", "}", ";", "get", "set", "async", "static")
        first = around == "object" and before in ("{", ",")
        if token.text.startswith("#"):
            token.role = "binding"
        elif first and after in (",", "}", "="):
            token.role = "shorthand"
        elif not (before in (".", "?.") or member or (first and after in (":", "("))):
            token.role = "binding"


def divide(list_: list[Token]) -> None:
    part, depth, owner = 0, 0, 0
    for i, around in braces(list_):
        token = list_[i]
        owner += token.text == "class"
        token.owner = owner
        depth += (token.text in "{([" and token.kind == "sign") - (token.text in "})]" and token.kind == "sign")
        token.part = part
        outside = depth == 0 or around == "class"
        part += outside and token.text in (";", "}")


def short_names(letters: str, taken: set[str]) -> Iterator[str]:
    for n in count():
        name = letters[n % 26] + (letters[n // 26 - 1] if n >= 26 else "")
        if name not in taken | KEYWORDS:
            yield name


class Names:
    """Ours → short: top-level ones in capitals, #private ones, and those of each part in order of appearance."""

    def __init__(self, list_: list[Token], top: set[str], keep: set[str]) -> None:
        words = [token for token in flat(list_) if token.role and token.text not in keep]
        common = [name for name, _ in Counter(token.text for token in words).most_common()]
        self.shared = dict(zip((n for n in common if n in top), short_names(LOWER.upper(), keep), strict=False))
        self.local: dict[tuple[str, int], dict[str, str]] = {}
        for token in words:
            local = self.local.setdefault(self.place(token), {})
            if token.text not in self.shared:
                local.setdefault(token.text, next(x for x in short_names(LOWER, keep) if x not in local.values()))

    def of(self, token: Token) -> str:
        short = self.shared.get(token.text) or self.local.get(self.place(token), {}).get(token.text, token.text)
        return f"#{short}" if token.text[0] == "#" else short

    @staticmethod
    def place(token: Token) -> tuple[str, int]:
        return ("class", token.owner) if token.text[0] == "#" else ("part", token.part)


def flat(list_: list[Token]) -> Iterator[Token]:
    """The tokens, and those inside the ``${}`` of templates."""
    for token in list_:
        yield token
        if token.kind == "template":
            for text in re.findall(HOLE, token.text):
                yield from flat(inside(token, text))


def inside(template: Token, text: str) -> list[Token]:
    list_ = tokens(text)
    classify(list_)
    for token in list_:
        token.part, token.owner = template.part, template.owner
    return list_


def written(list_: list[Token], names: Names) -> str:
    out, before = "", Token("", "")
    for token in list_:
        text = spelled(token, names)
        needless = before.kind == "sign" and before.text + text in (",}", ",]", ",)", ";}")
        out = out[:-1] if needless else out
        out += " " if re.fullmatch(r"[\w$][\w$#]|\+\+|--|[\w$]\.\d", out[-1:] + text[:1]) else ""
        out, before = out + text, token
    return out


def spelled(token: Token, names: Names) -> str:
    if token.kind == "template":
        return re.sub(HOLE, lambda m: "${" + written(inside(token, m[1]), names) + "}", token.text)
    if token.kind == "number":
        return token.text.replace("_", "").removeprefix("0") or "0"
    short = names.of(token) if token.role else token.text
    return f"{token.text}:{short}" if token.role == "shorthand" and short != token.text else short


def lean(list_: list[Token]) -> list[Token]:
    """``x =>`` for ``(x) =>``."""
    texts = [token.text for token in list_]
    alone = {i - 1 for i, token in enumerate(list_) if token.kind == "word" and texts[i + 1 : i + 3] == [")", "=>"]}
    alone -= {i for i in alone if texts[i] != "("}
    return [token for i, token in enumerate(list_) if i not in alone and i - 2 not in alone]


def joint(list_: list[Token]) -> list[Token]:
    """``const a = 1, b = 2;`` for ``const a = 1; const b = 2;``."""
    out: list[Token] = []
    begins = [""]
    for i, token in enumerate(list_):
        ended = i and list_[i - 1].text in (";", "{", "}")
        if token.text == begins[-1] == "const" and out[-1].text == ";":
            out[-1] = Token("sign", ",")
            continue
        if ended:
            begins[-1] = token.text
        if token.kind == "sign" and token.text in "([{":
            begins.append("")
        elif token.kind == "sign" and token.text in ")]}":
            begins.pop()
        out.append(token)
    return out


def pack(text: str, keep: set[str]) -> str:
    list_ = joint(lean(tokens(text)))
    classify(list_)
    divide(list_)
    return written(list_, Names(list_, set(TOP.findall(text)), keep))


def packed() -> dict[str, str]:
    """The headless client, the bell that imports it, and the sheet of both."""
    client = order("client", [])
    bell = [name for name in order("bell", []) if name not in client]
    wanted = ", ".join(words for name in bell for words, other in IMPORT.findall(source(name)) if other in client)
    shared = sorted({word.strip() for word in wanted.split(",")})
    names = ",".join(shared)
    return {
        "client.js": f"// {HEAD}\n{pack(joined(client), set(shared))}export{{{names}}};\n",
        "bell.js": f'// {HEAD}\nimport{{{names}}}from"./client.js";{pack(joined(bell), set(shared))}\n',
        "bell.css": f"/* {HEAD} */\n{sheet((STATIC / 'src' / 'bell.css').read_text())}\n",
    }


def sheet(text: str) -> str:
    text = re.sub(r"/\*.*?\*/|\n\s*", lambda m: "" if m[0][0] == "/" else " ", text, flags=re.DOTALL)
    text = re.sub(r" ?([{};>]) ?|(?<=[:,]) ", lambda m: m[1] or "", text)
    text = re.sub(r"(?<=[ :(])0(?=\.\d)", "", text)
    return text.replace(";}", "}").strip()


def main() -> int:
    stale = {name: text for name, text in packed().items() if not current(name, text)}
    if "--check" in sys.argv:
        print("stale: " + ", ".join(stale) if stale else "up to date")
        return bool(stale)
    for name, text in stale.items():
        (STATIC / name).write_text(text)
    return 0


def current(name: str, text: str) -> bool:
    path = STATIC / name
    return path.exists() and path.read_text() == text


if __name__ == "__main__":
    sys.exit(main())
