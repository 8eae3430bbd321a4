"""What the admin site calls itself."""

from django.contrib import admin

admin.site.site_header = admin.site.site_title = "Experiments service"
admin.site.index_title = "Administration"
