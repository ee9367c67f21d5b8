"""`gateway doctor`: what a running site shows from outside, with evidence and remedy.

It asks the configured upstreams and the store as anybody could, and needs nothing but the
configuration: no gateway runs, and no app takes part.
"""

from gateway.doctor.examination import examine
from gateway.doctor.finding import Finding, Severity, has_errors
from gateway.doctor.report import as_json, as_text

__all__ = ["Finding", "Severity", "as_json", "as_text", "examine", "has_errors"]
