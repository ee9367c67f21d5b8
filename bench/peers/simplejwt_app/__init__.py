"""simplejwt's own refresh view, with rotation and the blacklist, as the package documents them.

Runs in the environment of the example apps: Django is none of the gateway's requirements.
"""
