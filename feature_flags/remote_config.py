"""Remote configuration: a payload handed out by the key of its flag, whoever asks."""

from common.errors import Missing
from feature_flags import encryption
from feature_flags.models import FeatureFlag
from projects.access import parse_id
from projects.models import Project


def payload(*, project: Project, key_or_id: str, in_clear: bool) -> str | None:
    """The JSON text that a remote configuration carries, None when it carries none.

    An encrypted one is the marker, unless the caller may read it `in_clear`. Raises Missing for an unknown or deleted
    flag and for one that is no remote configuration.
    """
    flags = FeatureFlag.objects.filter(project=project, deleted=False, is_remote_configuration=True)
    flag = None if "\x00" in key_or_id else flags.filter(key=key_or_id).first()
    number = parse_id(key_or_id)
    if flag is None and number is not None:
        flag = flags.filter(pk=number).first()
    if flag is None:
        raise Missing
    filters = encryption.shown(flag.filters, in_clear=in_clear) if flag.has_encrypted_payloads else flag.filters
    return encryption.payload_of(filters)
