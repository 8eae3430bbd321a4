from django.db import models
from django.utils import timezone

from common.documents import DocumentField


class StoredAnswer(models.Model):
    """A computed results answer, by the digest of everything that went into it.

    `experiment_id` is no foreign key: answers go after their experiment, in the daily removal (results/removal.py).
    """

    key = models.CharField(primary_key=True, max_length=64)
    experiment_id = models.BigIntegerField(db_index=True)
    body = DocumentField()
    # The digest of what was asked: all answers to it have the same, whatever the experiment's settings were.
    question = models.CharField(max_length=64, db_default="")
    # Whether the experiment had ended. Answers from before these columns are taken for final.
    is_final = models.BooleanField(db_default=True)
    computed_at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return self.key
