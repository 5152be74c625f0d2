"""Check the texts of the project against its vocabulary, tools/vocabulary.toml.

    python tools/lint_words.py [FILE ...]

Reads what a person reads: prose of Markdown documents, docstrings, comments and strings of Python, and
texts and comments of the review page. Leaves out fenced code, inline code, identifiers, URLs and keys.
Prints one line a finding, `file:line: "word": use "term"`, and exits with 1 where there is any.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]
VOCABULARY = ROOT / "tools" / "vocabulary.toml"

_FENCE = re.compile(r"^```.*?^```[^\n]*$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`[^`\n]*`|https?://\S+|\]\([^)\s]*\)|<!--.*?-->", re.DOTALL)
_KEY = re.compile(r"[\w.\[\]/-]*")
_WEB_CODE = re.compile(
    r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`", re.DOTALL
)
_HTML_CODE = re.compile(r"<(?:script|style)\b.*?</(?:script|style)>|</?[a-zA-Z][^>]*?>", re.DOTALL)
_HTML_TEXT = re.compile(r"(?:alt|title|aria-label|placeholder)=\"([^\"]*)\"")


@dataclass(frozen=True)
class Rule:
    """A word that the project does not use.

    pattern: what is found, without regard to case. use: the term in its place.
    allow: path pattern -> the reason why the word is right there.
    """

    pattern: re.Pattern[str]
    use: str
    allow: dict[str, str]

    def allows(self, name: str) -> bool:
        """Whether the word may stand in the file `name`, a path from the repository's root."""
        return any(PurePosixPath(name).match(pattern) for pattern in self.allow)


def read_rules(path: Path = VOCABULARY) -> list[Rule]:
    """Read the vocabulary. Raises ValueError where an allowed place has no reason."""
    rules = []
    for entry in tomllib.loads(path.read_text("utf-8"))["rule"]:
        allow = dict(entry.get("allow", {}))
        if not all(reason.strip() for reason in allow.values()):
            raise ValueError(f"{path.name}: {entry['find']!r}: each allowed path needs a reason")
        rules.append(Rule(re.compile(rf"\b(?:{entry['find']})\b", re.IGNORECASE), entry["use"], allow))
    return rules


def texts_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, text) for each text of a file that a person reads."""
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        yield from _python(text)
    elif path.suffix == ".md":
        yield from _lines(_blank(_INLINE, _blank(_FENCE, text)))
    elif path.suffix == ".js":
        for found in _WEB_CODE.finditer(text):
            yield text.count("\n", 0, found.start()) + 1, found[0]
    else:
        for found in _HTML_TEXT.finditer(text):
            yield text.count("\n", 0, found.start()) + 1, found[1]
        yield from _lines(_blank(_HTML_CODE, text))


def _python(text: str) -> Iterator[tuple[int, str]]:
    wanted = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", -1)}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in wanted:
            for number, line in _lines(_INLINE.sub(" ", token.string)):
                if token.type == tokenize.COMMENT or not _KEY.fullmatch(line.strip("\"'rbfRBF")):
                    yield token.start[0] + number - 1, line


def _lines(text: str) -> Iterator[tuple[int, str]]:
    yield from enumerate(text.splitlines(), start=1)


def _blank(pattern: re.Pattern[str], text: str) -> str:
    """Replace what matches by nothing but its line ends, so that line numbers stay."""
    return pattern.sub(lambda found: "\n" * found[0].count("\n"), text)


def files() -> list[Path]:
    """The files of the repository that hold texts for users and developers."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "*.py", "*.md", "*.js", "*.html"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def main() -> int:
    """Check the files named on the command line, or all; return the exit code."""
    rules = read_rules()
    findings = 0
    for path in [Path(name).resolve() for name in sys.argv[1:]] or files():
        name = path.relative_to(ROOT).as_posix()
        own = [rule for rule in rules if not rule.allows(name)]
        for line, text in texts_of(path):
            for rule in own:
                for found in rule.pattern.finditer(text):
                    print(f'{name}:{line}: "{found[0]}": use "{rule.use}"')
                    findings += 1
    if findings:
        print(f"{findings} words that the project does not use; {VOCABULARY.relative_to(ROOT)} has the terms")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
