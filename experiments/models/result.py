from django.db import models
from django.utils import timezone

from common.documents import DocumentField


class StoredAnswer(models.Model):
    """A computed results answer, by the digest of everything that went into it.

    `experiment_id` is no foreign key: answers of deleted experiments are removed by age.
    """

    key = models.CharField(primary_key=True, max_length=64)
    experiment_id = models.BigIntegerField(db_index=True)
    body = DocumentField()
    computed_at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return self.key
