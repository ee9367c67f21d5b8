"""The client side of the data path: the ASGI lane and the uvicorn seam it runs on."""
