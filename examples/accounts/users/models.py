# The users are Django's own (django.contrib.auth.models.User).
