"""Who gets which variant. Pure: compiled definitions and a subject in, evaluations out; no rows, no clock."""
