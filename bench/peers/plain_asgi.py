"""The gateway's ASGI application under uvicorn as it comes: the ASGI lane alone."""

import os
from pathlib import Path

from gateway.app import create_app
from gateway.config.load import load

app = create_app(load(Path(__file__).parents[1] / "gateway.yaml", environ=os.environ).config)
