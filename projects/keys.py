"""Making, hashing and masking keys. Pure but for the randomness."""

import hashlib
import secrets
import string

_ALPHABET = string.ascii_letters + string.digits
_RANDOM_CHARACTERS = 43  # 62 ** 43 > 2 ** 256


def _new(prefix: str) -> str:
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_CHARACTERS))


def new_project_token() -> str:
    """A public project token, `phc_` and 43 random characters."""
    return _new("phc_")


def new_personal_key() -> str:
    """A personal API key, `phx_` and 43 random characters."""
    return _new("phx_")


def new_secret_key() -> str:
    """A project secret token or key, `phs_` and 43 random characters."""
    return _new("phs_")


def hash_key(value: str) -> str:
    """What is stored of a key. Keys carry 256 random bits, so neither salt nor slow hashing adds anything."""
    return "sha256$" + hashlib.sha256(value.encode()).hexdigest()


def mask_key(value: str) -> str:
    """What is shown of a key after its first showing."""
    return f"{value[:4]}...{value[-4:]}"
