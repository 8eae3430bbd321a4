"""LZ-String, the compression of old browser clients: reading its base64 form, bounded."""

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
_BITS_PER_CHARACTER = 6
# The three codes that stand for no dictionary entry: a new 8-bit character, a new 16-bit one, the end.
_NARROW, _WIDE, _END = 0, 1, 2


class TooLong(ValueError):
    """The text is longer than allowed."""


class _Bits:
    """The bits of the base64 text, the first of each number being its lowest."""

    def __init__(self, text: str) -> None:
        try:
            self._values = [_VALUES[character] for character in text]
        except KeyError as error:
            raise ValueError("a character is not of the base64 alphabet") from error
        self._position = 0
        self._mask = 0
        self._value = 0

    def take(self, count: int) -> int:
        number = 0
        for power in range(count):
            if self._mask == 0:
                if self._position == len(self._values):
                    raise ValueError("the text ended early")
                self._value = self._values[self._position]
                self._position += 1
                self._mask = 1 << (_BITS_PER_CHARACTER - 1)
            if self._value & self._mask:
                number |= 1 << power
            self._mask >>= 1
        return number


def decompress_base64(text: str, *, limit: int) -> str:
    """The text that was compressed, at most `limit` characters of UTF-16.

    Raises ValueError for a text that is no LZ-String, TooLong (a ValueError) past the limit.
    """
    bits = _Bits(text.rstrip("="))
    code = bits.take(2)
    if code == _END:
        return ""
    previous = _new_character(bits, code)
    # The first three places belong to the codes above.
    entries = ["", "", "", previous]
    parts = [previous]
    length = 1
    width = 3
    room = 4  # codes until the next width
    while True:
        code = bits.take(width)
        if code == _END:
            return _joined(parts)
        if code in (_NARROW, _WIDE):
            entries.append(_new_character(bits, code))
            code = len(entries) - 1
            room -= 1
            if room == 0:
                room = 1 << width
                width += 1
        if code < len(entries):
            entry = entries[code]
        elif code == len(entries):
            entry = previous + previous[0]
        else:
            raise ValueError("a code stands for nothing")
        length += len(entry)
        if length > limit:
            raise TooLong
        parts.append(entry)
        entries.append(previous + entry[0])
        previous = entry
        room -= 1
        if room == 0:
            room = 1 << width
            width += 1


def _new_character(bits: _Bits, code: int) -> str:
    if code not in (_NARROW, _WIDE):
        raise ValueError("a code stands for nothing")
    return chr(bits.take(8 if code == _NARROW else 16))


def _joined(parts: list[str]) -> str:
    # The characters are UTF-16 units: halves of one character find each other here.
    return "".join(parts).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
