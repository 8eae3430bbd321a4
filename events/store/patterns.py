"""Regular expressions of filters (RE2's language) as PostgreSQL writes them.

Both find the same texts for what is translated here. What is not, such as classes of Unicode characters or flags in
the middle of a pattern, cannot be searched for in stored events: `translated` answers None.
"""

import re

from common.matching import compile_pattern

# PostgreSQL allows no more repetitions.
_MOST_REPEATED = 255
_CLASSES = {"d": "0-9", "w": "0-9A-Za-z_", "s": r"\t\n\f\r "}
_WORD = "[0-9A-Za-z_]"
_ASSERTIONS = {
    # PostgreSQL's own word boundaries know the letters of all alphabets.
    "b": f"(?:(?<!{_WORD})(?={_WORD})|(?<={_WORD})(?!{_WORD}))",
    "B": f"(?:(?<!{_WORD})(?!{_WORD})|(?<={_WORD})(?={_WORD}))",
    "A": r"\A",
    "z": r"\Z",
}
_CONTROLS = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_SPECIAL = frozenset(r"\.[]{}()*+?|^$")
_FLAGS = re.compile(r"\(\?([is]+)\)")
_GROUP = re.compile(r"\(\?P?<\w+>")
_REPEAT = re.compile(r"\{(\d+)(?:,(\d*))?\}")
_HEXADECIMAL = re.compile(r"x(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{2}))")
_POSIX = re.compile(r"\[:(alpha|digit|alnum|upper|lower|space|blank|punct|xdigit|cntrl|graph|print):\]")
_POSIX_ASCII = {
    "alpha": "A-Za-z",
    "digit": "0-9",
    "alnum": "0-9A-Za-z",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r"\t\n\v\f\r ",
    "blank": r"\t ",
    "punct": r"!-/:-@\[-`{-~",
    "xdigit": "0-9A-Fa-f",
    "cntrl": r"\x01-\x1f\x7f",
    "graph": "!-~",
    "print": " -~",
}


class _Untranslatable(Exception):
    pass


def translated(pattern: str) -> str | None:
    """The pattern for PostgreSQL; None when it is no pattern or has a part that cannot be translated."""
    if compile_pattern(pattern) is None or "\x00" in pattern:
        return None
    try:
        return _Translation(pattern).run()
    except _Untranslatable:
        return None


class _Translation:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.position = 0
        self.parts: list[str] = []
        self.dot = r"[^\n]"

    def run(self) -> str:
        beginning = ""
        flags = _FLAGS.match(self.pattern)
        if flags:
            self.position = flags.end()
            self.dot = "." if "s" in flags[1] else self.dot
            beginning = "(?i)" if "i" in flags[1] else ""
        while self.position < len(self.pattern):
            self._take()
        # A group of its own, so that nothing at the beginning is read as a directive.
        return f"{beginning}(?:{''.join(self.parts)})"

    def _take(self) -> None:
        character = self.pattern[self.position]
        if character == "\\":
            self._escape()
        elif character == "[":
            self._bracket()
        elif character == "(":
            self._group()
        elif character == "{":
            self._repeat()
        else:
            self.position += 1
            self.parts.append(self.dot if character == "." else character)

    def _escape(self) -> None:
        letter = self.pattern[self.position + 1]
        if letter == "Q":
            end = self.pattern.find(r"\E", self.position)
            quoted = self.pattern[self.position + 2 : None if end < 0 else end]
            self.parts += [_literal(character) for character in quoted]
            self.position = len(self.pattern) if end < 0 else end + 2
        elif letter.lower() in _CLASSES:
            members = _CLASSES[letter.lower()]
            self.parts.append(f"[{'^' if letter.isupper() else ''}{members}]")
            self.position += 2
        elif letter in _ASSERTIONS:
            self.parts.append(_ASSERTIONS[letter])
            self.position += 2
        else:
            self.parts.append(_literal(self._escaped_character()))

    def _escaped_character(self) -> str:
        letter = self.pattern[self.position + 1]
        hexadecimal = _HEXADECIMAL.match(self.pattern, self.position + 1)
        if hexadecimal:
            self.position = hexadecimal.end()
            number = int(hexadecimal[1] or hexadecimal[2], 16)
            if number == 0 or 0xD800 <= number <= 0xDFFF:
                raise _Untranslatable
            return chr(number)
        self.position += 2
        if letter in _CONTROLS:
            return _CONTROLS[letter]
        if letter.isalnum():  # octal numbers, classes by name, single bytes
            raise _Untranslatable
        return letter

    def _group(self) -> None:
        named = _GROUP.match(self.pattern, self.position)
        if named:
            self.position = named.end()
            self.parts.append("(")
        elif self.pattern.startswith("(?:", self.position):
            self.position += 3
            self.parts.append("(?:")
        elif self.pattern.startswith("(?", self.position):
            raise _Untranslatable
        else:
            self.position += 1
            self.parts.append("(")

    def _repeat(self) -> None:
        repeat = _REPEAT.match(self.pattern, self.position)
        if repeat is None:
            self.position += 1
            self.parts.append(r"\{")
            return
        if any(int(number) > _MOST_REPEATED for number in repeat.groups() if number):
            raise _Untranslatable
        self.position = repeat.end()
        self.parts.append(repeat[0])

    def _bracket(self) -> None:
        self.position += 1
        parts = ["["]
        if self.pattern.startswith("^", self.position):
            self.position += 1
            parts.append("^")
        first = True
        while first or self.pattern[self.position] != "]":
            parts.append(self._member())
            first = False
        self.position += 1
        self.parts.append("".join([*parts, "]"]))

    def _member(self) -> str:
        posix = _POSIX.match(self.pattern, self.position)
        if posix:
            self.position = posix.end()
            return _POSIX_ASCII[posix[1]]
        character = self.pattern[self.position]
        if character == "[" and self.pattern.startswith("[:", self.position):
            raise _Untranslatable  # a negated class
        if character != "\\":
            self.position += 1
            return character if character == "-" else _literal(character)
        letter = self.pattern[self.position + 1]
        if letter in _CLASSES:
            self.position += 2
            return _CLASSES[letter]
        return _literal(self._escaped_character())


def _literal(character: str) -> str:
    return f"\\{character}" if character in _SPECIAL or character == "-" else character
