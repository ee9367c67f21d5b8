"""Tests of gateway/init: real Django projects, loaded in their own Python."""
