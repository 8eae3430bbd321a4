"""Payloads that are stored as ciphertext and shown in clear to personal keys only."""

import base64
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from feature_flags.validation.payloads import BOOLEAN_KEY

# A JSON text like every payload, quotes included.
MARKER = '"********* (encrypted)"'


@lru_cache
def _cipher(secrets: tuple[str, ...]) -> MultiFernet:
    return MultiFernet(
        [
            Fernet(
                base64.urlsafe_b64encode(
                    HKDF(algorithm=SHA256(), length=32, salt=None, info=b"feature flag payloads").derive(
                        secret.encode()
                    )
                )
            )
            for secret in secrets
        ]
    )


def _present_cipher() -> MultiFernet:
    return _cipher((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


def encrypt(payload: str) -> str:
    """The ciphertext of a payload, under a key derived from SECRET_KEY."""
    return _present_cipher().encrypt(payload.encode()).decode()


def decrypt(ciphertext: str) -> str | None:
    """The payload, None when it was encrypted under a key that is no longer known."""
    try:
        return _present_cipher().decrypt(ciphertext.encode()).decode()
    except InvalidToken:
        return None


def _with_payload(filters: Mapping[str, Any], payload: str | None) -> dict[str, Any]:
    payloads = {key: text for key, text in filters.get("payloads", {}).items() if key != BOOLEAN_KEY}
    if payload is not None:
        payloads[BOOLEAN_KEY] = payload
    return {**filters, "payloads": payloads}


def payload_of(filters: Mapping[str, Any]) -> str | None:
    payload: str | None = filters.get("payloads", {}).get(BOOLEAN_KEY)
    return payload


def opened(filters: Mapping[str, Any]) -> dict[str, Any]:
    """Stored filters with their payload in clear."""
    ciphertext = payload_of(filters)
    return dict(filters) if ciphertext is None else _with_payload(filters, decrypt(ciphertext))


def sealed(filters: Mapping[str, Any], *, stored: Mapping[str, Any] | None) -> dict[str, Any]:
    """Filters with their payload as ciphertext; an unchanged payload keeps the ciphertext it is `stored` under."""
    payload = payload_of(filters)
    if payload is None:
        return dict(filters)
    before = None if stored is None else payload_of(stored)
    if before is not None and decrypt(before) == payload:
        return _with_payload(filters, before)
    return _with_payload(filters, encrypt(payload))


def redacted(filters: Mapping[str, Any]) -> dict[str, Any]:
    """Stored filters with the marker in place of the payload."""
    return dict(filters) if payload_of(filters) is None else _with_payload(filters, MARKER)


def shown(filters: Mapping[str, Any], *, in_clear: bool) -> dict[str, Any]:
    """Stored filters of a flag with encrypted payloads as a caller sees them."""
    clear = opened(filters)
    return clear if in_clear and payload_of(clear) is not None else redacted(filters)
