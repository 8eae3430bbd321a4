"""Organizations, users, projects, roles and keys in the admin site."""

from projects.admin import keys, organizations, projects, users

__all__ = ["keys", "organizations", "projects", "users"]
