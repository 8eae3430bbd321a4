"""Events as clients and files give them: read into values, or refused with a reason. Pure: the clock is an argument."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import getrandbits
from typing import Any
from uuid import UUID

import orjson

from common.sdk_requests import MEGABYTE, without_nul
from events.models import MAX_DISTINCT_ID, MAX_EVENT_NAME

MAX_EVENT_BYTES = MEGABYTE
# A clock may be wrong by a time zone; what lies further ahead is no time.
MAX_AHEAD = timedelta(hours=23)
# Far enough from the first day that every time zone has a date for it.
OLDEST = datetime(1, 1, 3, tzinfo=UTC)
PUT_INTO_PROPERTIES = ("$set", "$set_once", "$unset")
_PLAIN_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class InvalidEvent(Exception):
    """One event cannot be stored; the text says why."""


class UnreadableEvent(InvalidEvent):
    """A part of the event has the wrong type."""


class EventTooLarge(InvalidEvent):
    """The event is larger than an event may be."""


@dataclass(slots=True)
class IncomingEvent:
    """One event, checked. `text` is the JSON of `properties`, which must not be changed any more."""

    uuid: str
    event: str
    distinct_id: str
    timestamp: datetime
    properties: dict[str, Any]
    text: str

    @property
    def has_profile(self) -> bool:
        """Whether the event makes and changes the person of its distinct id."""
        return self.properties.get("$process_person_profile") is not False


@dataclass(frozen=True, slots=True)
class Clock:
    """The time of a request, and by how much the sender's clock is behind ours when it told its own time."""

    now: datetime
    skew: timedelta | None = None

    def time_of(self, *, timestamp: datetime | None, offset_ms: float | None, trust_timestamp: bool) -> datetime:
        """When an event happened: sender's times corrected by the skew, and nothing far in the future."""
        try:
            if timestamp is not None:
                skewed = self.skew is not None and not trust_timestamp
                time = timestamp + self.skew if skewed and self.skew else timestamp
            elif offset_ms is not None:
                time = self.now - timedelta(milliseconds=offset_ms)
            else:
                return self.now
        except OverflowError:
            # Beyond the calendar: on the side of the past a time all the same, on the other none.
            ancient = (timestamp is not None and timestamp < self.now) or (offset_ms or 0) > 0
            return OLDEST if ancient else self.now
        if time > self.now + MAX_AHEAD:
            return self.now
        return max(time, OLDEST)


def parse_time(text: Any) -> datetime | None:
    """An instant from ISO 8601 text, without zone UTC; None when it is none."""
    if not isinstance(text, str):
        return None
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def read_event(sent: Any, *, clock: Clock, default_name: str | None = None) -> IncomingEvent:
    """The event in one JSON object of a request; `default_name` is that of an event without one.

    Raises InvalidEvent.
    """
    if type(sent) is not dict:
        raise UnreadableEvent("an event is not an object")
    properties = _properties(sent)
    return _checked(
        uuid=_uuid(sent.get("uuid")),
        event=_name(sent.get("event", default_name)),
        distinct_id=_distinct_id(sent, properties),
        timestamp=_timestamp(sent, properties, clock),
        properties=properties,
    )


def _checked(
    *, uuid: str | None, event: str, distinct_id: str, timestamp: datetime, properties: dict[str, Any]
) -> IncomingEvent:
    try:
        text = orjson.dumps(properties)
        if b"\\u0000" in text:
            properties = without_nul(properties)
            text = orjson.dumps(properties)
    except (orjson.JSONEncodeError, RecursionError) as error:
        raise UnreadableEvent("properties are nested too deeply") from error
    if len(text) > MAX_EVENT_BYTES:
        raise EventTooLarge(f"the properties of an event have {len(text)} bytes, the limit is {MAX_EVENT_BYTES}")
    return IncomingEvent(uuid or new_uuid(timestamp), event, distinct_id, timestamp, properties, text.decode())


def _properties(sent: Mapping[str, Any]) -> dict[str, Any]:
    properties = sent.get("properties")
    if properties is None:
        properties = {}
    elif type(properties) is not dict:
        raise UnreadableEvent("properties is not an object")
    for key in PUT_INTO_PROPERTIES:
        if key in sent:
            above, inside = sent[key], properties.get(key)
            if isinstance(above, dict) and isinstance(inside, dict):
                above = {**inside, **above}
            properties[key] = above
    return properties


def _name(sent: Any) -> str:
    if sent is None:
        raise InvalidEvent("event submitted with an empty event name")
    if type(sent) is not str:
        raise UnreadableEvent("event is not a text")
    name = sent.replace("\x00", "")[:MAX_EVENT_NAME]
    if not name:
        raise InvalidEvent("event submitted with an empty event name")
    return name


def text_of(value: Any) -> str:
    """A value as text: texts as they are, others as compact JSON."""
    return value if type(value) is str else orjson.dumps(value).decode()


def _distinct_id(sent: Mapping[str, Any], properties: Mapping[str, Any]) -> str:
    value = sent.get("distinct_id")
    if value is None:
        value = sent.get("$distinct_id")
        if value is None:
            value = properties.get("distinct_id")
    distinct_id = "" if value is None else plain_id(value)
    if not distinct_id:
        raise InvalidEvent("event submitted without a distinct_id")
    return distinct_id


def plain_id(value: Any) -> str:
    """A distinct id as it is stored: text, without NUL characters, not too long."""
    return text_of(value).replace("\x00", "")[:MAX_DISTINCT_ID]


def _timestamp(sent: Mapping[str, Any], properties: Mapping[str, Any], clock: Clock) -> datetime:
    timestamp = None
    if sent.get("timestamp") is not None:
        timestamp = parse_time(sent["timestamp"])
        if timestamp is None:
            raise InvalidEvent("event submitted with invalid timestamp")
    offset = sent.get("offset")
    return clock.time_of(
        timestamp=timestamp,
        offset_ms=offset if type(offset) in (int, float) else None,
        trust_timestamp=properties.get("$ignore_sent_at") is True,
    )


def _uuid(sent: Any) -> str | None:
    """The sent uuid in its usual spelling; None when it is none."""
    if type(sent) is not str:
        return None
    if _PLAIN_UUID.fullmatch(sent):
        return sent
    try:
        return str(UUID(sent))
    except ValueError:
        return None


def new_uuid(time: datetime, *, bits: Callable[[int], int] = getrandbits) -> str:
    """A new UUID of version 7: ordered by `time`, so that it lands beside its neighbours in an index.

    `bits` answers so many random bits.
    """
    milliseconds = max(int(time.timestamp() * 1000), 0)
    return str(UUID(int=milliseconds << 80 | 0x7 << 76 | bits(12) << 64 | 0b10 << 62 | bits(62)))
